"""Run folders -> frames, comparisons and report files; for `harness report` and `show`, for the end of a run, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import registry
from harness.analysis import words
from harness.analysis.compare import compare
from harness.analysis.comparison import Comparison
from harness.analysis.frame import Frames, frames
from harness.analysis.gates import exit_code
from harness.engine.folder import RECORDS, Damage, make_folder, read_lines, read_manifest, read_records, write_file
from harness.errors import ExitCode, StoreError, UsageError, worst
from harness.model import Exchange, Manifest, Record
from harness.reporters.escape import escape_for
from harness.reporters.plots import plots

REPORTS = {
    "html": "report.html",
    "markdown": "report.md",
    "csv": "results.csv",
    "junit": "junit.xml",
    "summary": "summary.json",
}
PARQUET = "records.parquet"


@dataclass(frozen=True)
class Outcome:
    """What came of a run, or of looking at several: where the report is, what was found, and the exit code that says so."""

    folder: Path
    comparison: Comparison
    exit_code: ExitCode
    stopped: tuple[str, ...] = ()
    """Why a run ended early, one sentence each; empty where it did not."""


def load_run(path: str | Path) -> Frames:
    """A run's frames (`trials`, `exchanges`, `grades`; docs/measures.md lists the columns), finished or not.

    Raises UsageError where `path` is no run folder.
    """
    folder = Path(path)
    return frames([(read_manifest(folder), read_lines(folder / RECORDS))], answer_limit=None)


def report(folders: Sequence[Path], out: Path | None = None, stopped: Sequence[ExitCode] = ()) -> Outcome:
    """Compare runs and write the report files: of one run into its folder, of several into `out`.

    `stopped` are the exit codes of what ended a run before its time. Raises UsageError where a folder holds no run.
    """
    manifests = [read_manifest(folder) for folder in folders]
    names = [manifest.id for manifest in manifests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"the run {', '.join(twice)} is named more than once; name each run once")
    comparison = _compared(folders, manifests)
    folder = out or (folders[0] if len(folders) == 1 else _beside(folders[0]))
    write_reports(folder, comparison)
    return Outcome(folder, comparison, worst([exit_code(comparison, manifest, stopped) for manifest in manifests]))


def write_reports(folder: Path, comparison: Comparison) -> None:
    """Write every report file into `folder`. Raises StoreError."""
    make_folder(folder)
    for reporter, name in REPORTS.items():
        content = registry.load("reporters", reporter)(comparison)
        write_file(folder / name, content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    pictures = folder / "plots"
    make_folder(pictures)
    for name, content in plots(comparison).items():
        write_file(pictures / name, content)
    _write_parquet(folder / PARQUET, comparison.frames)


def show(folder: Path, case: str, *, prompt: str | None = None, target: str | None = None) -> Iterator[str]:
    """The transcripts of one case, as text safe for a terminal. Raises UsageError where there is none."""
    found = False
    for record in read_records(folder):
        if record.case == case and prompt in (None, record.prompt) and target in (None, record.target):
            found = True
            yield "\n".join(_transcript(record))
    if not found:
        read_manifest(folder)
        raise UsageError(f"{folder}: no record of case {case!r} with that prompt and target; the report lists the cases")


def _compared(folders: Sequence[Path], manifests: Sequence[Manifest]) -> Comparison:
    damage = [Damage() for _ in folders]
    runs = [
        (manifest, read_lines(folder / RECORDS, found))
        for folder, manifest, found in zip(folders, manifests, damage, strict=True)
    ]
    comparison = compare(frames(runs), manifests)
    warnings = [text for folder, found in zip(folders, damage, strict=True) for text in found.warnings(folder / RECORDS)]
    return replace(comparison, warnings=(*warnings, *comparison.warnings))


def _beside(folder: Path) -> Path:
    """Where the report of several runs goes: `reports/compared` of the workspace, or beside the first run."""
    runs = next((parent for parent in folder.resolve().parents if parent.name == "runs"), None)
    return runs.parent / "compared" if runs else folder.resolve().parent / "compared"


def _write_parquet(path: Path, tables: Frames) -> None:
    import duckdb  # noqa: PLC0415 — 30 ms that only this needs

    beside = path.with_name(f".{path.name}")
    trials = tables.trials  # noqa: F841 — DuckDB finds it by its name
    try:
        duckdb.execute("COPY trials TO ? (FORMAT parquet, COMPRESSION zstd)", [str(beside)])
        beside.chmod(0o600)
        beside.replace(path)
    except (duckdb.Error, OSError) as refused:
        raise StoreError(f"{path}: cannot be written: {refused}") from refused


def _transcript(record: Record) -> Iterator[str]:
    clean = escape_for("terminal")
    setting = ", ".join(f"{name}={value}" for name, value in record.setting.items())
    heading = " · ".join(part for part in (record.case, record.prompt, record.target, setting) if part)
    yield clean(f"━━ {heading} · repeat {record.repeat}")
    for exchange in record.exchanges:
        yield from _exchange(exchange)
    if record.error:
        yield clean(f"error at {record.error.boundary} ({record.error.kind}): {record.error.message}")
    for grade in record.grades:
        mark = {True: "pass", False: "FAIL", None: "–"}[grade.passed]
        said = grade.error.message if grade.error else grade.reason
        yield clean(f"grade  {grade.name}: {mark} ({grade.value}) {said}")
    yield clean(f"score {words.score(record.score)} · cost {words.dollars(record.cost)}\n")


def _exchange(exchange: Exchange) -> Iterator[str]:
    clean = escape_for("terminal")
    for message in exchange.request.messages:
        yield clean(f"── {message.role}")
        yield clean(message.text)
    response = exchange.response
    usage = response.usage
    tokens = f", {usage.input_tokens} in / {usage.output_tokens} out tokens" if usage else ""
    yield clean(f"── {exchange.target} answered ({response.finish_reason or 'no finish reason'}{tokens})")
    yield clean(response.text)
