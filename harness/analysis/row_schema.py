"""The columns of the frames: each with its dtype, what it holds, and how it is read from a record.

docs/measures.md prints these lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import msgspec

from harness.analysis.transcript import asked_text, conversation_steps
from harness.analysis.typed_columns import Column, valid_text
from harness.flows.base import TARGET, USER
from harness.metrics import definitions
from harness.metrics.definitions import UNTIMED, Timing
from harness.metrics.table import RESPONSE_METRICS
from harness.model import (
    BATCHED,
    CACHED,
    STALLED,
    Exchange,
    Grade,
    Manifest,
    Message,
    Record,
    Response,
)
from harness.pricing.cost import estimate_cost, price_from_facts
from harness.runs.resume_state import is_final


def column_json(value: Any) -> str:
    """JSON text with sorted keys, as frames and reports show it: equal values have equal text.

    Digits are as Python writes them (`1e-07`), so this is no form for keys: those are
    `harness.hashing`'s.
    """
    return _JSON.encode(value)


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


_FAST_JSON = msgspec.json.Encoder(order="sorted")


def _variables_text(values: Mapping[str, Any]) -> str:
    """The variables as JSON with sorted keys, in a fifth of the time; they are only shown."""
    try:
        return _FAST_JSON.encode(values).decode()
    except UnicodeEncodeError:  # a lone surrogate
        return column_json(values)


def plain_text(value: Any) -> str | None:
    """A value as text: text as it is, None as None, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return (
        str(value) if type(value) is int else column_json(value)
    )  # of a million numbers, without an encoder


def configuration_label(prompt: str, target: str, setting: Mapping[str, Any]) -> str:
    """A configuration as people read it."""
    point = ", ".join(f"{name}={plain_text(value)}" for name, value in setting.items())
    return " · ".join(part for part in (prompt, target, point) if part)


def answer_text(message: Message | None) -> str:
    """What was answered: the text, else the tool calls as `name(arguments)`."""
    if message is None:
        return ""
    return message.text or "\n".join(
        f"{call.name}({call.arguments})" for call in message.tool_calls
    )


def classify_outcome(record: Record) -> str:
    """Exactly one of error, ungraded, pass, fail and no verdict."""
    if record.error is not None:
        return "error"
    if record.ungraded:
        return "ungraded"
    return "no verdict" if record.passed is None else "pass" if record.passed else "fail"


class JSONTexts(dict[Any, str]):
    """Values of a column -> the JSON texts that stand for them, each made once; `objects` has each
    value by its text."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, Any] = {}

    def __missing__(self, value: Any) -> str:
        text = self[value] = self.add(value)
        return text

    def add(self, value: Any) -> str:
        """The text of a value, which need not be hashable."""
        text = valid_text(column_json(value))
        self.objects.setdefault(text, value)
        return text


class RunReader:
    """What reading one run's lines needs to remember; the objects of its `settings`, `tags` and
    `flags` are all runs'."""

    def __init__(
        self, manifest: Manifest, settings: JSONTexts, tags: JSONTexts, flags: JSONTexts
    ) -> None:
        self.id, self.suite = manifest.id, manifest.suite
        self.simulated = {
            name for name, facts in manifest.targets.items() if facts.get("simulated")
        }
        self.prices = {
            name: price_from_facts(facts.get("price"))
            for name, facts in {**manifest.helpers, **manifest.targets}.items()
        }
        self.settings, self.tags, self.flags = settings, tags, flags
        self.row_of_exchange: dict[int, int] = {}
        self.number_of_key: dict[str, int] = {}
        self.clocks = {
            session.id: _epoch_microseconds(session.started) - session.clock // 1_000
            for session in manifest.sessions
        }
        self._configurations: dict[tuple[str, str, str], tuple[str, str]] = {}

    def configuration(self, record: Record) -> tuple[str, str]:
        """The record's setting as text, and its configuration's label; each made once."""
        key = record.prompt, record.target, repr(record.setting)
        found = self._configurations.get(key)
        if found is None:
            label = configuration_label(record.prompt, record.target, record.setting)
            found = self._configurations[key] = self.settings.add(record.setting), label
        return found

    def wall_time(self, session: str, mark: int | None) -> int | None:
        """A clock mark as microseconds since 1970."""
        base = self.clocks.get(session)
        return None if base is None or mark is None else base + mark // 1_000


def _epoch_microseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


_NO_RESPONSE = Response()
_NOT_GRADING = frozenset({TARGET, USER})
_NOTHING = SimpleNamespace(boundary=None, kind=None, message=None, source=None)
"""Stands for an error or a usage that is not there."""
_UNTIMED_FLAGS = frozenset({BATCHED, CACHED, STALLED})


class TrialRow:
    """A record of a run, as the columns of `trials` read it."""

    __slots__ = (
        "answer",
        "error",
        "label",
        "outcome",
        "passed",
        "record",
        "response",
        "run",
        "score",
        "setting",
        "usage",
    )

    def __init__(self, run: RunReader, record: Record) -> None:
        self.run, self.record = run, record
        self.setting, self.label = run.configuration(record)
        self.response = record.response or _NO_RESPONSE
        self.answer = answer_text(self.response.message)
        self.error, self.usage = record.error or _NOTHING, self.response.usage or _NOTHING
        self.outcome = outcome = classify_outcome(record)
        self.passed = record.passed if outcome in {"pass", "fail"} else None
        self.score = None if outcome in {"error", "ungraded"} else record.score


