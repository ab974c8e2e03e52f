"""Deadlines that move with every event of a stream, and cost nothing when they do."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Self

_TICK = 0.001
"""Seconds: the resolution of uvloop's timers. What is due within one is due."""


class DeadlineScheduler:
    """All deadlines of an event loop, kept by one timer: one for each would cost a twentieth of a request.

    The timer stands at the earliest deadline it was told of. Where that one has ended or moved away meanwhile, it is set again
    for the earliest of those that are open then.
    """

    def __init__(self) -> None:
        self._open: set[AttemptDeadlines] = set()
        self._rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def watch_until(self, due: Callable[[], float]) -> AttemptDeadlines:
        """`with watches.until(due):` ends its block by TimeoutError at `due()` (the loop's time), as `asyncio.timeout_at` does.

        `due` is asked when the timer rings: a deadline that moves away needs no word. One that comes nearer does: `look`.
        """
        return AttemptDeadlines(self, due)

    def add_watch(self, watch: AttemptDeadlines) -> None:
        """`watch` is to be kept from now on."""
        if watch.loop is not self._loop:  # the first, or the first of another loop: the timer is none of its
            self._loop, self._timer, self._rings_at = watch.loop, None, math.inf
        self._open.add(watch)
        self.check_deadline(watch)

    def remove_watch(self, watch: AttemptDeadlines) -> None:
        """`watch` is over."""
        self._open.discard(watch)

    def check_deadline(self, watch: AttemptDeadlines) -> None:
        """The deadline of `watch` may be the nearest."""
        due = watch.due()
        if due < self._rings_at:
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = due
        if self._loop is not None:
            self._timer = self._loop.call_at(due, self._on_timer, self._loop)

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._rings_at, self._timer = math.inf, None
        now = loop.time() + _TICK
        nearest = math.inf
        for watch in tuple(self._open):
            due = watch.due()
            if due <= now:
                self._open.discard(watch)
                watch.expire()
            else:
                nearest = min(nearest, due)
        if nearest < math.inf:
            self._set_timer(nearest)


class AttemptDeadlines:
    """One block and its deadline, made by `DeadlineScheduler.until`; `expired` says that it ended the block."""

    __slots__ = ("_cancelling", "_task", "_watches", "due", "expired", "loop")

    def __init__(self, watches: DeadlineScheduler, due: Callable[[], float]) -> None:
        self._watches = watches
        self.due = due
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be watched: there is nothing else to end")
        self._task, self.loop = task, task.get_loop()
        self._cancelling = task.cancelling()
        self._watches.add_watch(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._watches.remove_watch(self)
        if self.expired and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def check_deadline(self) -> None:
        """The deadline is nearer than it was."""
        if not self.expired:
            self._watches.check_deadline(self)

    def expire(self) -> None:
        """Its time has come: end the block."""
        self.expired = True
        self._task.cancel()
