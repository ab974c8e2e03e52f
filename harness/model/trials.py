"""What is planned: trials, and how their conversations go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from harness.model.requests import Image, Request, Text


class Identity(Struct, frozen=True):
    """What groups and pairs trials: everything but the content. `setting` is one point of the
    sweep."""

    eval: str
    case: str
    prompt: str
    target: str
    setting: Mapping[str, Any]
    repeat: int


class Action(Struct, frozen=True):
    """What calling a tool does: it runs `function` (`<absolute path>:<name>`), fails with `raises`,
    or has the value `returns`.

    `templated` says that `returns` is to be filled in, from the case's variables and the call's
    `arguments`. `source` stands for the function on every machine: its path in the workspace and a
    hash of the file. `timeout` is seconds; a `trusted` function runs in this process.
    """

    function: str | None = None
    returns: Any = None
    raises: str | None = None
    templated: bool = False
    source: str = ""
    timeout: float = 10.0
    trusted: bool = False


class SimulatedUser(Struct, frozen=True):
    """A model that plays the user: the target of that name is told who it is (`persona`), and
    speaks until it says `stop`.

    It speaks at most `max_turns` times after the prompt's own message. `sampling` is how its words
    are drawn.
    """

    target: str
    persona: str
    max_turns: int = 4
    stop: str = "DONE"
    sampling: Mapping[str, Any] = field(default_factory=dict)


class Conversation(Struct, frozen=True):
    """How a trial goes on after its first request: what each tool does, by name, and what the user
    says in later `turns`.

    In each of the user's turns the model is asked at most `max_turns` times. After the written
    turns a simulated `user` speaks.
    """

    turns: tuple[str | tuple[Text | Image, ...], ...] = ()
    actions: Mapping[str, Action] = field(default_factory=dict)
    max_turns: int = 10
    user: SimulatedUser | None = None


class Trial(Struct, frozen=True):
    """One planned question. `key` hashes the identity and what will be sent: it is the unit of work
    and of resume.

    `variables` are the case's variables and `graders` the specifications of its graders. Without a
    `conversation` the first answer is the last; `turn_graders` are the sets of its turns, the first
    answer's first. `row` is the file and line of a case without an id of its own.
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
    row: str = ""
