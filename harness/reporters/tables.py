"""The configuration table, once for all reporters: which columns there are, and which rows differ in what.

What all configurations share (one eval, one target, …) is said once above the table, and only what differs becomes a column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.analysis import formatting
from harness.analysis.report_data import Configuration, GateResult, Report
from harness.analysis.row_schema import plain_text
from harness.analysis.stats import Estimate

RUN_CHARACTERS = 28

VERDICTS = {
    "pass": "PASS",
    "fail": "FAIL",
    "inconclusive": "INCONCLUSIVE",
    "unknown": "NO FIGURE",
    "unfinished": "UNFINISHED",
    "errors": "ERRORS",
    "no gates": "DONE",
}
"""A report's verdict -> the word reporters print."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of figures; `rank` says which go first where room is short (0 never goes)."""

    title: str
    rank: int
    text: Callable[[Configuration], str]
    about: str


def _format_with_interval(estimate: Estimate, write: formatting.Formatter) -> str:
    spread = formatting.format_interval(estimate, write).replace(" to ", "–").replace(" %–", "–")
    return f"{write(estimate.value)} ({spread})" if spread else write(estimate.value)


def _statistic_reader(measure: str, stat: str) -> Callable[[Configuration], str]:
    def text(configuration: Configuration) -> str:
        found: Estimate | None = getattr(configuration, measure).get(stat)
        return formatting.format_seconds(found.value if found else None)

    return text


def _count_or_unknown(number: int) -> str:
    return formatting.format_count(number) if number else formatting.UNKNOWN


FIGURES = (
    Figure("n", 0, lambda c: formatting.format_count(c.n), "trials recorded"),
    Figure(
        "pass rate (95 %)",
        0,
        lambda c: _format_with_interval(c.pass_rate, formatting.format_percent),
        "passed / (passed + failed)",
    ),
    Figure("errors", 1, lambda c: _count_or_unknown(c.errors), "trials that broke: neither passed nor failed"),
    Figure("ungraded", 6, lambda c: _count_or_unknown(c.ungraded), "answers a grader could not judge"),
    Figure("no verdict", 7, lambda c: _count_or_unknown(c.no_verdict), "answers in which nothing can fail"),
    Figure("score", 4, lambda c: formatting.format_score(c.score.value), "mean score, 0 to 1"),
    Figure("p50", 2, _statistic_reader("latency", "p50"), "median latency"),
    Figure("p90", 10, _statistic_reader("latency", "p90"), "90th percentile of latency"),
    Figure("p95", 2, _statistic_reader("latency", "p95"), "95th percentile of latency"),
    Figure("p99", 11, _statistic_reader("latency", "p99"), "99th percentile of latency"),
    Figure("ttft p50", 5, _statistic_reader("ttft", "p50"), "median time to first token"),
    Figure("ttft p95", 12, _statistic_reader("ttft", "p95"), "95th percentile of the time to first token"),
    Figure("tok/s", 8, lambda c: formatting.format_number(c.output_tokens_per_s.value), "median output tokens / latency"),
    Figure("tokens in", 13, lambda c: formatting.format_count(c.input_tokens), "input tokens of all attempts"),
    Figure("tokens out", 13, lambda c: formatting.format_count(c.output_tokens), "output tokens of all attempts"),
    Figure("cost", 9, lambda c: formatting.format_dollars(c.cost), "US dollars, all attempts"),
    Figure("per 1,000", 3, lambda c: formatting.format_dollars(c.cost_per_1000), "US dollars per 1,000 requests"),
    Figure(
        "per MTok",
        14,
        lambda c: formatting.format_dollars(c.price_per_mtok),
        "US dollars per million tokens, in and out, as it came out",
    ),
)


@dataclass(frozen=True, slots=True)
class ConfigurationTable:
    """Titles and rows as text: `axes` columns that tell rows apart, then figures; `shared` is what all rows have alike."""

    shared: tuple[tuple[str, str], ...]
    axes: tuple[str, ...]
    figures: tuple[Figure, ...]
    rows: tuple[tuple[str, ...], ...]


