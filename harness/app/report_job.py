"""Makes a report in steps, here or in a separate process: first the table that the user waits for,
then the files.

Nothing heavy is imported with this module. While a run starts, `ReportMaker` imports in a
`BackgroundProcess` what the report needs; `PlotMaker` draws the plots in another one, because
pandas and matplotlib take as long to import as everything else together, and are independent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from harness.app import background
from harness.errors import ExitCode

if TYPE_CHECKING:
    from harness.app.background import BackgroundProcess
    from harness.reporters.plot_data import PlotData


class ReportJob(Struct, frozen=True):
    """Of which runs a report is to be made, where it goes, and how the table is to look.

    `out` and `stopped` are as in `harness.app.report`; `width` is in columns, None for the
    usual one.
    """

    folders: tuple[Path, ...]
    out: Path | None
    stopped: tuple[ExitCode, ...]
    width: int | None
    color: bool


class FinishedTable(Struct, frozen=True):
    """What a person is shown of a report; it is whole once the generator that yielded this has
    ended."""

    table: str
    folder: Path
    exit_code: ExitCode


def start_report_process() -> BackgroundProcess | None:
    """A process that loads what a report needs; None where that would not help."""
    return (
        None
        if "pandas" in sys.modules
        else background.start_background_process("harness.app.report_job:ReportMaker")
    )


def make_report(maker: BackgroundProcess | None, job: ReportJob) -> Iterator[FinishedTable]:
    """Compare, yield what is shown, and write every file of the report; here, where there is no
    `maker`.

    Raises UsageError where a folder holds no run, StoreError where a file cannot be written.
    """
    if maker is not None:
        return maker.perform(job)
    here = ReportMaker()
    here.expect_job()
    return here.perform(job)


class ReportMaker:
    """Makes one report."""

    def __init__(self) -> None:
        self._plot_maker: BackgroundProcess | None = None

    def load(self) -> Iterator[None]:
        """Import what the table needs, then what the files need."""
        from harness.app import report as reports  # noqa: F401, PLC0415
        from harness.reporters import console, html  # noqa: F401, PLC0415

        yield
        from harness.suite import gate_syntax  # noqa: F401, PLC0415

        yield
        html.load_template()
        yield
        import duckdb  # noqa: F401, PLC0415

        yield

    def expect_job(self) -> None:
        """Have matplotlib loaded next door."""
        self._plot_maker = _start_plot_process()

    def perform(self, job: ReportJob) -> Iterator[FinishedTable]:
        """Yields one `FinishedTable`, then writes the files; after `expect_job`."""
        with self._plot_maker or nullcontext() as plot_maker:
            from harness.app import report as reports  # noqa: PLC0415 — pandas, while matplotlib is loaded next door
            from harness.reporters.console import render_for_terminal  # noqa: PLC0415

            outcome = reports.compare_runs(job.folders, job.out, job.stopped)
            yield FinishedTable(
                render_for_terminal(outcome.report, job.width, job.color),
                outcome.folder,
                outcome.exit_code,
            )
            draw = reports.draw_here if plot_maker is None else _draw_in_process(plot_maker)
            reports.write_reports(outcome.folder, outcome.report, draw)


class PlotMaker:
    """Draws the plots of one report."""

    def load(self) -> Iterator[None]:
        """Import matplotlib."""
        from harness.reporters import plots  # noqa: F401, PLC0415

        yield

    def expect_job(self) -> None:
        """All is loaded by then, or about to be."""

    def perform(self, job: PlotData) -> Iterator[Mapping[str, bytes]]:
        """Yields SVG by file name, once."""
        from harness.reporters.plots import draw_plots  # noqa: PLC0415

        yield draw_plots(job)


def _start_plot_process() -> BackgroundProcess | None:
    return (
        None
        if "matplotlib.figure" in sys.modules
        else background.start_background_process("harness.app.report_job:PlotMaker")
    )


def _draw_in_process(
    maker: BackgroundProcess,
) -> Callable[[PlotData], Callable[[], Mapping[str, bytes]]]:
    """Has the plots drawn in the maker's process from the moment they are begun."""

    def draw(data: PlotData) -> Callable[[], Mapping[str, bytes]]:
        parts = maker.perform(data)
        return lambda: next(iter(parts))

    return draw
