"""What a person sees while a run is under way: a live panel on a terminal, plain lines elsewhere.

Everything shown that came from outside (names, servers' messages) is shown as text: `rich` is given
`Text`, never markup, and controls are escaped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.analysis.formatting import slow_down_text
from harness.cli.pace import RecentPace
from harness.engine.progress import Progress, Tally
from harness.reporters.escape import escape_for
from harness.wording import pluralize

if TYPE_CHECKING:
    pass

LINE_EVERY = 5.0
"""Seconds between two plain lines."""
STILL = 1.0
"""Seconds with nothing in flight and nothing recorded after which that is said instead of
an ETA."""
GAP = 2
NAME_WIDTHS = (12, 40)
BAR_WIDTHS = (6, 24)

_safe = escape_for("terminal")


class _Row(NamedTuple):
    """One line of the panel: a target, or all of them; `rate` is what is done per second, `left`
    the seconds until all is, where they can be told."""

    name: str
    tally: Tally
    rate: float | None
    left: float | None
    helps: bool = False
    """Whether it is asked by graders or simulated users: then it has no trials of its own, and a
    request is what is done."""


class _Column(NamedTuple):
    """A figure of a row."""

    title: str
    rank: int
    """What is dropped first where the terminal is narrow: the highest. 0 always stays."""
    text: Callable[[_Row], str]
    widest: Callable[[_Row], str] = lambda _: ""
    """Room is kept for this, so that nothing moves as figures grow."""
    style: Callable[[_Row], str] = lambda _: ""


def _opening_line(progress: Progress) -> str:
    total, names = progress.total, list(progress.targets)
    before = f", {total.already:,} done before" if total.already else ""
    besides = f"; also asks {', '.join(progress.roles)}" if progress.roles else ""
    return (
        f"{pluralize(total.planned, 'request')} to"
        f" {names[0] if len(names) == 1 else pluralize(len(names), 'target')}{before}{besides}"
    )


def _count_done(tally: Tally) -> str:
    return f"{tally.done + tally.already:,}/{tally.planned:,}"


def _done_text(row: _Row) -> str:
    return f"{row.tally.done:,}" if row.helps else _count_done(row.tally)


def _rate_text(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:,.1f}/s"


def _pass_share(tally: Tally) -> str:
    judged = tally.passed + tally.failed
    return f"{tally.passed / judged:.1%}" if judged else "–"


def _seconds_left(tally: Tally, rate: float | None) -> float | None:
    """Seconds until this target is done, at its present pace; None where it has none."""
    if tally.stopped or not tally.pending:
        return 0.0
    return tally.pending / rate if rate else None


def _time_left_text(seconds: float | None) -> str:
    return "–" if seconds is None else format_duration(seconds)


def _format_dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 100 else f"${value:.4f}"


def _format_exact_dollars(value: float) -> str:
    """A budget as it was given: in cents, or with as many decimals as it takes."""
    whole, _, decimals = f"{value:,.10f}".rstrip("0").partition(".")
    return f"${whole}.{decimals:0<2}"


def format_duration(seconds: float) -> str:
    """Seconds as a person says them: `8s`, `3m 20s`, `2h 05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


COLUMNS = (
    _Column("done", 0, _done_text, lambda row: f"{row.tally.planned:,}/{row.tally.planned:,}"),
    _Column("rate", 4, lambda row: _rate_text(row.rate), lambda _: "999.9/s"),
    _Column("passing", 1, lambda row: _pass_share(row.tally), lambda _: "100.0%"),
    _Column(
        "errors",
        2,
        lambda row: f"{row.tally.errors:,}",
        style=lambda row: "red" if row.tally.errors else "",
    ),
    _Column(
        "retries",
        5,
        lambda row: f"{row.tally.retries:,}",
        style=lambda row: "yellow" if row.tally.retries else "",
    ),
    _Column("in flight", 6, lambda row: f"{row.tally.traffic.in_flight + row.tally.queued:,}"),
    _Column("spent", 3, lambda row: _format_dollars(row.tally.cost), lambda _: "$9.9999"),
    _Column("ETA", 0, lambda row: _time_left_text(row.left), lambda _: "59m 59s"),
)


class LiveDisplay:
    """Shows a run's progress; use as a context manager around the run.

    `live` chooses between the panel and plain lines; by default the console decides. `now` is a
    clock in seconds. `on_begin` is called when a run begins, before it sends anything.
    """

    def __init__(
        self,
        console: Console,
        *,
        live: bool | None = None,
        now: Callable[[], float] = time.monotonic,
        on_begin: Callable[[], None] = lambda: None,
    ) -> None:
        self._console, self._now, self._on_begin = console, now, on_begin
        self._panelled = console.is_interactive if live is None else live
        self._progress = Progress()
        self._budget: float | None = None
        self._live: Live | None = None
        self._started = self._said = self._ticked = self._sampled = now()
        self._paces: dict[str, RecentPace] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print one line above whatever else is shown."""
        self._console.print(Text(_safe(text)), soft_wrap=True)

    def begin(self, progress: Progress, budget: float | None) -> None:
        """Start showing `progress`, which the run keeps up to date. `budget` is the whole run's,
        None without one."""
        self._on_begin()
        self._progress, self._budget = progress, budget
        self._started = self._said = self._ticked = self._sampled = self._now()
        self._paces = {name: RecentPace(self._started) for name in self._tallies}
        if self._panelled:
            self._live = Live(
                get_renderable=self._build_panel,
                console=self._console,
                refresh_per_second=8,
                transient=True,
            )
            self._live.start()
        else:
            self.say(_opening_line(progress))

    def tick(self) -> None:
        """Called after each record: prints a plain line now and then where there is no panel, and
        one at the end."""
        self._ticked = self._now()
        self._sample_paces(self._ticked)
        if self._panelled:
            return
        if self._ticked - self._said >= LINE_EVERY or not any(
            tally.pending for tally in self._progress.targets.values()
        ):
            self._said = self._ticked
            self.say(self.line())

    def line(self) -> str:
        """The whole run in one line."""
        total = self._progress.total
        parts = [f"{_count_done(total)} done", _rate_text(self._total_row().rate)]
        parts += [f"{_pass_share(total)} passing"] if total.passed + total.failed else []
        parts += [pluralize(total.errors, "error")] if total.errors else []
        parts += [f"{total.queued:,} queued"] if total.queued else []
        return " · ".join((*parts, *self._money_and_time(), *self._slow_downs()))

    # ── The panel ─────────────────────────────────────────────────────────────────────────────────

    def _build_panel(self) -> Group:
        self._sample_paces(self._now())
        size, rows = self._console.size, self._target_rows()
        said = [*self._progress.stopped, *self._slow_downs()]
        reasons = [_one_line_text(_safe(reason), "yellow") for reason in said]
        room = max(1, size.height - 6 - len(reasons))
        shown = [
            *rows[:room],
            *([self._total_row()] if len(rows) > 1 else []),
            *self._role_rows()[: max(0, room - len(rows))],
        ]
        foot = [f"{format_duration(self._elapsed_seconds())} elapsed", *self._money_and_time()]
        foot += (
            [f"{pluralize(len(rows) - room, 'more target')} not shown"] if len(rows) > room else []
        )
        return Group(
            _build_table(shown, size.width), *reasons, _one_line_text(" · ".join(foot), "bold")
        )

    def _target_rows(self) -> list[_Row]:
        rows = []
        for name, tally in self._progress.targets.items():
            rate = self._rate(name, tally)
            rows.append(_Row(_safe(name), tally, rate, _seconds_left(tally, rate)))
        return rows

    def _role_rows(self) -> list[_Row]:
        """Judges and simulated users, under those whose trials are counted."""
        return [
            _Row(f"{_safe(name)} (helper)", tally, self._rate(name, tally), None, helps=True)
            for name, tally in self._progress.roles.items()
        ]

    @property
    def _tallies(self) -> dict[str, Tally]:
        """Those of the targets under test, and of the others."""
        return {**self._progress.roles, **self._progress.targets}

    def _sample_paces(self, now: float) -> None:
        """Once a second at most: it is called with every record."""
        if now - self._sampled >= 1:
            self._sampled = now
            for name, tally in self._tallies.items():
                self._paces[name].note(now, tally.done)

    def _rate(self, name: str, tally: Tally) -> float | None:
        """What is done per second: lately, or over all where nothing more is to come."""
        if not self._is_settled():
            return self._paces[name].per_second(self._now(), tally.done)
        seconds = self._elapsed_seconds()
        return tally.done / seconds if seconds > 0 else None

    def _slow_downs(self) -> list[str]:
        """Who is slowed down at the moment, and by what."""
        return [
            f"{name} {slow_down_text(sent.attempts, sent.refusals, sent.slowed_seconds())}"
            for name, sent in self._progress.traffic.items()
            if sent.slow_since is not None and not self._is_settled()
        ]

    def _total_row(self) -> _Row:
        """All targets together, done when the slowest is."""
        rows = self._target_rows()
        rates = [row.rate for row in rows if row.rate is not None]
        known = [row.left for row in rows if row.left is not None]
        left = max(known, default=None) if len(known) == len(rows) else None
        return _Row("all targets", self._progress.total, sum(rates) if rates else None, left)

    def _money_and_time(self) -> list[str]:
        """What was spent of the budget, and how long the rest will take."""
        row = self._total_row()
        ungraded = [f"{row.tally.ungraded:,} ungraded"] if row.tally.ungraded else []
        unknown = f" (+{row.tally.unpriced:,} of unknown cost)" if row.tally.unpriced else ""
        spent = _format_dollars(row.tally.cost + self._progress.spent_before)
        return [
            *ungraded,
            f"{spent}{self._budget_text(row.tally)}{unknown}",
            self._remaining_text(row),
        ]

    def _budget_text(self, total: Tally) -> str:
        """The budget, and what the whole run would cost at the mean so far, where that is more."""
        if self._budget is None:
            return ""
        before = self._progress.spent_before
        whole = before + total.cost + total.cost / total.done * total.pending if total.done else 0.0
        forecast = f", on course for {_format_dollars(whole)}" if whole > self._budget else ""
        return f" of {_format_exact_dollars(self._budget)}{forecast}"

    def _remaining_text(self, row: _Row) -> str:
        if self._is_settled():
            return "writing the report"
        idle = self._now() - self._ticked
        if row.tally.traffic.in_flight == 0 and row.tally.queued:
            return f"waiting for {pluralize(row.tally.queued, 'batched request')}"
        if row.tally.traffic.in_flight == 0 and row.tally.done and idle > STILL:
            return f"nothing in flight for {format_duration(idle)}"
        return f"ETA {_time_left_text(row.left)}"

    def _is_settled(self) -> bool:
        """Whether nothing more will be sent, as far as the tallies tell."""
        tallies = self._progress.targets.values()
        return all(
            (tally.stopped or not tally.pending) and not tally.traffic.in_flight
            for tally in tallies
        )

    def _elapsed_seconds(self) -> float:
        """Since the start, up to the last record where nothing more is sent: writing the report
        makes no target slower."""
        return (self._ticked if self._is_settled() else self._now()) - self._started


def _one_line_text(text: str, style: str) -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _build_table(rows: Sequence[_Row], width: int) -> Table:
    """The rows as a table that fits `width`: with fewer figures, without the bar and with shorter
    names where it must."""
    columns = _fitting_columns(rows, width)
    rest = width - sum(_column_width(column, rows) + GAP for column in columns) - GAP
    longest = max(len("target"), min(NAME_WIDTHS[1], _longest_name(rows)))
    bar = min(BAR_WIDTHS[1], rest - longest - GAP)
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("target", width=max(1, min(longest, rest)), no_wrap=True, overflow="ellipsis")
    if bar >= BAR_WIDTHS[0]:
        table.add_column("", width=bar)
    for column in columns:
        table.add_column(
            column.title, justify="right", width=_column_width(column, rows), no_wrap=True
        )
    for row in rows:
        figures = [Text(column.text(row), column.style(row)) for column in columns]
        table.add_row(
            Text(row.name), *([_progress_bar(row, bar)] if bar >= BAR_WIDTHS[0] else []), *figures
        )
    return table


def _fitting_columns(rows: Sequence[_Row], width: int) -> list[_Column]:
    """As many of the columns, the most important ones, as leave room for a name."""
    columns = list(COLUMNS)
    room = width - min(NAME_WIDTHS[0], _longest_name(rows)) - GAP
    while sum(_column_width(column, rows) + GAP for column in columns) > room and any(
        column.rank for column in columns
    ):
        columns.remove(max(columns, key=lambda column: column.rank))
    return columns


def _longest_name(rows: Sequence[_Row]) -> int:
    return max((cell_len(row.name) for row in rows), default=0)


def _column_width(column: _Column, rows: Sequence[_Row]) -> int:
    return max(
        (
            len(text)
            for row in rows
            for text in (column.title, column.text(row), column.widest(row))
        ),
        default=0,
    )


def _progress_bar(row: _Row, width: int) -> ProgressBar | Text:
    tally = row.tally
    return (
        Text()
        if row.helps
        else ProgressBar(
            total=max(1, tally.planned), completed=tally.done + tally.already, width=width
        )
    )
