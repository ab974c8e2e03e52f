"""What the report's plots show, without what draws them: plain data that another process can be
given.

Labels are safe to be drawn, and rows are capped at what can be read. Whoever only draws must not
have to import pandas, so this module does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from harness.reporters.escape import escape_for, one_line

if TYPE_CHECKING:
    from harness.analysis.report_data import Report
    from harness.analysis.stats import Estimate

CONFIGURATION_LIMIT = 24
"""Configurations a plot shows; more are not readable."""
CURVE_LIMIT = 6
"""Latency curves a plot tells apart."""
POINT_LIMIT = 1_000
"""Steps a curve is drawn with."""

_escape_label = escape_for("plot")


class PlotData(Struct, frozen=True):
    """Rows, each beginning with a label; no rows where there is nothing to show.

    A pass rate is `(label, value, low, high)`, without an interval where low or high is None. A
    curve is `(label, seconds, share of answers within)` with arrays, a range `(label, median, 95th
    percentile)` in seconds; there are curves where few configurations are compared, else ranges.
    `costs` are US dollars per 1,000 requests.
    """

    pass_rates: tuple[tuple[str, float | None, float | None, float | None], ...]
    curves: tuple[tuple[str, Any, Any], ...]
    ranges: tuple[tuple[str, float | None, float | None], ...]
    costs: tuple[tuple[str, float], ...]


def collect_plot_data(report: Report) -> PlotData:
    """Collect what the plots of a report show."""
    from harness.reporters.tables import short_labels  # noqa: PLC0415 — see above

    labels = [_escape_label(one_line(text, 56)) for text in short_labels(report)]
    rows = list(zip(labels, report.configurations, strict=True))
    measured = [number for number, (_, c) in enumerate(rows) if c["latency.p50"].n]
    few = len(measured) <= CURVE_LIMIT
    ranges = [(labels[number], rows[number][1]) for number in measured[:CONFIGURATION_LIMIT]]
    pass_rates = [_pass_rate_row(label, c["pass_rate"]) for label, c in rows if c["pass_rate"].n]
    costs = [(label, cost) for label, c in rows if (cost := c["cost_per_1000"].value) is not None]
    return PlotData(
        pass_rates=tuple(pass_rates[:CONFIGURATION_LIMIT]),
        curves=_latency_curves(report, labels, measured) if few else (),
        ranges=()
        if few
        else tuple((label, c["latency.p50"].value, c["latency.p95"].value) for label, c in ranges),
        costs=tuple(costs[:CONFIGURATION_LIMIT]),
    )


def _pass_rate_row(
    label: str, estimate: Estimate
) -> tuple[str, float | None, float | None, float | None]:
    return label, estimate.value, estimate.low, estimate.high


def _latency_curves(
    report: Report, labels: Sequence[str], numbers: Sequence[int]
) -> tuple[tuple[str, Any, Any], ...]:
    trials, found = report.frames.trials, []
    for number in numbers:
        c = report.configurations[number]
        mine = (
            (trials["run"] == c.run) & (trials["eval"] == c.eval) & (trials["prompt"] == c.prompt)
        )
        mine &= (trials["target"] == c.target) & (
            trials["setting"] == _setting_text(report, number)
        )
        found.append(
            (labels[number], *_distribution_steps(trials.loc[mine, "latency"].dropna().to_numpy()))
        )
    return tuple(found)


def _setting_text(report: Report, number: int) -> str:
    cells = report.cells
    worst = cells.loc[(cells["number"] == number).idxmax(), "worst"]
    text: str = report.frames.trials["setting"].iloc[worst]
    return text


def _distribution_steps(values: Any) -> tuple[Any, Any]:
    """The empirical distribution function, thinned to `POINT_LIMIT` steps."""
    ordered = np.sort(values)
    chosen = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), POINT_LIMIT)).astype(int))
    return np.concatenate(([ordered[0]], ordered[chosen])), np.concatenate(
        ([0.0], (chosen + 1) / len(ordered))
    )
