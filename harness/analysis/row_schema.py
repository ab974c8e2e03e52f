"""What a record says in each column: the declared columns of the frames, and the functions that fill a row of each.

docs/measures.md prints these lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from harness.analysis.transcript import conversation_steps
from harness.analysis.typed_columns import Column
from harness.metrics import definitions
from harness.metrics.table import RESPONSE_METRICS
from harness.model import BATCHED, CACHED, STALLED, Exchange, Grade, Manifest, Message, Record, Response

MEASURES = [Column(metric.name, "float", f"{metric.title}, {metric.unit}") for metric in RESPONSE_METRICS]
"""Of an exchange's final attempt, in both frames; a trial's are those of its last exchange with the target."""

TRIALS = [
    Column("run", "category", "the run's id"),
    Column("suite", "category", "the suite's name"),
    Column("eval", "category", "the eval's name"),
    Column("case", "category", "the case's id"),
    Column("prompt", "category", "the prompt's id"),
    Column("target", "category", "the target's name"),
    Column("setting", "category", "the point of the sweep, as JSON with sorted keys"),
    Column("repeat", "integer", "which repeat, from 0"),
    Column("configuration", "category", "prompt · target · setting, as people read it"),
    Column("key", "text", "the trial's key"),
    Column("tags", "category", "the case's tags, as a JSON array"),
    Column("expected", "text", "what was expected: text as it is, anything else as JSON"),
    Column("answer", "text", "the answer's text, else its tool calls; cut at the frame's answer limit"),
    Column("answer_characters", "integer", "the length of the uncut answer"),
    Column("parsed", "text", "the answer's value as JSON, where a response format was asked for and it is JSON"),
    Column("steps", "text", "a conversation's calls, their results and its turns before the answer, one a line"),
    Column("finish_reason", "category", "why the model stopped"),
    Column("outcome", "category", "pass, fail, no verdict, ungraded or error: exactly one"),
    Column("passed", "boolean", "the verdict; null unless the outcome is pass or fail"),
    Column("score", "float", "weighted mean of the grades, 0..1; null where there is none"),
    Column("error_boundary", "category", "where the trial broke: target, transport, provider, tool, grader or budget"),
    Column("error_kind", "category", "the error's short stable name"),
    Column("error_message", "text", "the error as a sentence"),
    Column("tokens_source", "category", "where the token counts are from: reported, counted or estimated"),
    Column("simulated", "flag", "the target is a simulator"),
    Column("replayed", "flag", "the answer was taken from another run"),
    Column("flags", "category", "everything the record and its response were flagged with, as a JSON array"),
]
"""Declared columns of `trials`; `MEASURES`, `SPEND` and one `param_<name>` column per swept parameter follow."""

SPEND = [
    Column("started", "time", "wall time (UTC) the first request was let go"),
    Column("attempts", "integer", "attempts over all of the trial's exchanges with its target"),
    Column("retries", "integer", "attempts beyond the first of each exchange"),
    Column("waited", "float", "seconds of backoff before attempts"),
    Column("input_tokens", "float", "input tokens of all attempts that reported any; null where none did"),
    Column("output_tokens", "float", "output tokens of all attempts that reported any; null where none did"),
    Column("cost", "float", "US dollars for the answer, a replayed one at its original cost; null where any part is unknown"),
    Column("spent", "float", "US dollars of `cost` newly spent by this run"),
    Column("grading_cost", "float", "US dollars for judges; null where any part is unknown"),
    Column("user_cost", "float", "US dollars for a simulated user; null where any part is unknown"),
]
"""Columns of `trials` that add up over `exchanges`."""

EXCHANGES = [
    Column("run", "category", "the run's id"),
    Column("position", "category", "place in the flow: t0, t1, g0.0, …"),
    Column("role", "category", "the flow's role: target, judge, …"),
    Column("sent_to", "category", "the target that was asked"),
    Column("grading", "flag", "asked by a grader"),
    Column("model", "category", "the model id the server says it served"),
    Column("fingerprint", "category", "the system fingerprint the server gives, which changes with its backend"),
    Column("finish_reason", "category", "why the model stopped"),
    Column("error_kind", "category", "the error's short stable name"),
    Column("started", "time", "wall time (UTC) the first attempt was let go"),
    Column("attempts", "integer", "attempts made"),
    Column("retries", "integer", "attempts beyond the first"),
    Column("waited", "float", "seconds of backoff before attempts"),
    Column("input_tokens", "float", "input tokens of all attempts that reported any"),
    Column("output_tokens", "float", "output tokens of all attempts that reported any"),
    Column("cost", "float", "US dollars; null where unknown"),
    Column("replayed", "flag", "taken from another run"),
]
"""Declared columns of `exchanges`; `MEASURES`, `trial` (the row in `trials`, null without a record) and the identity follow."""

GRADES = [
    Column("name", "category", "the grader's name in the suite"),
    Column("kind", "category", "verdict (bool), score (number), label (text) or ungraded (null)"),
    Column("value", "float", "1 or 0 for a verdict, the number for a score; null for a label"),
    Column("label", "category", "the text of a label"),
    Column("passed", "boolean", "whether it passed, where it can fail"),
    Column("weight", "float", "its weight; 0 only reports"),
    Column("threshold", "float", "the number a score must reach to pass"),
    Column("reason", "text", "why, in the grader's words"),
    Column("error", "text", "why it is ungraded"),
]
"""Declared columns of `grades`; `trial` (the row in `trials`) and the identity follow."""


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def column_json(value: Any) -> str:
    """JSON text with sorted keys, as frames and reports show it: equal values have equal text.

    Digits are as Python writes them (`1e-07`), so this is no form for keys: those are `harness.hashing`'s.
    """
    return _JSON.encode(value)


@lru_cache(maxsize=4096)
def _column_json_list(values: tuple[str, ...]) -> str:
    return column_json(values)


def plain_text(value: Any) -> str | None:
    """A value as text: text as it is, None as None, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if type(value) is int else column_json(value)  # of a million numbers, without an encoder


