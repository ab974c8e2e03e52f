"""A deadline that moves with every event of a stream, for next to nothing."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

_TICK = 0.001
"""Seconds: the resolution of uvloop's timers. What is due within one is due."""


class Watch:
    """`with Watch(at):` ends its block by TimeoutError at `at` (the loop's time): `asyncio.timeout_at`, cheap to move.

    A later deadline leaves the timer as it is; when that goes off too early, it is set again.
    """

    __slots__ = ("_at", "_cancelling", "_loop", "_set_for", "_task", "_timer", "expired")

    def __init__(self, at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = at
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be watched: there is nothing else to end")
        self._task = task
        self._cancelling = task.cancelling()
        self._set()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._timer.cancel()
        if self.expired and self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def move(self, at: float) -> None:
        """Let it run out at `at`."""
        self._at = at
        if at < self._set_for:
            self._timer.cancel()
            self._set()

    def _set(self) -> None:
        self._set_for = self._at
        self._timer = self._loop.call_at(self._at, self._look)

    def _look(self) -> None:
        if self._at > self._loop.time() + _TICK:
            self._set()
        else:
            self.expired = True
            self._task.cancel()
