"""What is done with answers, a little in each turn of the event loop, so that it gets to its sockets in between.

An answer's bytes are stamped as they come; what is done with them can wait. Each read of a stream has its events to be decoded,
and a task whose answer is in has its own work left: decoding, grading, recording, and preparing the next trial. Where hundreds
of either come in the same moment, all of that in one turn would stamp other answers late. No time is lost: while something
waits here, the loop does not. A waiting task's slot stays taken meanwhile, so that no more requests than slots are ever without
a record.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

AT_ONCE = 4
"""Tasks that go on in one turn of the loop: not a millisecond of work."""
READS = 64
"""Reads of streams that are gone through in one turn: half a millisecond of work."""


class FairQueue:
    """Lets `at_once` tasks go on in each turn of the loop, and goes through `reads`, in the order they came."""

    def __init__(self, at_once: int = AT_ONCE, reads: int = READS) -> None:
        self._at_once = self._left = at_once
        self._reads = reads
        self._tasks: deque[asyncio.Future[None]] = deque()
        self._unread: deque[Callable[[], None]] = deque()
        self._counting = False

    def resume_task(self, waiter: asyncio.Future[None]) -> None:
        """Let the task that awaits `waiter` go on, in this turn where it has room."""
        if not self._counting:
            self._schedule_turn(waiter.get_loop())
        if self._left and not self._tasks:
            self._left -= 1
            waiter.set_result(None)
        else:
            self._tasks.append(waiter)

    def add_read(self, take: Callable[[], None], loop: asyncio.AbstractEventLoop) -> None:
        """Call `take` in the next turn that has room."""
        self._unread.append(take)
        if not self._counting:
            self._schedule_turn(loop)

    def _schedule_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._counting = True
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
        self._counting = bool(unread) or self._left < self._at_once
        if self._counting:
            loop.call_soon(self._run_turn, loop)
