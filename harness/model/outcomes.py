"""What came back, and what it was worth: responses with their clock marks and usage, exchanges,
grades and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from harness.model.requests import Message, Request

Boundary = Literal["target", "transport", "provider", "tool", "grader", "budget"]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "unknown"]


class Error(Struct, frozen=True):
    """Why a trial, a response or a grade has no value, named for the boundary where it broke.

    `kind` is a short stable word (`timeout`, `rate_limited`, `truncated`); `retry_after` is
    seconds, as the server asked.
    """

    boundary: Boundary
    kind: str
    message: str
    retryable: bool = False
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None


class ToolResult(Struct, frozen=True):
    """What became of a `ToolCall`: `content` is the function's value as JSON text, or `error` says
    why there is none."""

    id: str
    content: str
    error: Error | None = None


class Usage(Struct, frozen=True):
    """Tokens in disjoint buckets, None where unknown; `neurons` and `cost` (US dollars) as the
    provider billed them."""

    input: int | None = None
    output: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    source: Literal["reported", "counted", "estimated"] = "reported"
    neurons: float | None = None
    cost: float | None = None

    @property
    def input_tokens(self) -> int | None:
        """All input tokens, cached or not."""
        return (
            None
            if self.input is None
            else self.input + self.cache_read + self.cache_write + self.cache_write_1h
        )

    @property
    def output_tokens(self) -> int | None:
        """All output tokens, visible or reasoning."""
        return None if self.output is None else self.output + self.reasoning


class Marks(Struct, frozen=True):
    """When each thing happened (docs/measures.md), in `perf_counter_ns` of one process; None where
    it did not or is not known.

    `events` are the arrivals of the content events; `reads` is in how many reads from the socket
    they came.
    """

    due: int | None = None
    started: int | None = None
    connected: int | None = None
    sent: int | None = None
    first_byte: int | None = None
    first_token: int | None = None
    first_answer: int | None = None
    last_token: int | None = None
    done: int | None = None
    events: tuple[int, ...] = ()
    reads: int = 0


NO_MARKS = Marks()


class Attempt(Struct, frozen=True):
    """One try of one request; `waited` is the seconds of backoff before it. `clock` says who
    stamped the arrivals."""

    marks: Marks = NO_MARKS
    status: int | None = None
    usage: Usage | None = None
    error: Error | None = None
    waited: float = 0.0
    clock: Literal["protocol", "reader"] = "reader"


STALLED = "stalled"
"""The flag of a response that was under way while this process did not run: its latency says
nothing of the server."""

BATCHED = "batched"
"""The flag of a response that came in a batch, when the service found time for it: it has no
latency."""

CACHED = "cached"
"""The flag of a response that a gateway gave from its cache: its latency says nothing of
the model."""


class TokenLogprob(Struct, frozen=True):
    """A token of the answer with the natural logarithm of its probability; `top` are the likeliest
    ones in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Response(Struct, frozen=True):
    """What became of a Request, for every outcome: an answer, or what there is of one and `error`.

    `message` keeps the partial text of a cut stream. `model` is the id the server says it served.
    `attempts` is empty where nothing was sent (refused by the budget). `replayed` names the run the
    response was taken from, else None.
    """

    message: Message | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    attempts: tuple[Attempt, ...] = ()
    error: Error | None = None
    model: str | None = None
    fingerprint: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    replayed: str | None = None
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def marks(self) -> Marks:
        """The final attempt's marks: retries are not latency."""
        return self.attempts[-1].marks if self.attempts else NO_MARKS

    @property
    def text(self) -> str:
        """The answer's text, empty where there is none."""
        message = self.message
        if message is None:
            return ""
        return message.content if isinstance(message.content, str) else message.text


class Cost(Struct, frozen=True):
    """What an exchange cost in US dollars over all its attempts: as the provider reported it and as
    tokens × price say."""

    reported: float | None = None
    priced: float | None = None

    @property
    def usd(self) -> float | None:
        """The provider's figure where there is one, else the priced one, else unknown."""
        return self.priced if self.reported is None else self.reported


class Exchange(Struct, frozen=True):
    """A Request and its Response, as sent to the target named `target` in the flow's role `role` at
    `position`."""

    position: str
    role: str
    target: str
    request: Request
    response: Response
    cost: Cost = Cost()


class Grade(Struct, frozen=True):
    """A grader's verdict: bool = pass or fail, float in 0..1 = score, str = label, None = ungraded
    (then `error` says why).

    `exchanges` are the grader's own (a judge's), so that their cost is kept apart. `extracted` is
    what of the answer was graded, cut, where a suite extracts; `unparsed` says that the grade
    failed because the answer's form held nothing to grade.
    """

    name: str
    value: bool | float | str | None
    reason: str = ""
    weight: float = 1.0
    threshold: float | None = None
    exchanges: tuple[Exchange, ...] = ()
    error: Error | None = None
    extracted: str | None = None
    unparsed: bool = False

    @property
    def passed(self) -> bool | None:
        """True or False where this grade can fail: a bool, or a number with a threshold;
        else None."""
        if isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, float | int) and self.threshold is not None:
            return self.value >= self.threshold
        return None


class Record(Struct, frozen=True, tag_field="kind", tag="record"):
    """What happened to one Trial; a line of `records.jsonl`.

    `cost` is the target's in US dollars, `grading_cost` the judges'. `session` names the stretch of
    the run whose clock the marks belong to. `error` is null, or why there is no answer; a grader's
    error is on its grade. `parsed` is the answer's JSON value where a response format was asked
    for; null where it is no JSON, which `flags` then say. `vars` are the case's variables, long
    texts cut (the request has them whole); `row` is the file and line of a case without an id.
    """

    key: str
    eval: str
    case: str
    prompt: str
    target: str
    setting: Mapping[str, Any]
    repeat: int
    session: str
    exchanges: tuple[Exchange, ...] = ()
    grades: tuple[Grade, ...] = ()
    score: float | None = None
    passed: bool | None = None
    cost: float | None = None
    grading_cost: float | None = None
    error: Error | None = None
    tags: tuple[str, ...] = ()
    expected: Any = None
    flags: tuple[str, ...] = ()
    parsed: Any = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""

    @property
    def response(self) -> Response | None:
        """The target's last response, None where it was not asked."""
        return next(
            (each.response for each in reversed(self.exchanges) if each.role == "target"), None
        )

    @property
    def ungraded(self) -> bool:
        """True where an answer came but a grader of weight > 0 gave no verdict on it."""
        return self.error is None and any(
            grade.value is None and grade.weight > 0 for grade in self.grades
        )
