"""Prices that changed since a run began: what is said of it, and the dearer of both for its budget.

Pure. A price from a manifest is known by its input, output and per-request figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from harness.model import Price, Target

FIGURES = ("input", "output", "per_request")


def price_facts(price: Price | None) -> dict[str, str] | None:
    """A price as a manifest keeps it."""
    if price is None:
        return None
    known = {name: str(figure) for name, figure in _figures(price).items() if figure}
    return {"input": "0", "output": "0", **known, "source": price.source}


def dearer_prices(
    then: Mapping[str, Mapping[str, Any]], targets: Iterable[Target]
) -> dict[str, Price]:
    """Of each target whose price has changed, by name: the dearer of both, figure by figure."""
    found = {}
    for target in targets:
        old, now = _old_figures(then.get(target.name, {}).get("price")), target.price
        if old is not None and now is not None and old != _figures(now):
            dearest = {name: max(old[name], figure) for name, figure in _figures(now).items()}
            found[target.name] = replace(now, **dearest)
    return found


def describe_changes(
    then: Mapping[str, Mapping[str, Any]], targets: Iterable[Target], changed: Iterable[str]
) -> str:
    """One sentence that names the changed prices, in dollars per million tokens."""
    prices = {target.name: target.price for target in targets}
    parts = []
    for name in changed:
        old, now = _old_figures(then[name]["price"]), prices[name]
        if old is None or now is None:
            continue
        figures = [
            f"{figure} ${old[figure]:f} → ${new:f}"
            for figure, new in _figures(now).items()
            if old[figure] != new
        ]
        parts.append(f"{name}: {', '.join(figures)}")
    return (
        f"prices changed since this run began ({'; '.join(parts)}): a budget counts every request"
        " at the higher of the two"
    )


def _figures(price: Price) -> dict[str, Decimal]:
    return {name: getattr(price, name) for name in FIGURES}


def _old_figures(facts: Mapping[str, str] | None) -> dict[str, Decimal] | None:
    """The figures of a manifest; those of before `per_request` was kept have none."""
    return None if not facts else {name: Decimal(facts.get(name, "0")) for name in FIGURES}
