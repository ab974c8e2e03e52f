"""The price lists that ship are those of the installed genai-prices; run this module to write them.

What is left out: models billed by units that are not counted here (images, audio, characters) have
no price. A price that depends on the time of day is taken at its highest, all day: a run is priced
by its day, and a budget must hold at any hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import harness.pricing
from harness.model import Price
from harness.pricing.catalogue import DatedPrice, ListedModel, PriceList

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

FOLDER = Path(harness.pricing.__file__).parent / "prices"
VENDORS = {
    "anthropic": "anthropic",
    "cloudflare": "cloudflare",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "together": "together",
}
"""Our name of a vendor, and the package's. Not Azure: its models are deployments, whose names say
nothing."""

FIELDS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}
NOT_USED = {
    "requests_kcount",
    "web_searches_kcount",
    "storage_searches_kcount",
    "input_audio_mtok",
    "cache_audio_read_mtok",
}
"""Units of what no request here has, or that are read apart."""


def provider(name: str) -> Provider:
    from genai_prices.data import providers  # 0.7 s, and not where tests are only collected

    return next(each for each in providers if each.id == name)


def price_list(vendor: str, source: str) -> PriceList:
    return PriceList(source, tuple(map(listed_model, provider(VENDORS[vendor]).models)))


def listed_model(model: ModelInfo) -> ListedModel:
    prices = tuple(dated_prices(model))
    return ListedModel(
        model.id,
        rule(model.match),
        () if None in prices else tuple(filter(None, prices)),
        model.context_window,
    )


def rule(clause: Any) -> dict[str, Any]:
    """A clause of the package's as plain data."""
    ((name, value),) = vars(clause).items()
    return {name.rstrip("_"): [rule(each) for each in value] if isinstance(value, list) else value}


def dated_prices(model: ModelInfo) -> Iterator[DatedPrice | None]:
    """The model's prices from the oldest on; None among them where one has units that are not
    counted."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    if isinstance(model.prices, ModelPrice):
        yield dated(model.prices, None)
        return
    peaks = [
        each.prices for each in model.prices if isinstance(each.constraint, TimeOfDateConstraint)
    ]
    if peaks:
        yield dated(peaks[-1], None)
        return
    for each in model.prices:
        yield dated(each.prices, each.constraint.start_date if each.constraint else None)  # type: ignore[union-attr]


def dated(prices: ModelPrice, valid_from: date | None) -> DatedPrice | None:
    given = {name: value for name, value in vars(prices).items() if value is not None}
    if not {"input_mtok", "output_mtok"} <= given.keys() <= FIELDS.keys() | NOT_USED:
        return None
    starts = sorted(
        {tier.start for value in given.values() for tier in getattr(value, "tiers", ())}
    )
    per_request = given.get("requests_kcount", Decimal(0)) / 1000
    tiers = tuple((start, Price(**at(given, start), source="")) for start in starts)
    return DatedPrice(
        Price(**at(given, 0), per_request=per_request, source="", tiers=tiers), valid_from
    )


def at(given: Mapping[str, Any], start: int) -> dict[str, Any]:
    """The figures of a request with more than `start` input tokens."""
    found = {}
    for name, field in FIELDS.items():
        if (value := given.get(name)) is not None:
            base = getattr(value, "base", value)
            found[field] = next(
                (
                    tier.price
                    for tier in reversed(getattr(value, "tiers", ()))
                    if tier.start <= start
                ),
                base,
            )
    return found


def encoded(listing: PriceList) -> bytes:
    """One model a line."""
    models = b",\n".join(
        msgspec.json.encode(shortened(msgspec.to_builtins(model, str_keys=True)))
        for model in listing.models
    )
    return (
        b'{"source":' + msgspec.json.encode(listing.source) + b',"models":[\n' + models + b"\n]}\n"
    )


def shortened(value: Any) -> Any:
    """Without what is the default anyway."""
    if isinstance(value, dict):
        kept = {
            name: shortened(each) for name, each in value.items() if each not in (None, (), [], "")
        }
        return {name: each for name, each in kept.items() if (name, each) != ("per_request", "0")}
    return [shortened(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_list_is_the_packages(vendor: str) -> None:
    found = (FOLDER / f"{vendor}.json").read_bytes()
    source = msgspec.json.decode(found, type=PriceList).source
    assert source.startswith(f"genai-prices {version('genai-prices')}, "), (
        "run: python -m tests.pricing.test_snapshot"
    )
    assert found == encoded(price_list(vendor, source)), (
        "run: python -m tests.pricing.test_snapshot"
    )


def write() -> None:
    source = f"genai-prices {version('genai-prices')}, {datetime.now(UTC).date()}"
    FOLDER.mkdir(exist_ok=True)
    for vendor in VENDORS:
        (FOLDER / f"{vendor}.json").write_bytes(encoded(price_list(vendor, source)))


if __name__ == "__main__":
    write()
