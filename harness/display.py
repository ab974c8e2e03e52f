"""What a person sees while a run is under way: a live panel on a terminal, plain lines elsewhere; and the words at its end.

Everything shown that came from outside (names, servers' messages) is shown as text: `rich` is given `Text`, never markup, and
controls are escaped.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.engine.progress import Progress, Tally
from harness.errors import ExitCode
from harness.reporters.escape import escape_for

if TYPE_CHECKING:
    from harness.results import Outcome

LINE_EVERY = 5.0
"""Seconds between two plain lines."""
SETTLED = 1.0
"""Seconds without a request under way after which sending is taken to be over."""
GAP = 2
NAME_WIDTHS = (12, 40)
BAR_WIDTHS = (6, 24)

_safe = escape_for("terminal")


class _Column(NamedTuple):
    """A figure of one target; `text` makes it of the tally and the seconds since the start."""

    title: str
    rank: int
    """What is dropped first where the terminal is narrow: the highest. 0 always stays."""
    text: Callable[[Tally, float], str]
    widest: str = ""
    """Room is kept for this, so that nothing moves as figures grow."""
    style: Callable[[Tally], str] = lambda _: ""


def _opening(progress: Progress) -> str:
    total, names = progress.total, list(progress.targets)
    before = f", {total.already:,} done before" if total.already else ""
    return f"{total.planned:,} requests to {names[0] if len(names) == 1 else f'{len(names)} targets'}{before}"


def _done(tally: Tally) -> str:
    return f"{tally.done + tally.already:,}/{tally.planned:,}"


def _rate(tally: Tally, seconds: float) -> str:
    return f"{tally.done / seconds:,.1f}/s" if seconds > 0 else "–"


def _share(tally: Tally) -> str:
    judged = tally.passed + tally.failed
    return f"{tally.passed / judged:.1%}" if judged else "–"


def _eta(tally: Tally, seconds: float) -> float | None:
    """Seconds until this target is done, at its pace so far; None where it has none yet."""
    if tally.stopped or not tally.owed:
        return 0.0
    return tally.owed * seconds / tally.done if tally.done else None


def _left(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


def _dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 100 else f"${value:.4f}"


def _exactly(value: float) -> str:
    """A budget as it was given: in cents, or with as many decimals as it takes."""
    whole, _, decimals = f"{value:,.10f}".rstrip("0").partition(".")
    return f"${whole}.{decimals:0<2}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8s`, `3m 20s`, `2h 05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


COLUMNS = (
    _Column("done", 0, lambda tally, _: _done(tally)),
    _Column("rate", 4, _rate, "999.9/s"),
    _Column("passing", 1, lambda tally, _: _share(tally), "100.0%"),
    _Column("errors", 2, lambda tally, _: f"{tally.errors:,}", "9,999", lambda tally: "red" if tally.errors else ""),
    _Column("retries", 5, lambda tally, _: f"{tally.retries:,}", "9,999", lambda tally: "yellow" if tally.retries else ""),
    _Column("open", 6, lambda tally, _: f"{tally.in_flight:,}", "999"),
    _Column("spent", 3, lambda tally, _: _dollars(tally.cost), "$9.9999"),
    _Column("ETA", 0, lambda tally, seconds: _left(_eta(tally, seconds)), "59m 59s"),
)


class Display:
    """Shows a run's progress; use as a context manager around the run.

    `live` chooses between the panel and plain lines; by default the console decides. `now` is a clock in seconds.
    """

    def __init__(self, console: Console, *, live: bool | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._console, self._now = console, now
        self._panelled = console.is_interactive if live is None else live
        self._progress = Progress()
        self._budget: float | None = None
        self._live: Live | None = None
        self._started = self._said = self._ticked = now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print one line above whatever else is shown."""
        self._console.print(Text(_safe(text)), soft_wrap=True)

    def begin(self, progress: Progress, budget: float | None) -> None:
        """Start showing `progress`, which the run keeps up to date. `budget` is US dollars, None without one."""
        self._progress, self._budget = progress, budget
        self._started = self._said = self._ticked = self._now()
        if self._panelled:
            self._live = Live(get_renderable=self._panel, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        else:
            self.say(_opening(progress))

    def tick(self) -> None:
        """Called after each record: prints a plain line now and then where there is no panel, and one at the end."""
        self._ticked = self._now()
        if self._panelled:
            return
        if self._ticked - self._said >= LINE_EVERY or not any(tally.owed for tally in self._progress.targets.values()):
            self._said = self._ticked
            self.say(self.line())

    def line(self) -> str:
        """The whole run in one line."""
        total, seconds = self._progress.total, self._seconds()
        parts = [f"{_done(total)} done", _rate(total, seconds)]
        parts += [f"{_share(total)} passing"] if total.passed + total.failed else []
        parts += [f"{total.errors:,} {'error' if total.errors == 1 else 'errors'}"] if total.errors else []
        return " · ".join((*parts, *self._money_and_time(total, seconds)))

    # ── The panel ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _panel(self) -> Group:
        total, seconds, size = self._progress.total, self._seconds(), self._console.size
        rows = [(_safe(name), tally) for name, tally in self._progress.targets.items()]
        reasons = [Text(_safe(reason), "yellow", no_wrap=True, overflow="ellipsis") for reason in self._progress.stopped]
        room = max(1, size.height - 6 - len(reasons))
        hidden = rows[room:]
        rows = rows[:room] + ([("all targets", total)] if len(rows) > 1 else [])
        foot = [f"{duration(seconds)} elapsed", *self._money_and_time(total, seconds)]
        foot += [f"{len(hidden):,} more targets not shown"] if hidden else []
        foot_line = Text(" · ".join(foot), "bold", no_wrap=True, overflow="ellipsis")
        return Group(_table(rows, seconds, size.width), *reasons, foot_line)

    def _money_and_time(self, total: Tally, seconds: float) -> list[str]:
        """What was spent of the budget, and how long the rest will take."""
        of = "" if self._budget is None else f" of {_exactly(self._budget)}"
        unknown = f" (+{total.unpriced:,} of unknown cost)" if total.unpriced else ""
        ungraded = [f"{total.ungraded:,} ungraded"] if total.ungraded else []
        if self._over():
            return [*ungraded, f"{_dollars(total.cost)}{of}{unknown}", "writing the report"]
        slowest = [_eta(tally, seconds) for tally in self._progress.targets.values()]
        left = None if None in slowest else max((each for each in slowest if each is not None), default=None)
        return [*ungraded, f"{_dollars(total.cost)}{of}{unknown}", f"ETA {_left(left)}"]

    def _over(self) -> bool:
        """Whether nothing more is sent: everything has its record, or the run was stopped and nothing is under way."""
        total = self._progress.total
        if total.in_flight:
            return False
        settled = all(tally.stopped or not tally.owed for tally in self._progress.targets.values())
        return settled or (total.done > 0 and self._now() - self._ticked > SETTLED)

    def _seconds(self) -> float:
        """Since the start, up to the last record where sending is over: writing the report slows nothing down."""
        return (self._ticked if self._over() else self._now()) - self._started


def _table(rows: Sequence[tuple[str, Tally]], seconds: float, width: int) -> Table:
    """The rows as a table that fits `width`: with fewer figures, without the bar and with shorter names where it must."""
    columns = _fitting(rows, seconds, width)
    rest = width - sum(_width(column, rows, seconds) + GAP for column in columns) - GAP
    longest = max((cell_len(name) for name, _ in rows), default=0)
    bar = min(BAR_WIDTHS[1], rest - min(longest, NAME_WIDTHS[1]) - GAP)
    has_bar = bar >= BAR_WIDTHS[0]
    name_width = max(1, min(longest, NAME_WIDTHS[1], rest - (bar + GAP if has_bar else 0)))
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("target", width=max(name_width, min(6, rest)), no_wrap=True, overflow="ellipsis")
    if has_bar:
        table.add_column("", width=bar)
    for column in columns:
        table.add_column(column.title, justify="right", width=_width(column, rows, seconds), no_wrap=True)
    for name, tally in rows:
        figures = (Text(column.text(tally, seconds), column.style(tally)) for column in columns)
        table.add_row(Text(name), *([_bar(tally, bar)] if has_bar else []), *figures)
    return table


def _fitting(rows: Sequence[tuple[str, Tally]], seconds: float, width: int) -> list[_Column]:
    """As many of the columns, the most important ones, as leave room for a name."""
    columns = list(COLUMNS)
    room = width - min(NAME_WIDTHS[0], max((cell_len(name) for name, _ in rows), default=0)) - GAP
    while sum(_width(column, rows, seconds) + GAP for column in columns) > room and any(column.rank for column in columns):
        columns.remove(max(columns, key=lambda column: column.rank))
    return columns


def _width(column: _Column, rows: Sequence[tuple[str, Tally]], seconds: float) -> int:
    full = max((2 * len(f"{tally.planned:,}") + 1 for _, tally in rows), default=0) if column.title == "done" else 0
    return max(full, len(column.title), len(column.widest), *(len(column.text(tally, seconds)) for _, tally in rows))


def _bar(tally: Tally, width: int) -> ProgressBar:
    return ProgressBar(total=max(1, tally.planned), completed=tally.done + tally.already, width=width)


# ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def conclusion(outcome: Outcome) -> str:
    """What a person reads at the end: the result table, what stopped the run, where the report is, how to go on."""
    from harness.reporters.console import WIDTH, console_report  # noqa: PLC0415 — pandas, only at the end

    out = Console()
    width = min(160, out.width) if out.is_terminal else WIDTH
    colour = out.is_terminal and not out.no_color
    lines = [console_report(outcome.comparison, width, color=colour)]
    lines += [f"stopped: {_safe(reason)}" for reason in outcome.stopped]
    if outcome.stopped:
        more = " --budget DOLLARS" if outcome.exit_code == ExitCode.BUDGET else ""
        lines.append(f"go on with: harness resume {_shown(outcome.folder)}{more}")
    lines.append(f"report: {_shown(outcome.folder / 'report.html')}")
    return "\n".join(lines)


def _shown(path: Path) -> str:
    """`path` as a person would type it here."""
    try:
        return quote(str(path.resolve().relative_to(Path.cwd())))
    except ValueError:
        return quote(str(path))


class _Standing(Console):
    """A console whose reader may leave: what it is told then goes nowhere, and the run goes on."""

    def on_broken_pipe(self) -> None:
        """Instead of ending the process, as `rich` does."""
        self.quiet = True


def terminal() -> Console:
    """The console of progress and messages: standard error, so that standard output can be piped."""
    return _Standing(file=sys.stderr, highlight=False)