def configuration_label(prompt: str, target: str, setting: Mapping[str, Any]) -> str:
    """A configuration as people read it."""
    point = ", ".join(f"{name}={plain_text(value)}" for name, value in setting.items())
    return " · ".join(part for part in (prompt, target, point) if part)


def answer_text(message: Message | None) -> str:
    """What was answered: the text, else the tool calls as `name(arguments)`."""
    if message is None:
        return ""
    return message.text or "\n".join(f"{call.name}({call.arguments})" for call in message.tool_calls)


def classify_outcome(record: Record) -> str:
    """Exactly one of error, ungraded, pass, fail and no verdict."""
    if record.error is not None:
        return "error"
    if record.ungraded:
        return "ungraded"
    return "no verdict" if record.passed is None else "pass" if record.passed else "fail"


class RunReader:
    """What reading one run's lines needs to remember."""

    def __init__(self, manifest: Manifest) -> None:
        self.id, self.suite, self.targets = manifest.id, manifest.suite, manifest.targets
        self.keys: dict[str, int] = {}
        self.rows: dict[int, int] = {}
        self.settings: dict[str, tuple[str, str]] = {}
        self.clocks = {
            session.id: _epoch_microseconds(session.started) - session.clock // 1_000 for session in manifest.sessions
        }

    def setting_and_label(self, record: Record) -> tuple[str, str]:
        """The record's setting as canonical JSON, and its configuration's label; each made once."""
        name = f"{record.prompt}\0{record.target}\0{record.setting}"
        if name not in self.settings:
            self.settings[name] = column_json(record.setting), configuration_label(record.prompt, record.target, record.setting)
        return self.settings[name]

    def wall_time(self, session: str, mark: int | None) -> int | None:
        """A clock mark as microseconds since 1970."""
        base = self.clocks.get(session)
        return None if base is None or mark is None else base + mark // 1_000


