"""Flows: conversations as generators that say what they need and do no I/O.

A flow yields an `Ask` (ask the model in that role), a `ToolCall` (call that function of ours), a
`FunctionCall` (call a tool's function), or a tuple of these (performed concurrently, answered in
order). It is sent the `Response` or the `ToolResult`, or a tuple of them, and returns a value. A
failed ask is thrown in as `AskFailed`; inside a tuple it is sent as the response it is, with
`error` set, so that one failure does not discard its neighbours' answers. A flow draws nothing at
random: the same answers lead it the same way.

`engine.drive` performs flows; a test needs only `next()` and `.send()`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from harness.model import Request, Response, Target, ToolCall

T = TypeVar("T")

FIRST = "t0"
"""The position of what a trial asks first."""

TARGET, USER, JUDGE = "target", "user", "judge"
"""The roles that are asked: the model under test, one that plays its user, and one that grades its
answers."""


class Ask(Struct, frozen=True):
    """Ask the model that plays `role` (`target`, `judge`, `user`): the trial's own, or the one the
    suite calls `target`."""

    role: str
    request: Request
    target: str | None = None


class RoleTarget(Struct, frozen=True):
    """A target that graders and simulated users ask (`Ask.target`), whether or not it is under test
    itself.

    `structured` says that it holds its answer to a JSON Schema; `dropped` are the sampling
    parameters that it cannot take and the suite agreed to leave out.
    """

    target: Target
    structured: bool = False
    dropped: frozenset[str] = frozenset()

    def fit_request(self, request: Request) -> Request:
        """The request as this target gets it: its own sampling where the ask has none, and a
        response format where it can."""
        sampling = {**self.target.sampling, **request.sampling}
        return replace(
            request,
            sampling={name: value for name, value in sampling.items() if name not in self.dropped},
            response_format=request.response_format if self.structured else None,
        )


class FunctionCall(Struct, frozen=True):
    """Call `function` (`<absolute path>:<name>`) with the keyword arguments that `arguments` (JSON
    text) holds.

    It may take `timeout` seconds. A `trusted` one runs in this process, the others in a child that
    can be killed.
    """

    id: str
    function: str
    arguments: str
    timeout: float
    trusted: bool = False

    @property
    def name(self) -> str:
        """What a child process knows it by."""
        return f"tool:{self.function}"


Need: TypeAlias = Ask | ToolCall | FunctionCall
Flow: TypeAlias = Generator[Need | tuple[Need, ...], Any, T]


class AskFailed(Exception):
    """The ask a flow waits for has no usable answer; `response.error` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.error.message if response.error else "no answer")
        self.response = response
