"""The configuration table, once for all reporters: which columns there are, and which rows differ
in what.

What all configurations share (one eval, one target, …) is said once above the table, and only what
differs becomes a column.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from harness.analysis import formatting
from harness.analysis.report_data import CaseRow, Cell, Configuration, GateResult, Report
from harness.analysis.row_schema import plain_text
from harness.analysis.stats import Estimate
from harness.metrics.table import METRICS, Count, Metric, Rate
from harness.wording import pluralize

RUN_CHARACTERS = 28
EXTRA_RANK = 10
"""Figures of this rank or a higher one come last, and not on paper or in Markdown."""

VERDICTS = {
    "pass": "PASS",
    "fail": "FAIL",
    "inconclusive": "INCONCLUSIVE",
    "unknown": "NO FIGURE",
    "unfinished": "UNFINISHED",
    "errors": "ERRORS",
    "ungraded": "UNGRADED",
    "no gates": "DONE",
}
"""A report's verdict -> the word reporters print."""


class Figure(Struct, frozen=True):
    """A column of figures; `rank` says which go first where room is short (0 never goes)."""

    title: str
    rank: int
    name: str
    metric: Metric
    about: str

    @property
    def is_extra(self) -> bool:
        """Whether the figure is left out where there is room for the main ones only."""
        return self.rank >= EXTRA_RANK

    @property
    def has_bar(self) -> bool:
        """Whether the figure is a rate, shown with its interval."""
        return isinstance(self.metric.aggregate, Rate)

    def text(self, configuration: Configuration) -> str:
        """The figure as people read it; a count of what went wrong is only said where there
        is one."""
        estimate, format_value = configuration[self.name], formatting.FORMATTERS[self.metric.unit]
        if self.has_bar:
            return _format_with_interval(estimate, format_value) + self._own_n(configuration)
        is_count = (
            isinstance(self.metric.aggregate, Count) and self.metric.aggregate.outcome is not None
        )
        return (
            formatting.UNKNOWN if is_count and not estimate.value else format_value(estimate.value)
        )

    def _own_n(self, configuration: Configuration) -> str:
        """How many trials the figure rests on, where that is fewer than were answered; said once
        for all statistics of a measure."""
        estimate, answered = configuration[self.name], configuration.n - configuration.errors
        shown = self.metric.shown[0]
        if estimate.value is None or not estimate.n or estimate.n >= answered:
            return ""
        return f" (n = {estimate.n:,})" if self.metric.figure_name(shown) == self.name else ""

    def tooltip(self, configuration: Configuration) -> str:
        """n, interval and method of the figure, where it has them."""
        estimate = configuration[self.name]
        if not self.metric.has_interval or estimate.value is None:
            return ""
        spread = formatting.format_interval(estimate, formatting.FORMATTERS[self.metric.unit])
        return (
            f"n = {estimate.n:,}{f', 95 % interval {spread}' if spread else ''} ({estimate.method})"
        )


def _format_with_interval(estimate: Estimate, write: formatting.Formatter) -> str:
    spread = formatting.format_interval(estimate, write).replace(" to ", "–").replace(" %–", "–")
    return f"{write(estimate.value)} ({spread})" if spread else write(estimate.value)


def count_or_unknown(number: int) -> str:
    """The number, an en dash for zero: a count of what seldom happens."""
    return formatting.format_count(number) if number else formatting.UNKNOWN


FIGURES = tuple(
    Figure(shown.title, shown.rank, metric.figure_name(shown), metric, metric.describe(shown))
    for metric in METRICS.values()
    for shown in metric.shown
)


class ConfigurationTable(Struct, frozen=True):
    """Titles and rows as text: `axes` columns that tell rows apart, then figures; `shared` is what
    all rows have alike."""

    shared: tuple[tuple[str, str], ...]
    axes: tuple[str, ...]
    figures: tuple[Figure, ...]
    rows: tuple[tuple[str, ...], ...]


def configuration_table(
    configurations: Sequence[Configuration], figures: Sequence[Figure] = FIGURES
) -> ConfigurationTable:
    """The table of these configurations, without the figures nobody has and the axes nobody differs
    in."""
    points = [configuration_axes(configuration) for configuration in configurations]
    names = list(dict.fromkeys(name for point in points for name in point))
    values = {name: [point.get(name, formatting.UNKNOWN) for point in points] for name in names}
    differing = [name for name in names if len(set(values[name])) > 1] or (
        ["prompt"] if configurations else []
    )
    kept = tuple(
        figure
        for figure in figures
        if any(figure.text(c) != formatting.UNKNOWN for c in configurations)
    )
    rows = [
        (
            *(values[name][index] for name in differing),
            *(figure.text(configuration) for figure in kept),
        )
        for index, configuration in enumerate(configurations)
    ]
    shared = tuple(
        (name, values[name][0]) for name in names if name not in differing and values[name]
    )
    return ConfigurationTable(shared, tuple(differing), kept, tuple(rows))


