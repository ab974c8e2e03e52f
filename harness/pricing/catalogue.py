"""What each model's tokens cost on a given day: a dated table, read from `catalogue.yaml`.

Prices change several times a year, so an entry has a first day and a run is priced as of its own. A price belongs to whoever
serves the model, not to the format it is requested in (`harness.vendors.price_vendor_at`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml
from msgspec.structs import replace

from harness.model import Price

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CACHE_PRICES = ("cache_read", "cache_write", "cache_write_1h")


@dataclass(frozen=True, slots=True)
class NeuronRates:
    """Workers AI's own unit: neurons per million input and output tokens, the exact figures behind its rounded dollars."""

    input: int
    output: int


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """One model's price at one vendor over a span of days, both ends included; an open end is None.

    `context` is the most input tokens, `image_tokens` the most tokens that one image can take; None where not known.
    """

    vendor: str
    model: str
    price: Price
    valid_from: date
    valid_to: date | None = None
    aliases: tuple[str, ...] = ()
    context: int | None = None
    image_tokens: int | None = None
    neurons: NeuronRates | None = None

    def is_valid_on(self, on: date) -> bool:
        """Whether this was the price on that day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


class PriceCatalogue:
    """All entries, found by vendor, model or alias, and day."""

    def __init__(self, entries: tuple[PriceEntry, ...]) -> None:
        self.entries = entries
        self._by_name: dict[tuple[str, str], list[PriceEntry]] = {}
        for entry in sorted(entries, key=lambda entry: entry.valid_from, reverse=True):
            for name in (entry.model, *entry.aliases):
                self._by_name.setdefault((entry.vendor, name), []).append(entry)

    def find(self, provider: str, model: str, on: date) -> PriceEntry | None:
        """The newest entry for `model` that held on that day, None where the price is unknown.

        `provider` is the vendor's name (`harness.vendors.price_vendor_at`).
        """
        return next((entry for entry in self._by_name.get((provider, model), ()) if entry.is_valid_on(on)), None)


def parse_catalogue(text: str) -> PriceCatalogue:
    """The catalogue in `text` (YAML). Raises ValueError, naming the entry, where it is not one."""
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, the C one where there is one
        entries = [_parse_entry(listing, fields) for listing in content["vendors"] for fields in listing["prices"]]
        return PriceCatalogue(tuple(entries))
    except (TypeError, KeyError, AttributeError, yaml.YAMLError) as wrong:
        raise ValueError(f"price catalogue: {wrong!r}") from wrong


def _parse_entry(listing: Mapping[str, Any], fields: Mapping[str, Any]) -> PriceEntry:
    try:
        given = {"valid_from": listing["valid_from"], **fields}
        price = _pop_price(given, str(listing["source"]))
        neurons = given.pop("neurons", None)
        return PriceEntry(
            vendor=listing["vendor"],
            price=price,
            aliases=tuple(given.pop("aliases", ())),
            neurons=NeuronRates(**neurons) if neurons else None,
            **given,
        )
    except (TypeError, KeyError, InvalidOperation) as wrong:
        raise ValueError(f"price catalogue, {listing.get('vendor')} {fields.get('model')}: {wrong!r}") from wrong


def _pop_price(given: dict[str, Any], source: str) -> Price:
    """Takes the price fields out of `given`."""
    caches: dict[str, Any] = {name: Decimal(given.pop(name)) for name in _CACHE_PRICES if name in given}
    base = Price(input=Decimal(given.pop("input")), output=Decimal(given.pop("output")), source=source, **caches)
    return replace(base, tiers=tuple((tier["above"], _tier_price(base, tier)) for tier in given.pop("tiers", ())))


def _tier_price(base: Price, tier: Mapping[str, Any]) -> Price:
    """The price above a threshold; what cached tokens cost there is not listed and keeps its ratio to the input price."""
    ratio = Decimal(tier["input"]) / base.input
    scaled: dict[str, Any] = {name: cached * ratio for name in _CACHE_PRICES if (cached := getattr(base, name)) is not None}
    return Price(input=Decimal(tier["input"]), output=Decimal(tier["output"]), source=base.source, **scaled)
