"""The nouns that exist at run time: what is asked, what came back, and what it was worth.

All are frozen structs, so that a million of them are cheap, and all are plain data, so that they go to disk and come back
unchanged (`harness.records`). Times are `perf_counter_ns` marks of one process; money is US dollars; unknown is
None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

Role = Literal["system", "user", "assistant", "tool"]
Boundary = Literal["target", "transport", "provider", "tool", "grader", "budget"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "unknown"]


# ── What is asked ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Text(Struct, frozen=True, tag_field="type", tag="text"):
    """A text part of a message's content."""

    text: str


class Image(Struct, frozen=True, tag_field="type", tag="image"):
    """An image part of a message's content; `data` is base64, without a `data:` prefix; width and height are pixels.

    `sha256` (hex) is of the file's bytes. In a run folder `data` may be empty: then the bytes are in `blobs/<sha256>`.
    """

    media_type: str
    data: str
    width: int | None = None
    height: int | None = None
    sha256: str | None = None


class ToolCall(Struct, frozen=True):
    """A function somebody wants called; `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


class ToolResult(Struct, frozen=True):
    """What became of a `ToolCall`: `content` is the function's value as JSON text, or `error` says why there is none."""

    id: str
    content: str
    error: Error | None = None


class Message(Struct, frozen=True):
    """One turn of a conversation, in no provider's dialect.

    `failed` is of a tool's message: the call raised, and the content says how. `echo` is what the provider that wrote the turn
    wants back unchanged when the conversation goes on (signed reasoning); plain JSON that only its provider reads.
    """

    role: Role
    content: str | tuple[Text | Image, ...] = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    failed: bool = False
    echo: Any = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, Text))


class Tool(Struct, frozen=True):
    """A function the model may ask for; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ResponseFormat(Struct, frozen=True):
    """The form the answer must have: any JSON, or JSON that fits `schema`; `guided_json` is Workers AI's word for that."""

    type: Literal["json_object", "json_schema", "guided_json"]
    schema: Mapping[str, Any] | None = None
    name: str = "answer"


