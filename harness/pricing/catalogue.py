"""What each model's tokens cost on a given day, by the vendor that serves it.

Prices are those of the package genai-prices, as a snapshot (`prices/*.json`, one list a vendor,
written by `python -m tests.pricing.test_snapshot`): importing the package itself takes 0.7 s and 60
MB, longer than all of `harness validate`. `catalogue.yaml` has what the package lacks or what
differs, and takes precedence.

Prices change several times a year, so they are dated, and a run is priced as of its own day. A
price belongs to whoever serves the model, not to the format it is requested in
(`harness.vendors.price_vendor_at`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

import msgspec
import yaml
from msgspec import Struct
from msgspec.structs import replace

from harness.model import Price

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CACHE_PRICES = ("cache_read", "cache_write", "cache_write_1h")


class NeuronRates(Struct, frozen=True):
    """Workers AI's own unit: neurons per million input and output tokens, the exact figures behind
    its rounded dollars."""

    input: int
    output: int


class PriceEntry(Struct, frozen=True):
    """What is known of one model at one vendor on some day.

    `context` is the most input tokens, `image_tokens` the most tokens that one image can take; None
    where not known.
    """

    vendor: str
    model: str
    price: Price | None = None
    context: int | None = None
    image_tokens: int | None = None
    neurons: NeuronRates | None = None


class PriceOverride(Struct, frozen=True):
    """An entry that takes precedence over the price list, over a span of days; both ends are
    included, an open end is None.

    Facts that it leaves out are the price list's.
    """

    entry: PriceEntry
    aliases: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Whether it holds on that day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )


class DatedPrice(Struct, frozen=True, omit_defaults=True):
    """A price and the first day it holds; None: from the beginning."""

    price: Price
    valid_from: date | None = None


class ListedModel(Struct, frozen=True, omit_defaults=True):
    """The models that a rule matches, with their prices from the oldest to the newest; none: the
    price is not known.

    `id` is genai-prices' name for them. A rule is `{equals: text}`, `starts_with`, `ends_with`,
    `contains` or `regex`, or `{or: [rules]}`, `{and: [rules]}`.
    """

    id: str
    match: Mapping[str, Any]
    prices: tuple[DatedPrice, ...] = ()
    context: int | None = None

    def price_on(self, day: date) -> Price | None:
        """The newest price that holds on that day."""
        dated = (
            each.price
            for each in reversed(self.prices)
            if each.valid_from is None or each.valid_from <= day
        )
        return next(dated, None)


class PriceList(Struct, frozen=True):
    """The models of one vendor; the first that matches a name counts. `source` says where the
    prices are from."""

    source: str
    models: tuple[ListedModel, ...]

    def find(self, model: str) -> ListedModel | None:
        """The listed model that `model` names."""
        return next((each for each in self.models if _matches(each.match, model.lower())), None)


class PriceCatalogue:
    """Prices and limits by vendor, model and day.

    `read_price_list` gives the JSON text of a vendor's list, None for a vendor without one; it is
    read when first needed.
    """

    def __init__(
        self, overrides: Sequence[PriceOverride], read_price_list: Callable[[str], bytes | None]
    ) -> None:
        self._read_price_list = read_price_list
        self._price_list = cache(self._decode_price_list)
        self._overrides: dict[tuple[str, str], list[PriceOverride]] = {}
        for override in sorted(
            overrides, key=lambda each: each.valid_from or date.min, reverse=True
        ):
            for name in (override.entry.model, *override.aliases):
                self._overrides.setdefault((override.entry.vendor, name), []).append(override)

    def find(self, vendor: str, model: str, on: date) -> PriceEntry | None:
        """What is known of `model` on that day, None where that is nothing.

        A model is not priced before the first day of its override, where it has one.
        """
        price_list = self._price_list(vendor)
        listed = price_list.find(model) if price_list else None
        overrides = (
            self._overrides.get((vendor, model))
            or (listed and self._overrides.get((vendor, listed.id)))
            or ()
        )
        override = next((each for each in overrides if each.is_valid_on(on)), None)
        if overrides and override is None:
            return None
        own = override.entry if override else PriceEntry(vendor, model)
        if price_list and own.model != model:  # an alias, which the list need not know
            listed = price_list.find(own.model)
        if price_list is None or listed is None:
            return own if override else None
        price = listed.price_on(on)
        return PriceEntry(
            vendor=vendor,
            model=own.model,
            price=own.price
            or (None if price is None else replace(price, source=price_list.source)),
            context=own.context or listed.context,
            image_tokens=own.image_tokens,
            neurons=own.neurons,
        )

    def _decode_price_list(self, vendor: str) -> PriceList | None:
        text = self._read_price_list(vendor)
        return None if text is None else msgspec.json.decode(text, type=PriceList)


def _matches(rule: Mapping[str, Any], name: str) -> bool:
    ((kind, value),) = rule.items()
    match kind:
        case "equals":
            return bool(name == value)
        case "starts_with":
            return name.startswith(value)
        case "ends_with":
            return name.endswith(value)
        case "contains":
            return value in name
        case "regex":
            return re.search(value, name) is not None
        case "or":
            return any(_matches(each, name) for each in value)
        case "and":
            return all(_matches(each, name) for each in value)
    raise ValueError(f"price list: there is no rule {kind!r}")


def parse_overrides(text: str) -> list[PriceOverride]:
    """The overrides in `text` (YAML). Raises ValueError, naming the entry, where there are none."""
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, the C one where there is one
        return [
            _parse_override(listing, fields)
            for listing in content["vendors"]
            for fields in listing["models"]
        ]
    except (TypeError, KeyError, AttributeError, yaml.YAMLError) as cause:
        raise ValueError(f"price catalogue: {cause!r}") from cause


def _parse_override(listing: Mapping[str, Any], fields: Mapping[str, Any]) -> PriceOverride:
    try:
        given = dict(fields)
        neurons = given.pop("neurons", None)
        price = _pop_price(given, str(listing["source"])) if "input" in given else None
        span = {name: given.pop(name) for name in ("valid_from", "valid_to") if name in given}
        aliases = tuple(given.pop("aliases", ()))
        entry = PriceEntry(
            listing["vendor"],
            price=price,
            neurons=NeuronRates(**neurons) if neurons else None,
            **given,
        )
        return PriceOverride(entry, aliases, **span)
    except (TypeError, KeyError, InvalidOperation) as cause:
        raise ValueError(
            f"price catalogue, {listing.get('vendor')} {fields.get('model')}: {cause!r}"
        ) from cause


def _pop_price(given: dict[str, Any], source: str) -> Price:
    """The price fields, taken out of `given`."""
    caches: dict[str, Any] = {
        name: Decimal(given.pop(name)) for name in _CACHE_PRICES if name in given
    }
    return Price(
        input=Decimal(given.pop("input")),
        output=Decimal(given.pop("output")),
        source=source,
        **caches,
    )
