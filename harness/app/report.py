"""Turns run folders into frames and report files: for `harness report`, `harness show`, the end of
a run, notebooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import registry
from harness.analysis import formatting
from harness.analysis.frame import Frames, build_frames
from harness.analysis.gates import choose_exit_code
from harness.analysis.report_data import Report
from harness.analysis.row_schema import configuration_label
from harness.analysis.summarize import build_report
from harness.app.find_run import find_run
from harness.config.diagnostics import did_you_mean
from harness.errors import ExitCode, StoreError, UsageError, worst_exit_code
from harness.flows.base import TARGET
from harness.model import Exchange, Grade, Manifest, Message, Record, Response
from harness.model.images import readable_text
from harness.reporters.escape import escape_for, one_line
from harness.reporters.html import load_template, render_page
from harness.reporters.plot_data import PlotData, collect_plot_data
from harness.runs.blobs import Blobs
from harness.runs.folder import PARQUET, PLOTS, REPORTS, make_folder, write_file
from harness.runs.reader import Run
from harness.runs.thumbnails import Thumbnails
from harness.wording import pluralize

Draw = Callable[[PlotData], Callable[[], Mapping[str, bytes]]]
"""Begins to draw the plots; what it returns waits for them: SVG by file name."""


@dataclass(frozen=True)
class RunOutcome:
    """What came of a run, or of looking at several: where the report is, what was found, and the
    exit code that says so."""

    folder: Path
    report: Report
    exit_code: ExitCode
    stopped: tuple[str, ...] = ()
    """Why a run ended early, one sentence each; empty where it did not."""


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


def show_case(
    folder: Path, case: str, *, prompt: str | None = None, target: str | None = None
) -> Iterator[str]:
    """The transcripts of one case's trials, each as last recorded, as text safe for a terminal.
    Raises UsageError for none."""
    run = Run(find_run(folder))
    cases: set[str] = set()
    found: dict[str, Record] = {}
    for record in run.records():
        cases.add(record.case)
        if (
            record.case == case
            and prompt in (None, record.prompt)
            and target in (None, record.target)
        ):
            found[record.key] = record
    if not found:
        raise UsageError(f"{folder}: {_no_record_reason(case, cases)}")
    for record in sorted(found.values(), key=_sort_key):
        yield "\n".join(_record_lines(record, run.blobs))


def _no_record_reason(case: str, cases: set[str]) -> str:
    if not cases:
        return "the run has no records"
    if case in cases:
        return (
            f"case {case!r} has no record with that prompt and target; leave them out to see which"
            " there are"
        )
    return f"no record of case {case!r}; {did_you_mean(case, cases)}"


def _sort_key(record: Record) -> tuple[str, str, str, str, int]:
    return (
        record.eval,
        record.prompt,
        record.target,
        json.dumps(record.setting, sort_keys=True),
        record.repeat,
    )


def _build_report(runs: Sequence[Run]) -> Report:
    frames = build_frames([(run.manifest, run.lines()) for run in runs])
    comparison = build_report(frames, [run.manifest for run in runs])
    warnings = [text for run in runs for text in run.warnings()]
    pictures = Thumbnails({(row.eval, row.case) for row in comparison.cases})
    for run in runs:
        if _has_images(run.manifest):
            pictures.collect_from(run.folder)
    warnings += [f"{sentence}; the report cannot show it" for sentence in pictures.lost]
    rows = [(row, pictures.found.get((row.eval, row.case))) for row in comparison.cases]
    cases = tuple(
        replace(row, images=shown.images, question=shown.question) if shown else row
        for row, shown in rows
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
                "COPY trials TO ? (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)",
                [str(beside)],
            )
        beside.replace(path)
    except (duckdb.Error, OSError) as refused:
        raise StoreError(f"{path}: cannot be written: {refused}") from refused


def _record_lines(record: Record, blobs: Blobs) -> Iterator[str]:
    clean = escape_for("terminal")
    who = configuration_label(record.prompt, record.target, record.setting)
    yield clean(f"━━ {record.eval}/{record.case} · {who} · repeat {record.repeat}")
    before: tuple[Message, ...] = ()
    for exchange in record.exchanges:
        if exchange.role != TARGET:
            yield clean(
                f"── {_role_line(exchange)}"
            )  # what it says is the target's next message, and shown there
            continue
        whole = blobs.restore_images(exchange) or exchange
        yield from _exchange_lines(whole, before)
        before = whole.request.messages
    if record.parsed is not None:
        yield clean(f"parsed {json.dumps(record.parsed, ensure_ascii=False)}")
    if record.flags:
        yield clean(f"flags  {', '.join(record.flags)}")
    if record.error:
        yield clean(
            f"error at {record.error.boundary} ({record.error.kind}): {record.error.message}"
        )
    for grade in record.grades:
        yield from _grade_lines(grade)
    judged = (
        ""
        if record.grading_cost is None
        else f" · judges {formatting.format_dollars(record.grading_cost)}"
    )
    yield clean(
        f"score {formatting.format_score(record.score)} · cost"
        f" {formatting.format_dollars(record.cost)}{judged}\n"
    )


def _grade_lines(grade: Grade) -> Iterator[str]:
    """The verdict, and what a judge said for it word by word; what it was asked is the rubric and
    what stands above."""
    clean = escape_for("terminal")
    mark = {True: "pass", False: "FAIL", None: "–"}[grade.passed]
    said = grade.error.message if grade.error else grade.reason
    counts = "" if grade.weight else " (only reports)"
    yield clean(
        f"grade  {grade.name}{counts}: {mark} ({json.dumps(grade.value, ensure_ascii=False)})"
        f" {said}".rstrip()
    )
    for exchange in grade.exchanges:
        yield clean(f"       {_role_line(exchange)}")


def _role_line(exchange: Exchange) -> str:
    """What a judge or a simulated user said, in one line."""
    return (
        f"{exchange.target}, the {exchange.role}:"
        f" {one_line(exchange.response.text, 500) or '(nothing)'}"
    )


def _message_text(message: Message) -> str:
    """A message's text, and the calls in it."""
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    text = readable_text(message)
    return "\n".join([text, *calls] if text or not calls else calls)