class Request(Struct, frozen=True):
    """One question to a model, in no provider's dialect; `sampling` uses the canonical parameter names (docs/suites.md).

    `prompt` replaces `messages` for models that complete plain text; `raw` says it already carries the chat template's tokens.
    `parallel_tool_calls` allows or forbids several calls in one answer; None leaves it to the server.
    """

    messages: tuple[Message, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    response_format: ResponseFormat | None = None
    prompt: str | None = None
    raw: bool = False
    parallel_tool_calls: bool | None = None


# ── Whom it is asked ──────────────────────────────────────────────────────────────────────────────────────────────────


class Price(Struct, frozen=True):
    """US dollars per million tokens; None = unknown. `per_request` is dollars. `source` says where the figures are from.

    `tiers` are the prices of a whole request whose input tokens exceed a threshold, in ascending order of it.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    per_request: Decimal = Decimal(0)
    source: str = "suite"
    tiers: tuple[tuple[int, Price], ...] = ()


class Timeouts(Struct, frozen=True):
    """Seconds: to connect, to the first content event, between two content events, and over the whole attempt."""

    connect: float = 10.0
    first: float = 60.0
    idle: float = 30.0
    total: float = 300.0


class Limits(Struct, frozen=True):
    """How hard one target may be driven: slots, requests and tokens per minute, retries after the first attempt."""

    concurrency: int = 8
    rpm: int | None = None
    tpm: int | None = None
    retries: int = 4
    timeouts: Timeouts = Timeouts()


class Target(Struct, frozen=True):
    """The thing under test.

    `address` is the base URL as declared (it may name environment variables) and is part of a trial's key; `base_url` is
    where it was found in this process (variables filled in, the simulator's port) and is in no hash. `api_key_env` names
    the variable that holds the API key; the key itself is nowhere in this object. `api_version` is which of the provider's API
    versions is spoken, None for its own choice; it is part of a trial's key too. `env` names the variables that
    the user's own code is given (providers python and command).
    """

    name: str
    provider: str
    model: str
    address: str
    base_url: str
    api_key_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()
    price: Price | None = None
    context: int | None = None
    simulated: bool = False
    api_version: str | None = None
    env: tuple[str, ...] = ()


class Auth(Struct, frozen=True):
    """Where an API key goes: `header: prefix + value of the variable env`."""

    env: str
    header: str = "Authorization"
    prefix: str = "Bearer "


class Wire(Struct, frozen=True):
    """One encoded HTTP request: everything but the target's base URL and the API key's value."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    auth: Auth | None
    method: str = "POST"


class Batch(Struct, frozen=True):
    """Requests that are asked together and answered later; `id` is the service's name for them, None until it has one."""

    requests: tuple[Request, ...]
    id: str | None = None


class Call(Struct, frozen=True):
    """What goes down the Send stack: a request to a target, and whose it is.

    `key` is the trial's key, `position` the place in its flow (`t0` the first ask of the target, `g1.0` the first ask of the
    second grader). `due` is when the schedule wanted it sent (ns), None in closed loop: then the moment its first attempt
    gets a slot. `attempt` counts the tries before this one; `retry` sets it. `alone` says that the trial asks nothing else, so
    that its answer may come as late as a batch's. With `batch`, the call submits that batch or, where it has an id, polls it.
    """

    target: Target
    request: Request
    wire: Wire
    key: str
    repeat: int = 0
    position: str = "t0"
    due: int | None = None
    attempt: int = 0
    alone: bool = False
    batch: Batch | None = None


# ── What came back ────────────────────────────────────────────────────────────────────────────────────────────────────


class Error(Struct, frozen=True):
    """Why a trial, a response or a grade has no value, named for the boundary where it broke.

    `kind` is a short stable word (`timeout`, `rate_limited`, `truncated`); `retry_after` is seconds, as the server asked.
    """

    boundary: Boundary
    kind: str
    message: str
    retryable: bool = False
    status: int | None = None
    code: str | None = None
    retry_after: float | None = None


class Usage(Struct, frozen=True):
    """Tokens in disjoint buckets, None where unknown; `neurons` and `cost` (US dollars) as the provider billed them."""

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
        return None if self.input is None else self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def output_tokens(self) -> int | None:
        """All output tokens, visible or reasoning."""
        return None if self.output is None else self.output + self.reasoning


class Marks(Struct, frozen=True):
    """When each thing happened (docs/measures.md), in `perf_counter_ns` of one process; None where it did not or is not known.

    `events` are the arrivals of the content events; `reads` is in how many reads from the socket they came.
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
    """One try of one request; `waited` is the seconds of backoff before it. `clock` says who stamped the arrivals."""

    marks: Marks = NO_MARKS
    status: int | None = None
    usage: Usage | None = None
    error: Error | None = None
    waited: float = 0.0
    clock: Literal["protocol", "reader"] = "reader"


STALLED = "stalled"
"""The flag of a response that was under way while this process did not run: its latency says nothing of the server."""


BATCHED = "batched"
"""The flag of a response that came in a batch, when the service found time for it: it has no latency."""

CACHED = "cached"
"""The flag of a response that a gateway gave from its cache: its latency says nothing of the model."""


class TokenLogprob(Struct, frozen=True):
    """A token of the answer with the natural logarithm of its probability; `top` are the likeliest ones in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Response(Struct, frozen=True):
    """What became of a Request, for every outcome: an answer, or what there is of one and `error`.

    `message` keeps the partial text of a cut stream. `model` is the id the server says it served. `attempts` is empty
    where nothing was sent (refused by the budget). `replayed` names the run the response was taken from, else None.
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
        return self.message.text if self.message else ""


class Cost(Struct, frozen=True):
    """What an exchange cost in US dollars over all its attempts: as the provider reported it and as tokens × price say."""

    reported: float | None = None
    priced: float | None = None

    @property
    def usd(self) -> float | None:
        """The provider's figure where there is one, else the priced one, else unknown."""
        return self.priced if self.reported is None else self.reported


class Exchange(Struct, frozen=True):
    """A Request and its Response, as sent to the target named `target` in the flow's role `role` at `position`."""

    position: str
    role: str
    target: str
    request: Request
    response: Response
    cost: Cost = Cost()


# ── What it was worth ─────────────────────────────────────────────────────────────────────────────────────────────────


class Grade(Struct, frozen=True):
    """A grader's verdict: bool = pass or fail, float in 0..1 = score, str = label, None = ungraded (then `error` says why).

    `exchanges` are the grader's own (a judge's), so that their cost is kept apart.
    """

    name: str
    value: bool | float | str | None
    reason: str = ""
    weight: float = 1.0
    threshold: float | None = None
    exchanges: tuple[Exchange, ...] = ()
    error: Error | None = None

    @property
    def passed(self) -> bool | None:
        """True or False where this grade can fail: a bool, or a number with a threshold; else None."""
        if isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, float | int) and self.threshold is not None:
            return self.value >= self.threshold
        return None


class Identity(Struct, frozen=True):
    """What groups and pairs trials: everything but the content. `setting` is one point of the sweep."""

    eval: str
    case: str
    prompt: str
    target: str
    setting: Mapping[str, Any]
    repeat: int


class Action(Struct, frozen=True):
    """What calling a tool does: it runs `function` (`<absolute path>:<name>`), fails with `raises`, or has the value `returns`.

    `templated` says that `returns` is to be filled in, from the case's variables and the call's `arguments`. `source` stands
    for the function on every machine: its path in the workspace and a hash of the file. `timeout` is seconds; a `trusted`
    function runs in this process.
    """

    function: str | None = None
    returns: Any = None
    raises: str | None = None
    templated: bool = False
    source: str = ""
    timeout: float = 10.0
    trusted: bool = False


class SimulatedUser(Struct, frozen=True):
    """A model that plays the user: the target of that name is told who it is (`persona`), and speaks until it says `stop`.

    It speaks at most `max_turns` times after the prompt's own message. `sampling` is how its words are drawn.
    """

    target: str
    persona: str
    max_turns: int = 4
    stop: str = "DONE"
    sampling: Mapping[str, Any] = field(default_factory=dict)


class Conversation(Struct, frozen=True):
    """How a trial goes on after its first request: what each tool does, by name, and what the user says in later `turns`.

    In each of the user's turns the model is asked at most `max_turns` times. After the written turns a simulated `user` speaks.
    """

    turns: tuple[str | tuple[Text | Image, ...], ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    max_turns: int = 10
    user: SimulatedUser | None = None


class Trial(Struct, frozen=True):
    """One planned question. `key` hashes the identity and what will be sent (design: unit of work, resume and sharding).

    `variables` are the case's variables and `graders` the index of its grader set, for whoever grades the answer. Without a
    `conversation` the first answer is the last; `turn_graders` are the sets of its later turns, none for the first.
    """

    identity: Identity
    key: str
    request: Request
    expected: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    threshold: float | None = None
    graders: tuple[Any, ...] = ()
    conversation: Conversation | None = None
    turn_graders: tuple[tuple[Any, ...], ...] = ()


class Record(Struct, frozen=True, tag_field="kind", tag="record"):
    """What happened to one Trial; a line of `records.jsonl`.

    `cost` is the target's in US dollars, `grading_cost` the judges'. `session` names the stretch of the run whose clock the
    marks belong to. `error` is null, or why there is no answer; a grader's error is on its grade. `parsed` is the answer's JSON
    value where a response format was asked for; null where it is no JSON, which `flags` then say.
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

    @property
    def response(self) -> Response | None:
        """The target's last response, None where it was not asked."""
        return next((each.response for each in reversed(self.exchanges) if each.role == "target"), None)

    @property
    def ungraded(self) -> bool:
        """True where an answer came but a grader of weight > 0 gave no verdict on it."""
        return self.error is None and any(grade.value is None and grade.weight > 0 for grade in self.grades)


class Session(Struct, frozen=True):
    """One process's stretch of a run: `started` (ISO 8601, UTC) and `clock` (`perf_counter_ns`) are the same moment.

    `ended` is null while it runs, and stays so where it died. `lag_p99` and `lag_max` are by how many seconds the event loop
    ran late, `in_flight` the most requests that were under way at once.
    """

    id: str
    started: str
    clock: int
    ended: str | None = None
    lag_p99: float | None = None
    lag_max: float | None = None
    in_flight: int | None = None


class Manifest(Struct, frozen=True):
    """What a run folder says of itself before its first record.

    `planned` counts trials; `arithmetic` is that count as a person reads it; `plan` maps each axis of the plan to what
    resuming compares (see `harness.plan`). `targets` are plain facts of each target by name: provider, model, address,
    price (dollars per MTok, as strings), simulated, sampling; `helpers` are the same of those that graders and simulated users
    ask. `gates` are the suite's gates in their JSON form. `options` are the command line's overrides, so that `resume` plans
    the same trials.
    """

    id: str
    suite: str
    created: str
    suite_path: str
    planned: int
    arithmetic: str
    description: str = ""
    seed: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    helpers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gates: tuple[Mapping[str, Any], ...] = ()
    max_error_rate: float = 0.05
    strict: bool = False
    budget: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    commit: str | None = None
    dirty: bool = False
    notes: tuple[str, ...] = ()
    sessions: tuple[Session, ...] = ()
    schema: int = 1