def configuration_table(configurations: Sequence[Configuration], figures: Sequence[Figure] = FIGURES) -> ConfigurationTable:
    """The table of these configurations, without the figures nobody has and the axes nobody differs in."""
    points = [configuration_axes(configuration) for configuration in configurations]
    names = list(dict.fromkeys(name for point in points for name in point))
    values = {name: [point.get(name, formatting.UNKNOWN) for point in points] for name in names}
    differing = [name for name in names if len(set(values[name])) > 1] or (["prompt"] if configurations else [])
    kept = tuple(figure for figure in figures if any(figure.text(c) != formatting.UNKNOWN for c in configurations))
    rows = [
        (*(values[name][index] for name in differing), *(figure.text(configuration) for figure in kept))
        for index, configuration in enumerate(configurations)
    ]
    shared = tuple((name, values[name][0]) for name in names if name not in differing and values[name])
    return ConfigurationTable(shared, tuple(differing), kept, tuple(rows))


def configuration_axes(configuration: Configuration) -> dict[str, str]:
    """What identifies a configuration, by name."""
    setting = {name: plain_text(value) or "null" for name, value in configuration.setting.items()}
    named = {"eval": configuration.eval, "prompt": configuration.prompt, "target": configuration.target}
    return {**named, **setting, "run": short_run(configuration.run)}


def short_run(run: str) -> str:
    """A run's id, short enough for a column; its end tells runs apart."""
    return run if len(run) <= RUN_CHARACTERS else f"…{run[1 - RUN_CHARACTERS :]}"


def gate_name(report: Report, gate: GateResult) -> str:
    """The gate as the suite has it, with its run where there are several."""
    return f"{short_run(gate.run)}: {gate.text}" if len(report.runs) > 1 else gate.text


def short_labels(report: Report) -> list[str]:
    """For each configuration the shortest label that tells it from the others."""
    table = configuration_table(report.configurations, ())
    named = [
        " · ".join(value if name in {"eval", "prompt", "target", "run"} else f"{name}={value}" for name, value in cells)
        for cells in (zip(table.axes, row, strict=True) for row in table.rows)
    ]
    return [name or configuration.label for name, configuration in zip(named, report.configurations, strict=True)]


ROLE_TITLES = ("helper", "role", "model", "requests", "errors", "p50", "tokens in", "tokens out", "cost")
"""The columns of `role_rows`."""
ROLE_FIGURES = 3
"""Where the figures begin among them."""


def role_rows(report: Report) -> list[tuple[str, ...]]:
    """Judges and simulated users, a row each, with the run where there are several."""
    return [
        (
            f"{short_run(use.run)}: {use.name}" if len(report.runs) > 1 else use.name,
            use.role,
            f"{use.model} (simulated)" if use.simulated else use.model,
            formatting.format_count(use.requests),
            _count_or_unknown(use.errors),
            formatting.format_seconds(use.latency),
            formatting.format_count(use.input_tokens),
            formatting.format_count(use.output_tokens),
            formatting.format_dollars(use.cost),
        )
        for use in report.helpers
    ]


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
        *([("requests of unknown cost", formatting.format_count(totals.unpriced))] if totals.unpriced else []),
    ]


def run_facts(report: Report) -> list[str]:
    """One line a run: where its figures come from."""
    lines = []
    for run in report.runs:
        commit = f"commit {run.commit[:10]}{' (dirty)' if run.dirty else ''}" if run.commit else ""
        done = f"{run.recorded:,} of {formatting.pluralize(run.planned, 'trial')}"
        lag = "" if run.lag_p99 is None else f"client late by {formatting.format_seconds(run.lag_p99)} (p99)"
        in_flight = "" if run.in_flight is None else f"{run.in_flight:,} in flight at most"
        facts = (run.id, done, run.created, commit, f"seed {run.seed}", in_flight, lag, "SIMULATED" if run.simulated else "")
        lines.append(" · ".join(fact for fact in facts if fact))
    return lines
