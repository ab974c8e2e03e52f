"""What commands print, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from harness.cli.interrupts import interrupts_end_with
from harness.errors import ExitCode

if TYPE_CHECKING:
    from harness.app.background import BackgroundProcess
    from harness.cli.display import LiveDisplay


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come. Where they cannot be written (the reader of `… | head` has left),
    the rest is not wanted."""
    for line in lines:
        print(line)
        if getattr(sys.stdout, "lost", None):
            return
    sys.stdout.flush()


def open_display(maker: BackgroundProcess | None) -> LiveDisplay:
    """A display on the terminal; when requests are sent, `maker` uses no time any more that their
    clocks may want."""
    from harness.cli.display import LiveDisplay  # noqa: PLC0415
    from harness.cli.terminal import open_terminal  # noqa: PLC0415

    console, on_begin = open_terminal(), maker.pause if maker else lambda: None
    return LiveDisplay(
        console, live=console.is_interactive and sys.stderr.isatty(), on_begin=on_begin
    )


@contextmanager
def report_process() -> Iterator[BackgroundProcess | None]:
    """A process that gets ready to make the report while the run starts, where that helps; it ends
    with the command."""
    from harness.app.report_job import start_report_process  # noqa: PLC0415

    with start_report_process() or nullcontext() as maker:
        yield maker


def conclude_run(
    maker: BackgroundProcess | None,
    runs: Sequence[Path],
    out: Path | None = None,
    *,
    stopped: Sequence[str] = (),
    codes: Sequence[ExitCode] = (),
) -> None:
    """Print the result table, write the report, say what stopped the run and how to go on, and end
    with the exit code."""
    from harness.app.report_job import ReportJob, make_report  # noqa: PLC0415
    from harness.cli.terminal import closing_lines, terminal_style  # noqa: PLC0415

    named = " ".join(quote(str(run)) for run in runs)
    with interrupts_end_with(
        f"interrupted before the report was written; make it with: harness report {named}"
    ):
        steps = make_report(maker, ReportJob(tuple(runs), out, tuple(codes), *terminal_style()))
        shown = next(steps)
        print_lines([shown.table])
        for _ in steps:  # until the files are written
            pass
    print_lines(closing_lines(shown.folder, stopped, shown.exit_code))
    if shown.exit_code != ExitCode.OK:
        raise typer.Exit(shown.exit_code)
