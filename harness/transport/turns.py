"""Wakes the tasks whose answers are in, a few in each turn of the event loop.

A trial whose answer is in has its own work left: decoding, grading, recording, and preparing the next one. Where hundreds end
in the same moment, all of that in one turn would keep the loop from its sockets, and other answers would be stamped late. No
time is lost: while a task waits here, the loop does not. Its slot stays taken meanwhile, so that no more requests than slots
are ever without a record.
"""

from __future__ import annotations

import asyncio
from collections import deque

AT_ONCE = 2
"""Tasks that go on in one turn of the loop: half a millisecond of work."""


class Turns:
    """Lets `at_once` tasks go on in each turn of the loop, in the order they came; the others wait for a later one."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = self._left = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._counting = False

    def wake(self, waiter: asyncio.Future[None]) -> None:
        """Let the task that awaits `waiter` go on, in this turn where it has room."""
        if not self._counting:
            self._counting = True
            loop = waiter.get_loop()
            loop.call_soon(self._open_next, loop)
        if self._left and not self._waiting:
            self._left -= 1
            waiter.set_result(None)
        else:
            self._waiting.append(waiter)

    def _open_next(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop has been to its sockets: a new turn."""
        self._left = self._at_once
        while self._left and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else: cancelled while it waited
                self._left -= 1
                waiter.set_result(None)
        self._counting = self._left < self._at_once
        if self._counting:
            loop.call_soon(self._open_next, loop)
