"""The small tables of a report, once for all reporters: graders, judges and simulated users, pace.

Their cells are text, in columns that are aligned left or right; `narrow` leaves out what has no
room in a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from harness.analysis import formatting
from harness.analysis.report_data import GraderUse, Report
from harness.reporters.tables import count_or_unknown, short_run


class Listing(Struct, frozen=True):
    """A table: its heading, what it is, and its columns with the side each is aligned to (`l` or
    `r`)."""

    heading: str
    about: str
    titles: tuple[str, ...]
    sides: str
    rows: tuple[tuple[str, ...], ...]

    def narrow(self, dropped: Sequence[str]) -> Listing:
        """The table without these columns, and without those in which no row has anything."""
        kept = [
            place
            for place, title in enumerate(self.titles)
            if title not in dropped and any(row[place] != formatting.UNKNOWN for row in self.rows)
        ]
        return Listing(
            self.heading,
            self.about,
            tuple(self.titles[place] for place in kept),
            "".join(self.sides[place] for place in kept),
            tuple(tuple(row[place] for place in kept) for row in self.rows),
        )


def list_tables(report: Report, *, brief: bool = False) -> Iterator[Listing]:
    """The tables that have any rows; where `brief`, without graders that say what the pass rate
    says.
    """
    repeated = brief and all(_is_lone_grader(report, use) for use in report.graders)
    graders = () if repeated else (_list_graders(report),)
    for listing in (*graders, _list_helpers(report), _list_paces(report)):
        if listing.rows:
            yield listing.narrow(())


def _is_lone_grader(report: Report, use: GraderUse) -> bool:
    """Whether it alone decides if an answer passes, and did so for each."""
    beside = [each for each in report.graders if (each.run, each.eval) == (use.run, use.eval)]
    return len(beside) == 1 and not (use.ungraded or use.reported or use.cost)


def _list_graders(report: Report) -> Listing:
    several = len({use.eval for use in report.graders}) > 1
    rows = tuple(
        (
            _with_run(report, use.run, f"{use.eval}/{use.name}" if several else use.name),
            formatting.format_count(use.passed),
            formatting.format_count(use.failed),
            count_or_unknown(use.unparsed),
            count_or_unknown(use.ungraded),
            count_or_unknown(use.reported),
            formatting.format_score(use.mean),
            count_or_unknown(use.lenient),
            count_or_unknown(use.strict),
            formatting.format_dollars(use.cost),
        )
        for use in report.graders
    )
    return Listing(
        "Graders",
        "the grades that each gave, and how often graders disagree",
        (
            "grader",
            "passed",
            "failed",
            "unparsed",
            "ungraded",
            "reports",
            "mean",
            "passed, another failed",
            "failed, others passed",
            "cost",
        ),
        "lrrrrrrrrr",
        rows,
    )


def _list_helpers(report: Report) -> Listing:
    rows = tuple(
        (
            _with_run(report, use.run, use.name),
            use.role,
            f"{use.model} (simulated)" if use.simulated else use.model,
            formatting.format_count(use.requests),
            count_or_unknown(use.errors),
            formatting.format_seconds(use.latency),
            formatting.format_count(use.input_tokens),
            formatting.format_count(use.output_tokens),
            formatting.format_dollars(use.cost),
        )
        for use in report.helpers
    )
    return Listing(
        "Helpers",
        "judges and simulated users; the figures of configurations do not include them",
        (
            "helper",
            "role",
            "model",
            "requests",
            "errors",
            "p50",
            "tokens in",
            "tokens out",
            "cost",
        ),
        "lllrrrrrr",
        rows,
    )


def _list_paces(report: Report) -> Listing:
    rows = tuple(
        (
            _with_run(report, pace.run, pace.target),
            formatting.format_count(pace.requests),
            formatting.format_seconds(pace.wall_time),
            formatting.format_number(pace.requests_per_s),
            formatting.format_seconds(pace.queue_p50),
            formatting.format_seconds(pace.queue_p95),
            formatting.format_seconds(pace.response_time_p50),
            formatting.format_seconds(pace.response_time_p95),
            formatting.slow_down_text(pace.attempts, pace.refusals, pace.slowed)
            or formatting.UNKNOWN,
        )
        for pace in report.paces
    )
    return Listing(
        "Pace",
        "requests and times of each target, including judges",
        (
            "target",
            "requests",
            "wall time",
            "req/s",
            "queue p50",
            "queue p95",
            "response p50",
            "response p95",
            SLOWED,
        ),
        "lrrrrrrrl",
        rows,
    )


SLOWED = "slowed down"
"""The column of `Pace` that says why a target was asked more slowly."""


def _with_run(report: Report, run: str, name: str) -> str:
    return f"{short_run(run)}: {name}" if len(report.runs) > 1 else name