def _speaker_name(message: Message) -> str:
    if message.role != "tool":
        return message.role
    return f"{message.name or 'tool'} {'failed' if message.failed else 'returned'}"


def _exchange_lines(exchange: Exchange, before: tuple[Message, ...]) -> Iterator[str]:
    """What was asked and answered; where it goes on from `before` only what is new, without the
    answer just shown."""
    clean = escape_for("terminal")
    messages = exchange.request.messages
    goes_on = bool(before) and len(messages) > len(before) and messages[: len(before)] == before
    for message in messages[len(before) + 1 :] if goes_on else messages:
        yield clean(f"── {_speaker_name(message)}")
        yield clean(_message_text(message))
    if exchange.request.prompt is not None:
        yield clean("── prompt")
        yield clean(exchange.request.prompt)
    yield from _answer_lines(exchange.target, exchange.response)


def _answer_lines(target: str, response: Response) -> Iterator[str]:
    """What came, and how; of a failed request, what there is."""
    clean = escape_for("terminal")
    usage, said = response.usage, _message_text(response.message) if response.message else ""
    nothing = response.error is not None and not said
    end = response.finish_reason or (
        "" if nothing else "broken off" if response.error else "no finish reason"
    )
    facts: list[str] = [end] if end else []
    facts += [f"{usage.input_tokens:,} in / {usage.output_tokens:,} out tokens"] if usage else []
    facts += (
        [pluralize(len(response.attempts), "attempt")]
        if nothing or len(response.attempts) > 1
        else []
    )
    facts += ["replayed"] if response.replayed else []
    yield clean(f"── {target} {'gave no answer' if nothing else 'answered'} ({', '.join(facts)})")
    if not nothing:
        yield clean(said)
