"""What the report's plots show, without what draws them: plain data that another process can be
given.

Labels are safe to be drawn, and rows are capped at what can be read. Whoever only draws must not
have to import pandas, so this module does without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from harness.reporters.escape import escape_for, one_line

if TYPE_CHECKING:
    from harness.analysis.report_data import Configuration, Report
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
    `costs` are US dollars per 1,000 requests. Where targets are compared, a row without values is
    the heading of the target whose rows follow.
    """

    pass_rates: tuple[tuple[str, float | None, float | None, float | None], ...]
    curves: tuple[tuple[str, Any, Any], ...]
    ranges: tuple[tuple[str, float | None, float | None], ...]
    costs: tuple[tuple[str, float | None], ...]


def collect_plot_data(report: Report) -> PlotData:
    """Collect what the plots of a report show."""
    from harness.reporters.ranking import choose_configurations  # noqa: PLC0415 — see above

    chosen = choose_configurations(report, CONFIGURATION_LIMIT)
    configurations = report.configurations
    measured = [number for number in chosen if configurations[number]["latency.p50"].n]
    few = len(measured) <= CURVE_LIMIT
    rated = [number for number in chosen if configurations[number]["pass_rate"].n]
    priced = [n for n in chosen if configurations[n]["cost_per_1000"].value is not None]
    return PlotData(
        pass_rates=tuple(
            (label, None, None, None) if c is None else _pass_rate_row(label, c["pass_rate"])
            for label, c in _rows_by_target(report, rated)
        ),
        curves=_latency_curves(report, _plot_labels(report), measured) if few else (),
        ranges=()
        if few
        else tuple(
            (label, _read_figure(c, "latency.p50"), _read_figure(c, "latency.p95"))
            for label, c in _rows_by_target(report, measured)
        ),
        costs=tuple(
            (label, _read_figure(c, "cost_per_1000"))
            for label, c in _rows_by_target(report, priced)
        ),
    )


def _read_figure(configuration: Configuration | None, name: str) -> float | None:
    return None if configuration is None else configuration[name].value


def describe_choice(report: Report) -> str:
    """Which configurations the plots show, empty where they show all."""
    count = len(report.configurations)
    if count <= CONFIGURATION_LIMIT:
        return ""
    return (
        f"{CONFIGURATION_LIMIT} of {count:,} configurations: the best, the worst, and those that no"
        " other one beats in pass rate, cost and latency at once. The table has all."
    )


def _plot_labels(report: Report, without: str = "") -> list[str]:
    from harness.reporters.tables import short_labels  # noqa: PLC0415 — see above

    return [_escape_label(one_line(text, 56)) for text in short_labels(report, without)]


def _rows_by_target(
    report: Report, numbers: Sequence[int]
) -> Iterator[tuple[str, Configuration | None]]:
    """The configurations with their labels, in the order given; where a target has several of them
    and another has some, target by target, each behind its heading."""
    targets: dict[str, list[int]] = {}
    for number in numbers:
        targets.setdefault(report.configurations[number].target, []).append(number)
    if len(targets) < 2 or len(targets) == len(numbers):
        labels = _plot_labels(report)
        yield from ((labels[number], report.configurations[number]) for number in numbers)
        return
    labels = _plot_labels(report, without="target")
    for target, mine in targets.items():
        yield _escape_label(one_line(target, 56)), None
        yield from ((labels[number], report.configurations[number]) for number in mine)


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