def configuration_axes(configuration: Configuration) -> dict[str, str]:
    """What identifies a configuration, by name."""
    setting = {name: plain_text(value) or "null" for name, value in configuration.setting.items()}
    named = {
        "eval": configuration.eval,
        "prompt": configuration.prompt,
        "target": configuration.target,
    }
    return {**named, **setting, "run": short_run(configuration.run)}


def short_run(run: str) -> str:
    """A run's id, short enough for a column; its end tells runs apart."""
    return run if len(run) <= RUN_CHARACTERS else f"…{run[1 - RUN_CHARACTERS :]}"


def gate_name(report: Report, gate: GateResult) -> str:
    """The gate as the suite has it, with its run where there are several."""
    return f"{short_run(gate.run)}: {gate.text}" if len(report.runs) > 1 else gate.text


def short_labels(report: Report, without: str = "") -> list[str]:
    """For each configuration the shortest label that tells it from the others; `without` an axis
    that is shown elsewhere."""
    table = configuration_table(report.configurations, ())
    named = [
        " · ".join(
            value if name in {"eval", "prompt", "target", "run"} else f"{name}={value}"
            for name, value in cells
            if name != without
        )
        for cells in (zip(table.axes, row, strict=True) for row in table.rows)
    ]
    return [
        name or configuration.label
        for name, configuration in zip(named, report.configurations, strict=True)
    ]


def bad_cells(case: CaseRow) -> list[Cell]:
    """Where a case did not pass, the configurations that failed first, by how seldom it passed."""
    bad = [cell for cell in case.cells if cell.bad]
    return sorted(bad, key=lambda cell: (not cell.failed, cell.passed / cell.n))


def describe_others(cells: Sequence[Cell]) -> str:
    """In how many more configurations a case failed, and in how many it only broke; empty for
    none."""
    failed = sum(cell.failed > 0 for cell in cells)
    found = [
        f"{what} in {pluralize(count, 'more configuration')}"
        for what, count in (("also fails", failed), ("not judged", len(cells) - failed))
        if count
    ]
    return ", ".join(found)


def total_facts(report: Report) -> list[tuple[str, str]]:
    """The totals as label and text, unknown ones left out."""
    totals = report.totals
    counts = [
        ("passed", totals.passed),
        ("failed", totals.failed),
        ("no verdict", totals.no_verdict),
        ("ungraded", totals.ungraded),
        ("errors", totals.errors),
        ("replayed", totals.replayed),
        ("retries", totals.retries),
    ]
    money = [
        ("spent", totals.spent),
        ("judges", totals.graded),
        ("simulated users", totals.users),
        ("saved by replay", totals.saved),
    ]
    tokens = [("tokens in", totals.input_tokens), ("tokens out", totals.output_tokens)]
    return [
        ("trials", formatting.format_count(totals.trials)),
        *((name, formatting.format_count(value)) for name, value in counts if value),
        *((name, formatting.format_count(value)) for name, value in tokens if value is not None),
        *((name, formatting.format_dollars(value)) for name, value in money if value is not None),
        *(
            [("requests of unknown cost", formatting.format_count(totals.unpriced))]
            if totals.unpriced
            else []
        ),
    ]


def run_facts(report: Report) -> list[str]:
    """One line a run: where its figures come from."""
    lines = []
    for run in report.runs:
        commit = f"commit {run.commit[:10]}{' (dirty)' if run.dirty else ''}" if run.commit else ""
        done = f"{run.recorded:,} of {pluralize(run.planned, 'trial')}"
        lag = (
            ""
            if run.lag_p99 is None
            else f"client event loop lag {formatting.format_seconds(run.lag_p99)} (p99)"
        )
        in_flight = "" if run.in_flight is None else f"at most {run.in_flight:,} in flight"
        facts = (
            run.id,
            done,
            run.selection and f"part of the suite: {run.selection}",
            run.created,
            commit,
            f"seed {run.seed}",
            in_flight,
            lag,
            "SIMULATED" if run.simulated else "",
        )
        lines.append(" · ".join(fact for fact in facts if fact))
    return lines
