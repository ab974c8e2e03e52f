"""Turns run folders into frames and report files: for `harness report`, the end of a run,
notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from harness import registry
from harness.analysis.frame import Frames, build_frames
from harness.analysis.gates import choose_exit_code
from harness.analysis.report_data import Report
from harness.analysis.summarize import build_report
from harness.app.find_run import find_run
from harness.errors import ExitCode, StoreError, UsageError, worst_exit_code
from harness.model import Manifest
from harness.reporters.html import load_template, render_page
from harness.reporters.plot_data import PlotData, collect_plot_data
from harness.runs.folder import PARQUET, PLOTS, REPORTS, make_folder, write_file
from harness.runs.reader import Run
from harness.runs.thumbnails import Thumbnails
from harness.wording import pluralize

Draw = Callable[[PlotData], Callable[[], Mapping[str, bytes]]]
"""Begins to draw the plots; what it returns waits for them: SVG by file name."""


class RunOutcome(Struct, frozen=True):
    """What came of a run, or of looking at several: where the report is, what was found, and the
    exit code that says so.

    `trials`, `exchanges` and `grades` are the data frames that the report was made from.
    """

    folder: Path
    report: Report
    exit_code: ExitCode
    stopped: tuple[str, ...] = ()
    """Why a run ended early, one sentence each; empty where it did not."""

    @property
    def trials(self) -> Any:
        """A row for each trial (docs/measures.md)."""
        return self.report.frames.trials

    @property
    def exchanges(self) -> Any:
        """A row for each request and its response."""
        return self.report.frames.exchanges

    @property
    def grades(self) -> Any:
        """A row for each grade."""
        return self.report.frames.grades

    def __repr__(self) -> str:
        trials = pluralize(len(self.trials), "trial")
        return (
            f"<{self.folder}: {self.report.verdict}, {trials}, exit code {int(self.exit_code)}"
            f" ({self.exit_code.name})>"
        )


def load_run(path: str | Path) -> Frames:
    """A run's frames (`trials`, `exchanges`, `grades`; docs/measures.md lists the columns),
    finished or not.

    Raises UsageError where `path` is no run folder.
    """
    run = Run(find_run(path))
    return build_frames([(run.manifest, run.lines())], answer_limit=None)


def report_runs(
    folders: Sequence[Path], out: Path | None = None, stopped: Sequence[ExitCode] = ()
) -> RunOutcome:
    """Compare runs and write the report files: of one run into its folder, of several into `out`.

    `stopped` are the exit codes of what ended a run before its time. Raises UsageError where a
    folder holds no run.
    """
    outcome = compare_runs(folders, out, stopped)
    write_reports(outcome.folder, outcome.report)
    return outcome


def compare_runs(
    folders: Sequence[Path], out: Path | None = None, stopped: Sequence[ExitCode] = ()
) -> RunOutcome:
    """As `report`, without writing anything: the folder is where the report files would go."""
    folders = [find_run(folder) for folder in folders]
    runs = [Run(folder) for folder in folders]
    manifests = [run.manifest for run in runs]
    names = [manifest.id for manifest in manifests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"the run {', '.join(twice)} is named more than once; name each run once")
    report = _build_report(runs)
    folder = out or (folders[0] if len(folders) == 1 else _comparison_folder(folders[0]))
    return RunOutcome(
        folder,
        report,
        worst_exit_code([choose_exit_code(report, manifest, stopped) for manifest in manifests]),
    )


def draw_here(data: PlotData) -> Callable[[], Mapping[str, bytes]]:
    """Draws the plots in this process, when they are waited for."""
    from harness.reporters.plots import (  # noqa: PLC0415
        draw_plots,
    )

    return lambda: draw_plots(data)


def write_reports(folder: Path, report: Report, draw: Draw = draw_here) -> None:
    """Write every report file into `folder`; what needs the plots, last. Raises StoreError."""
    make_folder(folder)
    drawing = draw(collect_plot_data(report))
    for reporter, name in REPORTS.items():
        if reporter != "html":
            content = registry.load_plugin("reporters", reporter)(report)
            write_file(
                folder / name,
                content.encode("utf-8", "replace") if isinstance(content, str) else content,
            )
    _write_parquet(folder / PARQUET, report.frames)
    load_template()  # while the plots may be being drawn elsewhere
    pictures, drawn = folder / PLOTS, drawing()
    make_folder(pictures)
    for name, picture in drawn.items():
        write_file(pictures / name, picture)
    write_file(folder / REPORTS["html"], render_page(report, drawn))


def _build_report(runs: Sequence[Run]) -> Report:
    frames = build_frames([(run.manifest, run.lines()) for run in runs])
    comparison = build_report(frames, [run.manifest for run in runs])
    warnings = [text for run in runs for text in run.warnings()]
    pictures = Thumbnails({(row.eval, row.case) for row in comparison.cases})
    for run in runs:
        if _has_images(run.manifest):
            pictures.collect_from(run.folder)
    warnings += [f"{sentence}; the report cannot show it" for sentence in pictures.lost]
    cases = tuple(
        replace(row, images=pictures.found.get((row.eval, row.case), ()))
        for row in comparison.cases
    )
    return replace(comparison, cases=cases, warnings=(*warnings, *comparison.warnings))


def _has_images(manifest: Manifest) -> bool:
    """Whether any case of the run shows images."""
    return any(each.get("images") for each in manifest.resolved.get("evals", ()))


def _comparison_folder(folder: Path) -> Path:
    """Where the report of several runs goes: `reports/compared` of the workspace, or beside the
    first run."""
    runs = next((parent for parent in folder.resolve().parents if parent.name == "runs"), None)
    return runs.parent / "compared" if runs else folder.resolve().parent / "compared"


def _write_parquet(path: Path, tables: Frames) -> None:
    import duckdb  # noqa: PLC0415 — 30 ms that only this needs

    beside = path.with_name(f".{path.name}")
    trials = tables.trials  # noqa: F841 — DuckDB finds it by its name
    try:
        # One thread and small groups: what DuckDB holds of a million rows is 15 MB then, and not
        # 500.
        with duckdb.connect(config={"threads": 1}) as database:
            database.execute(
                "COPY trials TO ? (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192)",
                [str(beside)],
            )
        beside.replace(path)
    except (duckdb.Error, OSError) as refused:
        raise StoreError(f"{path}: cannot be written: {refused}") from refused
