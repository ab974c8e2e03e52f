"""How the attempts of a run share one event loop: deadlines on a single timer, and a fair queue for
work that can wait.

Deadlines move with every event of a stream and cost nothing when they do.

An answer's bytes are stamped as they arrive; what is done with them can wait. Each read of a stream
has its events to be decoded, and a task whose answer is in has its own work left: decoding,
grading, recording, and preparing the next trial. Where hundreds of either come in the same moment,
all of that in one turn of the loop would stamp other answers late, so a little of it is done in
each turn. No time is lost: while something waits here, the loop does not. A waiting task keeps its
slot, so that no more requests than slots are ever without a record.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

AT_ONCE = 4
"""Tasks that go on in one turn of the loop: not a millisecond of work."""
READS = 64
"""Reads of streams that are gone through in one turn: half a millisecond of work."""

_TICK = 0.001
"""Seconds: the resolution of uvloop's timers. What is due within one is due."""


class DeadlineScheduler:
    """All deadlines of an event loop, kept by one timer: one for each would cost a twentieth of a
    request.

    The timer stands at the earliest deadline it knows of. Where that one has ended or moved away
    meanwhile, it is set again for the earliest of those that are open then.
    """

    def __init__(self) -> None:
        self.open: set[AttemptDeadline] = set()
        self.timer_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def set_timer(self, due: float, loop: asyncio.AbstractEventLoop) -> None:
        """Let the timer ring at `due`, the earliest deadline of all."""
        if self._timer is not None:
            self._timer.cancel()
        self.timer_at = due
        self._timer = loop.call_at(due, self._on_timer, loop)

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep the deadlines of `loop` from here on; a timer of another loop is forgotten."""
        self.loop, self._timer, self.timer_at = loop, None, math.inf

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self.timer_at, self._timer = math.inf, None
        now = loop.time() + _TICK
        nearest = math.inf
        for deadline in tuple(self.open):
            due = deadline.due()
            if due <= now:
                self.open.discard(deadline)
                deadline.expire()
            else:
                nearest = min(nearest, due)
        if nearest < math.inf:
            self.set_timer(nearest, loop)


class AttemptDeadline:
    """`with AttemptDeadline(scheduler, due):` ends its block by TimeoutError at `due()`, as
    `asyncio.timeout_at` does.

    `due` (the loop's time) is asked when the timer rings: a deadline that moves away needs no call.
    One that comes nearer does: `check_deadline`. `expired` says that it ended the block.
    """

    __slots__ = ("_cancelling", "_loop", "_scheduler", "_task", "due", "expired")

    def __init__(self, scheduler: DeadlineScheduler, due: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self.due = due
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a running task, and there is none")
        self._task, self._loop = task, task.get_loop()
        self._cancelling = task.cancelling()
        scheduler = self._scheduler
        if self._loop is not scheduler.loop:
            scheduler.use_loop(self._loop)
        scheduler.open.add(self)
        due = self.due()
        if due < scheduler.timer_at:
            scheduler.set_timer(due, self._loop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scheduler.open.discard(self)
        if (
            self.expired
            and self._task.uncancel() <= self._cancelling
            and isinstance(error, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def check_deadline(self) -> None:
        """The deadline may be nearer than it was."""
        if not self.expired:
            due = self.due()
            if due < self._scheduler.timer_at:
                self._scheduler.set_timer(due, self._loop)

    def expire(self) -> None:
        """End the block: its time has come."""
        self.expired = True
        self._task.cancel()


class FairQueue:
    """Lets `at_once` tasks go on in each turn of the loop, and goes through `reads`, in the order
    they came."""

    def __init__(self, at_once: int = AT_ONCE, reads: int = READS) -> None:
        self._at_once = self._left = at_once
        self._reads = reads
        self._tasks: deque[asyncio.Future[None]] = deque()
        self._unread: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def resume_task(self, waiter: asyncio.Future[None]) -> None:
        """Let the task that awaits `waiter` go on, in this turn where it has room."""
        if not self._scheduled:
            self._scheduled = True
            loop = waiter.get_loop()
            loop.call_soon(self._run_turn, loop)
        if self._left and not self._tasks:
            self._left -= 1
            waiter.set_result(None)
        else:
            self._tasks.append(waiter)

    def add_read(self, take: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call `take` in the next turn that has room."""
        self._unread.append(take)
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._run_turn, loop)

    def _run_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop has been to its sockets: a new turn."""
        self._left = self._at_once
        unread, tasks = self._unread, self._tasks
        for _ in range(min(self._reads, len(unread))):
            unread.popleft()()
        while self._left and tasks:
            waiter = tasks.popleft()
            if not waiter.done():  # else: cancelled while it waited
                self._left -= 1
                waiter.set_result(None)
        self._scheduled = bool(unread) or self._left < self._at_once
        if self._scheduled:
            loop.call_soon(self._run_turn, loop)
