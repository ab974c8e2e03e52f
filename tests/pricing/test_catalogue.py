"""Prices by vendor, model and day, from the catalogue that ships."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

import harness.pricing
from harness.pricing.catalogue import PriceCatalogue, parse_catalogue
from harness.pricing.cost import DOLLARS_PER_NEURON
from harness.vendors import price_vendor_at

TODAY = date(2026, 11, 22)
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


@pytest.fixture(scope="module")
def catalogue() -> PriceCatalogue:
    return parse_catalogue((Path(harness.pricing.__file__).parent / "catalogue.yaml").read_text("utf-8"))


def test_scout_costs_what_the_pricing_page_says(catalogue: PriceCatalogue) -> None:
    entry = catalogue.find("cloudflare", SCOUT, TODAY)
    assert entry is not None
    assert (entry.price.input, entry.price.output, entry.context) == (Decimal("0.27"), Decimal("0.85"), 131_000)
    assert catalogue.find("cloudflare", "llama-4-scout", TODAY) is entry


@pytest.mark.parametrize(
    ("vendor", "model", "expected"),
    [
        ("cloudflare", "@cf/meta/llama-3.3-70b-instruct-fp8-fast", ("0.293", "2.253", None)),
        ("cloudflare", "@cf/meta/llama-3-8b-instruct-awq", ("0.123", "0.266", None)),
        ("cloudflare", "@cf/zai-org/glm-5.2", ("1.4", "4.4", "0.26")),
        ("openai", "gpt-4o-mini", ("0.15", "0.6", "0.075")),
        ("openai", "gpt-6.1-terra", ("1", "5", "0.05")),
        ("anthropic", "claude-opus-5", ("5", "25", "0.5")),
        ("gemini", "gemini-4-argon", ("2", "10", "0.1")),
        ("groq", "openai/gpt-oss-120b", ("0.15", "0.6", "0.075")),
        ("mistral", "mistral-large-latest", ("0.5", "1.5", "0.05")),
        ("deepseek", "deepseek-v4-pro", ("1.32", "3.96", "0.044")),
    ],
)
def test_published_prices(catalogue: PriceCatalogue, vendor: str, model: str, expected: tuple[str, str, str | None]) -> None:
    entry = catalogue.find(vendor, model, TODAY)
    assert entry is not None
    price = entry.price
    assert (price.input, price.output, price.cache_read) == tuple(None if each is None else Decimal(each) for each in expected)


def test_a_price_is_not_known_before_its_first_day(catalogue: PriceCatalogue) -> None:
    assert catalogue.find("cloudflare", SCOUT, date(2025, 4, 4)) is None
    assert catalogue.find("cloudflare", SCOUT, date(2025, 4, 5)) is not None


def test_an_unknown_model_has_no_price(catalogue: PriceCatalogue) -> None:
    assert catalogue.find("openai", "tiny", TODAY) is None


@pytest.mark.parametrize(
    ("provider", "address", "vendor"),
    [
        ("openai", "https://api.openai.com/v1", "openai"),
        ("openai", "https://api.groq.com/openai/v1", "groq"),
        ("openai", "http://127.0.0.1:8000/v1", None),
        ("openai-responses", "https://api.openai.com/v1", "openai"),
        ("groq", "https://api.groq.com/openai/v1", "groq"),
        ("mistral", "https://api.mistral.ai/v1", "mistral"),
        ("mistral", "http://127.0.0.1:8000/v1", None),
        ("deepseek", "https://api.deepseek.com", "deepseek"),
        ("anthropic", "https://api.anthropic.com/v1", "anthropic"),
        ("anthropic", "http://127.0.0.1:4000/v1", None),
        ("openai", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini"),
        ("gemini", "https://generativelanguage.googleapis.com", "gemini"),
        ("gemini", "http://127.0.0.1:8000", None),
        ("cloudflare", "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}", "cloudflare"),
    ],
)
def test_a_price_belongs_to_the_host(provider: str, address: str, vendor: str | None) -> None:
    assert price_vendor_at(provider, address) == vendor


def test_neurons_are_the_exact_figures_behind_the_rounded_dollars(catalogue: PriceCatalogue) -> None:
    with_neurons = [entry for entry in catalogue.entries if entry.neurons]
    assert len(with_neurons) == 6
    for entry in with_neurons:
        assert entry.neurons is not None
        exact = [count * DOLLARS_PER_NEURON for count in (entry.neurons.input, entry.neurons.output)]
        rounded = [dollars.quantize(Decimal("0.001")) for dollars in exact]
        assert rounded == [entry.price.input, entry.price.output], entry.model


def test_names_are_unique_on_any_one_day(catalogue: PriceCatalogue) -> None:
    days = [(entry.vendor, name, entry.valid_from) for entry in catalogue.entries for name in (entry.model, *entry.aliases)]
    assert len(days) == len(set(days))


def test_the_newest_entry_of_the_day_counts() -> None:
    catalogue = parse_catalogue("""
vendors:
- {vendor: v, source: s, valid_from: 2026-01-01, prices: [{model: m, input: "2", output: "8"}]}
- {vendor: v, source: s, valid_from: 2026-06-01, prices: [{model: m, input: "1", output: "4", valid_to: 2026-12-31}]}
""")
    prices = {day: catalogue.find("v", "m", day) for day in (date(2026, 5, 31), date(2026, 6, 1), date(2027, 1, 1))}
    assert [entry and str(entry.price.input) for entry in prices.values()] == ["2", "1", "2"]


def test_a_tier_keeps_the_ratio_of_cached_to_fresh(catalogue: PriceCatalogue) -> None:
    entry = catalogue.find("openai", "gpt-5.6-sol", TODAY)
    assert entry is not None
    ((above, tier),) = entry.price.tiers
    assert (above, tier.input, tier.output, tier.cache_read) == (272_000, Decimal(8), Decimal(30), Decimal("0.8"))


@pytest.mark.parametrize("text", ["[]", "vendors: [{vendor: v, prices: [{model: m}]}]", "a: [", "vendors: 3"])
def test_what_is_no_catalogue_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="price catalogue"):
        parse_catalogue(text)