def _flags_text(row: TrialRow) -> str:
    own, answers = row.record.flags, row.response.flags
    flags = tuple(sorted({*own, *answers})) if own or answers else ()
    return row.run.flags[flags]


TRIALS: Sequence[Column[TrialRow]] = [
    Column("run", "category", "the run's id", "run.id"),
    Column("suite", "category", "the suite's name", "run.suite"),
    Column("eval", "category", "the eval's name", "record.eval"),
    Column("case", "category", "the case's id", "record.case"),
    Column("prompt", "category", "the prompt's id", "record.prompt"),
    Column("target", "category", "the target's name", "record.target"),
    Column("setting", "category", "the point of the sweep, as JSON with sorted keys", "setting"),
    Column("repeat", "integer", "which repeat, from 0", "record.repeat"),
    Column(
        "configuration",
        "category",
        "prompt · target · setting, as shown in reports",
        "label",
    ),
    Column("key", "text", "the trial's key", "record.key"),
    Column(
        "tags",
        "category",
        "the case's tags, as a JSON array",
        lambda row: row.run.tags[row.record.tags],
    ),
    Column(
        "row",
        "category",
        "the file and line of a case without its own id, as shown in reports",
        lambda row: row.record.row or None,
    ),
    Column(
        "vars",
        "long text",
        "the case's variables, as JSON with sorted keys; null in runs before they were recorded",
        lambda row: _variables_text(row.record.vars) if row.record.vars else None,
    ),
    Column(
        "input",
        "long text",
        "the rendered prompt: the text of a single message, else `role: text` for each message",
        lambda row: asked_text(row.record),
    ),
    Column(
        "expected",
        "text",
        "the expected answer: text unchanged, anything else as JSON",
        lambda row: plain_text(row.record.expected),
    ),
    Column(
        "answer",
        "long text",
        "the answer's text, else its tool calls; cut at the frame's answer limit",
        "answer",
    ),
    Column(
        "answer_characters",
        "integer",
        "the length of the uncut answer",
        lambda row: len(row.answer),
    ),
    Column(
        "parsed",
        "long text",
        "the answer's value as JSON, where a response format was asked for and it is JSON",
        lambda row: None if row.record.parsed is None else column_json(row.record.parsed),
    ),
    Column(
        "steps",
        "long text",
        "the conversation before the answer: tool calls, their results and turns, one per line",
        lambda row: conversation_steps(row.record),
    ),
    Column("finish_reason", "category", "why the model stopped", "response.finish_reason"),
    Column(
        "outcome",
        "category",
        "pass, fail, no verdict, ungraded or error: exactly one",
        "outcome",
    ),
    Column(
        "passed",
        "boolean",
        "the verdict; null unless the outcome is pass or fail",
        "passed",
    ),
    Column(
        "score",
        "float",
        "weighted mean of the grades, 0..1; null where there is none",
        "score",
    ),
    Column(
        "error_boundary",
        "category",
        "where the trial broke: target, transport, provider, tool, grader or budget",
        "error.boundary",
    ),
    Column("error_kind", "category", "the kind of error, a short stable name", "error.kind"),
    Column("error_message", "text", "the error as a sentence", "error.message"),
    Column(
        "owed",
        "flag",
        "`harness resume` asks the trial again: its error may be temporary",
        lambda row: not is_final(row.record),
    ),
    Column(
        "tokens_source",
        "category",
        "the source of the token counts: reported, counted or estimated",
        "usage.source",
    ),
    Column(
        "simulated",
        "flag",
        "the target is a simulator",
        lambda row: row.record.target in row.run.simulated,
    ),
    Column(
        "replayed",
        "flag",
        "the answer was taken from another run",
        lambda row: row.response.replayed is not None,
    ),
    Column(
        "flags",
        "category",
        "all flags of the record and its response, as a JSON array",
        _flags_text,
    ),
]
"""Columns of `trials` that are read from a record.

`MEASURES`, `harness.analysis.trial_totals.SPEND` and one `param_<name>` column per swept parameter
follow.
"""


class ExchangeRow:
    """An exchange of a run, as the columns of `exchanges` read it.

    `timing` is empty where the time measured is not the model's: after an error, where the answer
    was replayed, came from a gateway's cache or in a batch, or where the client slept meanwhile.
    """

    __slots__ = (
        *(
            "attempts",
            "error",
            "exchange",
            "input_tokens",
            "output_tokens",
            "response",
            "run",
            "session",
            "timing",
        ),
    )

    def __init__(self, run: RunReader, session: str, exchange: Exchange) -> None:
        self.run, self.session, self.exchange = run, session, exchange
        self.response = response = exchange.response
        self.attempts = len(response.attempts)
        self.error = response.error or _NOTHING
        self.input_tokens, self.output_tokens = definitions.token_totals(response)
        untimed = (
            response.error
            or response.replayed is not None
            or not _UNTIMED_FLAGS.isdisjoint(response.flags)
        )
        self.timing = UNTIMED if untimed else Timing(response)

    @property
    def estimated_cost(self) -> float | None:
        """About what it cost, where that is not known."""
        if definitions.exchange_dollars(self.exchange) is not None:
            return None
        return estimate_cost(self.response, self.run.prices.get(self.exchange.target))


