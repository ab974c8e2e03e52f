"""Figures as people read them; one place, so that the terminal, Markdown, HTML and gates' sentences
agree.

Unknown is an en dash in tables. Numbers keep three significant digits: more would claim what the
intervals deny.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor, isfinite, log10
from typing import TYPE_CHECKING

from harness.config.diagnostics import quote_text
from harness.metrics.table import Unit
from harness.wording import pluralize

if TYPE_CHECKING:
    from harness.analysis.stats import Estimate

UNKNOWN = "–"

Formatter = Callable[[float | None], str]


def format_significant(value: float, digits: int = 3) -> str:
    """`value` with so many significant digits, in positional notation, thousands grouped."""
    if value == 0 or not isfinite(value):
        return "0" if value == 0 else str(value)
    places = digits - 1 - floor(log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def format_percent(value: float | None) -> str:
    """A share of 1 as per cent, one decimal."""
    return UNKNOWN if value is None else f"{value * 100:.1f} %"


def format_score(value: float | None) -> str:
    """A score in 0..1, three decimals."""
    return UNKNOWN if value is None else f"{value:.3f}"


def format_seconds(value: float | None) -> str:
    """Seconds, or milliseconds below one second."""
    if value is None:
        return UNKNOWN
    return (
        f"{format_significant(value)} s" if value >= 1 else f"{format_significant(value * 1000)} ms"
    )


def format_dollars(value: float | None) -> str:
    """US dollars: cents where that is enough, else four significant digits."""
    if value is None:
        return UNKNOWN
    return f"${value:,.2f}" if value >= 10 or value == 0 else f"${format_significant(value, 3)}"


def format_count(value: float | None) -> str:
    """A whole number, thousands grouped."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def format_number(value: float | None) -> str:
    """A number with three significant digits."""
    return UNKNOWN if value is None else format_significant(value)


FORMATTERS: Mapping[Unit, Formatter] = {
    "share": format_percent,
    "score": format_score,
    "seconds": format_seconds,
    "dollars": format_dollars,
    "count": format_count,
    "per second": format_number,
}


def format_interval(estimate: Estimate, write: Formatter) -> str:
    """The interval as `low to high`, or its one known end; empty where there is none."""
    if estimate.low is not None and estimate.high is not None:
        return f"{write(estimate.low)} to {write(estimate.high)}"
    return f"≤ {write(estimate.high)}" if estimate.high is not None else ""


def join_names(values: list[str], limit: int = 8) -> str:
    """A list in a sentence, cut after `limit`."""
    rest = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(values[:limit]) + rest


def slow_down_text(attempts: int, refusals: Mapping[str, int], slowed: float) -> str:
    """What slowed a target down, and for how long: `slowed by 429s for 12 s: 19 of 519 attempts`;
    empty where nothing did."""
    if not slowed and not refusals:
        return ""
    causes = sorted(refusals, key=lambda cause: -refusals[cause])
    names = [f"{cause}s" if cause.isdecimal() else f"errors ({cause})" for cause in causes]
    share = f"{sum(refusals.values()):,} of {pluralize(attempts, 'attempt')}"
    if not slowed:
        return f"{share} refused ({join_names(causes)})"
    by = join_names(names) if names else "its rate-limit headers"
    return f"slowed by {by} for {format_seconds(slowed)}" + (f": {share}" if causes else "")


def add_extract(reason: str, extracted: str) -> str:
    """A grade's reason, with what was extracted from the answer where it does not quote that."""
    quoted = quote_text(extracted)
    return reason if quoted in reason else f"{reason} (graded: {quoted})".lstrip()
