"""What is planned, and what it was worth: trials, grades and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from harness.model.requests import Image, Request, Text
from harness.model.responses import Error, Exchange, Response


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
    `conversation` the first answer is the last; `turn_graders` are the sets of its turns, the first answer's first.
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