def _started(row: ExchangeRow) -> int | None:
    return (
        row.run.wall_time(row.session, row.response.attempts[0].marks.started)
        if row.attempts
        else None
    )


MEASURES: Sequence[Column[Timing]] = [
    Column(metric.name, "float", f"{metric.title}, {metric.unit}", metric.read)
    for metric in RESPONSE_METRICS
    if metric.read
]
"""Of `ExchangeRow.timing`, in both frames; a trial's are those of its last exchange with the
target."""

EXCHANGES: Sequence[Column[ExchangeRow]] = [
    Column("run", "category", "the run's id", "run.id"),
    Column("position", "category", "place in the flow: t0, t1, g0.0, …", "exchange.position"),
    Column("role", "category", "the flow's role: target, judge, …", "exchange.role"),
    Column("sent_to", "category", "the target the request was sent to", "exchange.target"),
    Column(
        "grading", "flag", "sent by a grader", lambda row: row.exchange.role not in _NOT_GRADING
    ),
    Column("model", "category", "the model id that the server reported", "response.model"),
    Column(
        "fingerprint",
        "category",
        "the system fingerprint the server gives, which changes with its backend",
        "response.fingerprint",
    ),
    Column("finish_reason", "category", "why the model stopped", "response.finish_reason"),
    Column(
        "error_kind",
        "category",
        "the kind of error, a short stable name",
        "error.kind",
    ),
    Column("started", "time", "wall-clock time (UTC) when the first attempt started", _started),
    Column("attempts", "integer", "attempts made", "attempts"),
    Column(
        "retries",
        "integer",
        "attempts beyond the first",
        lambda row: row.attempts - 1 if row.attempts else 0,
    ),
    Column(
        "waited",
        "float",
        "seconds of backoff before attempts",
        lambda row: definitions.waited(row.response),
    ),
    Column(
        "input_tokens",
        "float",
        "input tokens of all attempts that reported any",
        "input_tokens",
    ),
    Column(
        "output_tokens",
        "float",
        "output tokens of all attempts that reported any",
        "output_tokens",
    ),
    Column(
        "cost",
        "float",
        "US dollars; null where unknown",
        lambda row: definitions.exchange_dollars(row.exchange),
    ),
    Column(
        "estimated_cost",
        "float",
        "US dollars at the target's price for estimated tokens, where `cost` is unknown",
        lambda row: row.estimated_cost,
    ),
    Column(
        "replayed", "flag", "taken from another run", lambda row: row.response.replayed is not None
    ),
]
"""Columns of `exchanges`; `MEASURES`, `trial` (the row in `trials`, null without a record) and the
identity follow."""


def exchange_identity(key: str, exchange: Exchange) -> int:
    """Equal for one exchange wherever it is written: in a journal line, and in each record of its
    key."""
    response = exchange.response
    if len(response.attempts) == 1:
        marks = response.attempts[0].marks
        return hash(
            (key, exchange.position, exchange.target, response.replayed, marks.started, marks.done)
        )
    moments = [
        moment
        for attempt in response.attempts
        for moment in (attempt.marks.started, attempt.marks.done)
    ]
    return hash((key, exchange.position, exchange.target, response.replayed, *moments))


def _grade_kind(grade: Grade) -> str:
    if grade.value is None:
        return "ungraded"
    if isinstance(grade.value, bool):
        return "verdict"
    return "label" if isinstance(grade.value, str) else "score"


GRADES: Sequence[Column[Grade]] = [
    Column("name", "category", "the grader's name in the suite", "name"),
    Column(
        "kind",
        "category",
        "verdict (bool), score (number), label (text) or ungraded (null)",
        _grade_kind,
    ),
    Column(
        "value",
        "float",
        "1 or 0 for a verdict, the number of a score; null for a label",
        lambda grade: None if isinstance(grade.value, str | None) else float(grade.value),
    ),
    Column(
        "label",
        "category",
        "the text of a label",
        lambda grade: grade.value if isinstance(grade.value, str) else None,
    ),
    Column("passed", "boolean", "whether it passed, where it can fail", "passed"),
    Column("weight", "float", "its weight; 0 only reports", "weight"),
    Column("threshold", "float", "the minimum score to pass", "threshold"),
    Column("reason", "long text", "the grader's reason", "reason"),
    Column(
        "extracted",
        "long text",
        "what of the answer was graded, where steps extract it",
        "extracted",
    ),
    Column(
        "unparsed", "boolean", "whether it failed because there was nothing to extract", "unparsed"
    ),
    Column(
        "error", "text", "why it is ungraded", lambda grade: grade.error and grade.error.message
    ),
]
"""Columns of `grades`; `trial` (the row in `trials`) and the identity follow."""
