"""Simulated time: an event loop whose clock jumps to the next timer instead of waiting for it, and
a scripted inner layer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.model import Attempt, Call, Error, Limits, Marks, Message, Response, Target
from harness.transport.middleware.limit import Slot
from harness.transport.send import Clock
from tests.transport.calling import call

T = TypeVar("T")
SECOND = 1_000_000_000


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Time passes only while everybody sleeps."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def simulate(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in simulated time, starting at 0."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)


def now_ns() -> int:
    """Simulated nanoseconds since the start."""
    return round(asyncio.get_running_loop().time() * SECOND)


CLOCK = Clock(now_ns, asyncio.sleep)


def ok(text: str = "yes") -> Response:
    """A complete answer."""
    marks = Marks(sent=1, done=2)
    return Response(
        message=Message("assistant", text), finish_reason="stop", attempts=(Attempt(marks, 200),)
    )


def broken(
    status: int | None = 503,
    kind: str = "overloaded",
    *,
    retryable: bool = True,
    retry_after: float | None = None,
    **more: Any,
) -> Response:
    """A refusal."""
    error = Error("provider", kind, "no", retryable, status, retry_after=retry_after)
    return Response(error=error, attempts=(Attempt(Marks(sent=1), status, error=error),), **more)


@dataclass
class Server:
    """The bottom of a stack in simulated time: answers after `seconds`, and remembers when each
    attempt came."""

    answer: Callable[[Call, int], Response] = lambda call, number: ok()
    seconds: float = 0.0
    starts: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    slots: list[tuple[int, int]] = field(default_factory=list)
    in_flight: int = 0
    most: int = 0

    async def __call__(self, call: Call, slot: Slot | None = None) -> Response:
        self.starts.append(now_ns())
        self.calls.append(call)
        if slot is not None:
            self.slots.append((slot.due, slot.started))
        number = len(self.starts)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(self.seconds)
            return self.answer(call, number)
        finally:
            self.in_flight -= 1


def calling(name: str = "tiny", **limits: Any) -> Call:
    """A Call to a target of this name with these limits."""
    one = call("http://127.0.0.1:1/v1")
    target = Target(
        name, "openai", "tiny-1", "${TINY}", "http://127.0.0.1:1/v1", limits=Limits(**limits)
    )
    return Call(target, one.request, one.wire, key="k")
