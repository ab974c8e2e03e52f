"""A deadline that moves with every event of a stream, and costs nothing when it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

_TICK = 0.001
"""Seconds: the resolution of uvloop's timers. What is due within one is due."""


class Watch:
    """`with Watch(due):` ends its block by TimeoutError at `due()` (the loop's time), as `asyncio.timeout_at` does.

    `due` is asked when the timer goes off, and the timer is set again where that was too early: a deadline that moves away
    needs no word. One that comes nearer does: `look`.
    """

    __slots__ = ("_cancelling", "_due", "_loop", "_task", "_timer", "expired")

    def __init__(self, due: Callable[[], float]) -> None:
        self._due = due
        self._loop = asyncio.get_running_loop()
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be watched: there is nothing else to end")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self._loop.call_at(self._due(), self._ring)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._timer.cancel()
        if self.expired and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def look(self) -> None:
        """Set the timer anew: the deadline is nearer than it was."""
        if not self.expired:
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due(), self._ring)

    def _ring(self) -> None:
        due = self._due()
        if due > self._loop.time() + _TICK:
            self._timer = self._loop.call_at(due, self._ring)
        else:
            self.expired = True
            self._task.cancel()