def exchange_identity(key: str, exchange: Exchange) -> int:
    """Equal for one exchange wherever it is written: in a journal line, and in each record of its key."""
    response = exchange.response
    marks = [mark for attempt in response.attempts for mark in (attempt.marks.started, attempt.marks.done)]
    return hash((key, exchange.position, exchange.target, response.replayed, *marks))


def _epoch_microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


_EMPTY_RESPONSE = Response()
_READERS = [metric.read for metric in RESPONSE_METRICS if metric.read]
_UNMEASURED = (None,) * len(MEASURES)
_UNTIMED = frozenset({BATCHED, CACHED, STALLED})


def trial_row(run: RunReader, record: Record, limit: int | None) -> tuple[Any, ...]:
    """The values of `TRIALS`; the answer, its value and what led to it are cut at `limit` characters."""
    response = record.response or _EMPTY_RESPONSE
    answer = answer_text(response.message)
    error, result = record.error, classify_outcome(record)
    setting, configuration = run.setting_and_label(record)
    said = conversation_steps(record)
    return (
        run.id,
        run.suite,
        record.eval,
        record.case,
        record.prompt,
        record.target,
        setting,
        record.repeat,
        configuration,
        record.key,
        _column_json_list(record.tags),
        plain_text(record.expected),
        answer[:limit],
        len(answer),
        None if record.parsed is None else column_json(record.parsed)[:limit],
        said and said[:limit],
        response.finish_reason,
        result,
        record.passed if result in {"pass", "fail"} else None,
        None if result in {"error", "ungraded"} else record.score,
        error and error.boundary,
        error and error.kind,
        error and error.message,
        response.usage and response.usage.source,
        bool(run.targets.get(record.target, {}).get("simulated", False)),
        response.replayed is not None,
        _column_json_list(tuple(sorted({*record.flags, *response.flags})) if record.flags or response.flags else ()),
    )


def _measure_values(response: Response) -> tuple[float | None, ...]:
    """In the order of `MEASURES`; all unknown where there is an error, or the time measured is not the model's: the answer was
    replayed, came from a gateway's cache or in a batch, or the client slept meanwhile.
    """
    if response.error or response.replayed is not None or (response.flags and not _UNTIMED.isdisjoint(response.flags)):
        return _UNMEASURED
    return tuple([read(response) for read in _READERS])


def exchange_row(run: RunReader, session: str, exchange: Exchange, grading: bool) -> tuple[Any, ...]:
    """The values of `EXCHANGES`."""
    response = exchange.response
    attempts = len(response.attempts)
    return (
        run.id,
        exchange.position,
        exchange.role,
        exchange.target,
        grading,
        response.model,
        response.fingerprint,
        response.finish_reason,
        response.error and response.error.kind,
        run.wall_time(session, response.attempts[0].marks.started) if attempts else None,
        attempts,
        max(attempts - 1, 0),
        definitions.waited(response),
        definitions.input_tokens(response),
        definitions.output_tokens(response),
        definitions.exchange_dollars(exchange),
        response.replayed is not None,
        *_measure_values(response),
    )


def grade_row(grade: Grade, limit: int | None) -> tuple[Any, ...]:
    """The values of `GRADES`; the reason is cut at `limit` characters."""
    value = grade.value
    number = None if isinstance(value, str) or value is None else float(value)
    kind = (
        "verdict"
        if isinstance(value, bool)
        else "score"
        if number is not None
        else "label"
        if isinstance(value, str)
        else "ungraded"
    )
    return (
        grade.name,
        kind,
        number,
        value if isinstance(value, str) else None,
        grade.passed,
        grade.weight,
        grade.threshold,
        grade.reason[:limit],
        grade.error and grade.error.message,
    )
