"""Formats trials of a run for reading: `harness show`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from harness.analysis import formatting
from harness.analysis.row_schema import classify_outcome, configuration_label, plain_text
from harness.app.find_run import find_run
from harness.config.diagnostics import did_you_mean
from harness.errors import UsageError
from harness.flows.base import TARGET
from harness.model import Exchange, Grade, Message, Record, Response
from harness.model.images import readable_text
from harness.reporters.escape import escape_for, one_line
from harness.runs.blobs import Blobs
from harness.runs.reader import Run
from harness.wording import pluralize

_GOOD = frozenset({"pass", "no verdict"})
"""Outcomes that `failed` leaves out."""


def show_trials(
    folder: Path,
    case: str | None,
    *,
    prompt: str | None = None,
    target: str | None = None,
    failed: bool = False,
) -> Iterator[str]:
    """The transcripts of one case's trials, or of all that `failed` (or broke, or were not graded),
    each as last recorded, as text safe for a terminal.

    A case is named by its id, by its row, or by either behind its eval and a slash, as reports
    print it. Raises UsageError where nothing is found.
    """
    if case is None and not failed:
        raise UsageError("name a case (`harness show RUN CASE`), or give --failed")
    run = Run(find_run(folder))
    names: set[str] = set()
    found: dict[str, Record] = {}
    for record in run.records():
        mine = _case_names(record)
        names.update(mine)
        found.pop(record.key, None)
        if (
            (case is None or case in mine)
            and prompt in (None, record.prompt)
            and target in (None, record.target)
            and not (failed and classify_outcome(record) in _GOOD)
        ):
            found[record.key] = record
    if not found and failed and case is None and names:
        yield "no trial failed, ended in an error or was left ungraded"
        return
    if not found:
        raise UsageError(f"{folder}: {_no_record_reason(case, names, failed)}")
    for record in sorted(found.values(), key=_sort_key):
        yield "\n".join(_record_lines(record, run.blobs))


def _case_names(record: Record) -> tuple[str, ...]:
    """Everything that the record's case may be called."""
    own = (record.case, record.row) if record.row else (record.case,)
    return (*own, *(f"{record.eval}/{name}" for name in own))


def _no_record_reason(case: str | None, names: set[str], failed: bool) -> str:
    if not names:
        return "the run has no records"
    if case is not None and case not in names:
        return f"no record of case {case!r}; {did_you_mean(case, names)}"
    what = "no trial" if case is None else f"case {case!r} has no record"
    if failed:
        return f"{what} that failed, ended in an error or was left ungraded"
    return f"{what} with that prompt and target; omit --prompt and --target to see all"


def _sort_key(record: Record) -> tuple[str, str, str, str, int]:
    return (
        record.eval,
        record.prompt,
        record.target,
        json.dumps(record.setting, sort_keys=True),
        record.repeat,
    )


def _record_lines(record: Record, blobs: Blobs) -> Iterator[str]:
    clean = escape_for("terminal")
    who = configuration_label(record.prompt, record.target, record.setting)
    named = f"{record.row} ({record.case})" if record.row else record.case
    yield clean(f"━━ {record.eval}/{named} · {who} · repeat {record.repeat}")
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
    if (expected := plain_text(record.expected)) is not None:
        yield clean(f"expected {expected}")
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
    if grade.extracted is not None:
        said = formatting.add_extract(said, grade.extracted)
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
