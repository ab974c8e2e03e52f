"""What a person sees while a run is under way: a live panel on a terminal, plain lines elsewhere.

Everything shown that came from outside (names, messages) is shown as text: `rich` is given `Text`, never markup.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.engine.progress import Progress, Tally

if TYPE_CHECKING:
    from harness.results import Outcome

LINE_EVERY = 5.0
"""Seconds between two plain lines."""


class Display:
    """Shows a run's progress; use as a context manager around the run. `budget` is US dollars, None without one."""

    def __init__(self, console: Console, *, budget: float | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._console, self._budget, self._now = console, budget, now
        self._progress = Progress()
        self._live: Live | None = None
        self._started = self._said = now()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.update(self._panel(), refresh=True)
            self._live.stop()

    def say(self, text: str) -> None:
        """Print one line above whatever else is shown."""
        self._console.print(Text(text))

    def begin(self, progress: Progress, budget: float | None) -> None:
        """Start showing `progress`, which the run keeps up to date."""
        self._progress, self._budget = progress, budget
        self._started = self._said = self._now()
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._panel, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()

    def tick(self) -> None:
        """Called after each record: prints a plain line now and then where there is no terminal."""
        if self._live is None and self._now() - self._said >= LINE_EVERY:
            self._said = self._now()
            self._console.print(Text(self.line()))

    def line(self) -> str:
        """The whole run in one line."""
        total = self._progress.total
        finished = total.done + total.already
        parts = [f"{finished:,}/{total.planned:,} done", f"{self._rate(total):.1f}/s", _passing(total)]
        parts += [f"{total.errors:,} errors"] if total.errors else []
        parts += [self._spend(total), f"ETA {self._eta(total)}"]
        return " · ".join(part for part in parts if part)

    def _panel(self) -> Group:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
        for column, justify in (("target", "left"), ("", "left"), ("done", "right"), ("in flight", "right")):
            table.add_column(column, justify="right" if justify == "right" else "left", no_wrap=True)
        for column in ("passing", "errors", "retries", "spent"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, tally in self._progress.targets.items():
            table.add_row(*self._row(name, tally))
        return Group(table, Text(self.line(), style="bold"))

    def _row(self, name: str, tally: Tally) -> list[Text | ProgressBar]:
        finished = tally.done + tally.already
        return [
            Text(name[:28]),
            ProgressBar(total=max(1, tally.planned), completed=finished, width=24),
            Text(f"{finished:,}/{tally.planned:,}"),
            Text(f"{tally.in_flight}"),
            Text(_share(tally)),
            Text(f"{tally.errors:,}", style="red" if tally.errors else ""),
            Text(f"{tally.retries:,}", style="yellow" if tally.retries else ""),
            Text(f"${tally.cost:.4f}"),
        ]

    def _rate(self, total: Tally) -> float:
        return total.done / max(1e-9, self._now() - self._started)

    def _eta(self, total: Tally) -> str:
        if not total.done:
            return "–"
        return duration(total.owed / max(1e-9, self._rate(total)))

    def _spend(self, total: Tally) -> str:
        of = "" if self._budget is None else f" of ${self._budget:.2f}"
        unknown = f" (+{total.unpriced:,} unpriced)" if total.unpriced else ""
        return f"${total.cost:.4f}{of}{unknown}"


def _share(tally: Tally) -> str:
    judged = tally.passed + tally.failed
    return f"{tally.passed / judged:.1%}" if judged else "–"


def _passing(tally: Tally) -> str:
    return f"{_share(tally)} passing" if tally.passed + tally.failed else ""


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8s`, `3m 20s`, `2h 05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def conclusion(outcome: Outcome) -> str:
    """What a person reads at the end: the result table, what stopped the run, where the report is, how to go on."""
    from harness.reporters.console import WIDTH, console_report  # noqa: PLC0415 — pandas, only at the end

    out = Console()
    width = min(160, out.width) if out.is_terminal else WIDTH
    colour = out.is_terminal and not out.no_color
    lines = [console_report(outcome.comparison, width, color=colour)]
    lines += [f"stopped: {reason}" for reason in outcome.stopped]
    if outcome.stopped:
        lines.append(f"go on with: harness resume {_shown(outcome.folder)}")
    lines.append(f"report: {_shown(outcome.folder / 'report.html')}")
    return "\n".join(lines)


def _shown(path: Path) -> str:
    """`path` as a person would type it here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def terminal() -> Console:
    """The console of progress and messages: standard error, so that standard output can be piped."""
    return Console(file=sys.stderr, highlight=False)
