"""Prices by vendor, model and day, from the lists and overrides that ship."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from harness.app.prepare import price_catalogue
from harness.model import Price
from harness.pricing.catalogue import (
    DatedPrice,
    ListedModel,
    PriceCatalogue,
    PriceList,
    PriceOverride,
    parse_overrides,
)
from harness.pricing.cost import DOLLARS_PER_NEURON
from harness.vendors import price_vendor_at

TODAY = date(2026, 11, 22)
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


@pytest.fixture(scope="module")
def catalogue() -> PriceCatalogue:
    return price_catalogue()


def test_scout_costs_what_the_pricing_page_says(catalogue: PriceCatalogue) -> None:
    entry = catalogue.find("cloudflare", SCOUT, TODAY)
    assert entry is not None
    assert entry.price is not None
    assert entry.price.source.startswith("genai-prices 0.")
    assert (entry.price.input, entry.price.output, entry.context) == (
        Decimal("0.27"),
        Decimal("0.85"),
        131_000,
    )
    assert catalogue.find("cloudflare", "llama-4-scout", TODAY) == entry


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
        ("openrouter", "meta-llama/llama-4-scout", ("0.10", "0.30", None)),
        (
            "fireworks",
            "accounts/fireworks/models/llama4-maverick-instruct-basic",
            ("0.22", "0.88", None),
        ),
    ],
)
def test_published_prices(
    catalogue: PriceCatalogue, vendor: str, model: str, expected: tuple[str, str, str | None]
) -> None:
    entry = catalogue.find(vendor, model, TODAY)
    assert entry is not None
    price = entry.price
    assert price is not None
    assert (price.input, price.output, price.cache_read) == tuple(
        None if each is None else Decimal(each) for each in expected
    )


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
        (
            "cloudflare",
            "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}",
            "cloudflare",
        ),
    ],
)
def test_a_price_belongs_to_the_host(provider: str, address: str, vendor: str | None) -> None:
    assert price_vendor_at(provider, address) == vendor


def test_neurons_are_the_exact_figures_behind_the_rounded_dollars(
    catalogue: PriceCatalogue,
) -> None:
    with_neurons = [each.entry for each in overrides() if each.entry.neurons]
    assert len(with_neurons) == 6
    for model in with_neurons:
        entry = catalogue.find(model.vendor, model.model, TODAY)
        assert entry is not None
        assert entry.price is not None
        assert entry.neurons is not None
        exact = [
            count * DOLLARS_PER_NEURON for count in (entry.neurons.input, entry.neurons.output)
        ]
        rounded = [dollars.quantize(Decimal("0.001")) for dollars in exact]
        assert rounded == [entry.price.input, entry.price.output], entry.model


def overrides() -> list[PriceOverride]:
    return parse_overrides(files("harness.pricing").joinpath("catalogue.yaml").read_text("utf-8"))


def test_names_are_unique_on_any_one_day() -> None:
    names = [
        (each.entry.vendor, name, each.valid_from)
        for each in overrides()
        for name in (each.entry.model, *each.aliases)
    ]
    assert len(names) == len(set(names))


def test_an_override_without_a_price_has_the_lists(catalogue: PriceCatalogue) -> None:
    for override in overrides():
        entry = catalogue.find(override.entry.vendor, override.entry.model, TODAY)
        assert entry is not None
        assert entry.price is not None, override.entry.model


def test_the_newest_override_of_the_day_counts() -> None:
    overrides = parse_overrides("""
vendors:
- {vendor: v, source: s, models: [{model: m, valid_from: 2026-01-01, input: "2", output: "8"}]}
- {vendor: v, source: s, models: [{model: m, valid_from: 2026-06-01, input: "1", output: "4", valid_to: 2026-12-31}]}
""")
    catalogue = PriceCatalogue(overrides, lambda vendor: None)
    assert input_prices(catalogue, date(2026, 5, 31), date(2026, 6, 1), date(2027, 1, 1)) == [
        "2",
        "1",
        "2",
    ]
    assert catalogue.find("v", "m", date(2025, 12, 31)) is None


def input_prices(catalogue: PriceCatalogue, *days: date) -> list[str | None]:
    entries = [catalogue.find("v", "m", day) for day in days]
    return [str(entry.price.input) if entry and entry.price else None for entry in entries]


def listed(*prices: DatedPrice, rule: dict[str, Any] | None = None) -> PriceCatalogue:
    text = msgspec.json.encode(
        PriceList("s", (ListedModel("m", rule or {"equals": "m"}, prices, 9),))
    )
    return PriceCatalogue((), lambda vendor: text)


def test_the_newest_listed_price_of_the_day_counts() -> None:
    prices = (
        DatedPrice(Price(Decimal(2), Decimal(8))),
        DatedPrice(Price(Decimal(1), Decimal(4)), date(2026, 6, 1)),
    )
    assert input_prices(listed(*prices), date(2020, 1, 1), date(2026, 5, 31), date(2026, 6, 1)) == [
        "2",
        "2",
        "1",
    ]


def test_a_listed_model_without_a_price_still_has_its_context() -> None:
    entry = listed().find("v", "m", TODAY)
    assert entry is not None
    assert (entry.price, entry.context) == (None, 9)


@pytest.mark.parametrize(
    ("rule", "names", "others"),
    [
        ({"equals": "a-1"}, ["a-1", "A-1"], ["a-12"]),
        ({"starts_with": "a-"}, ["a-1"], ["ba-"]),
        ({"ends_with": ":free"}, ["x:free"], ["x:freed"]),
        ({"contains": "v2"}, ["a-v2-x"], ["v3"]),
        ({"regex": r"^a-\d+$"}, ["a-12"], ["a-1b"]),
        ({"or": [{"equals": "a"}, {"equals": "b"}]}, ["a", "b"], ["c"]),
        ({"and": [{"starts_with": "a"}, {"ends_with": "z"}]}, ["abz"], ["ab", "bz"]),
    ],
)
def test_rules_of_the_list(rule: dict[str, Any], names: list[str], others: list[str]) -> None:
    catalogue = listed(DatedPrice(Price(Decimal(1), Decimal(1))), rule=rule)
    assert all(catalogue.find("v", name, TODAY) for name in names)
    assert not any(catalogue.find("v", name, TODAY) for name in others)


def test_an_override_holds_for_the_other_names_of_its_model(catalogue: PriceCatalogue) -> None:
    """A dated name has the limits of the model it is a version of."""
    entries = [catalogue.find("openai", name, TODAY) for name in ("gpt-5", "gpt-5-2025-08-07")]
    assert [entry and entry.context for entry in entries] == [272_000, 272_000]


def test_a_tier_keeps_the_ratio_of_cached_to_fresh(catalogue: PriceCatalogue) -> None:
    entry = catalogue.find("openai", "gpt-5.6-sol", TODAY)
    assert entry is not None
    assert entry.price is not None
    ((above, tier),) = entry.price.tiers
    assert (above, tier.input, tier.output, tier.cache_read) == (
        272_000,
        Decimal(8),
        Decimal(30),
        Decimal("0.8"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        'vendors: [{vendor: v, source: s, models: [{model: m, input: "1"}]}]',
        "a: [",
        "vendors: 3",
    ],
)
def test_what_is_no_catalogue_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="price catalogue"):
        parse_overrides(text)
