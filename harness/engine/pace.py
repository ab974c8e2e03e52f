"""Releases trials: which is next, how many may be open, and when to stop.

Closed loop: each target has its own cursor over the plan and at most `OPEN_PER_SLOT` × its concurrency trials open, so that a
throttled target neither stops another nor fills memory, and a trial that waits out a retry leaves its slot to another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator

from harness.engine.progress import Tally
from harness.model import Target, Trial
from harness.transport.stop import Stop

OPEN_PER_SLOT = 2
TRIALS_PER_TURN = 1
"""Answered trials that go on in one turn of the event loop: a fraction of a millisecond of work."""
SKIPS_PER_TURN = 1000
"""Trials passed over in one go before the event loop gets its turn: resuming a finished million stays responsive."""


class Turns:
    """Lets so many trials go on in each turn of the event loop, in the order they came; the others wait for a later turn.

    A trial whose answer is in has its own work left: grading, recording, and preparing the next one. Where hundreds end in the
    same moment, all of that in one turn would keep the loop from its sockets, and other answers would be stamped late. No time
    is lost: while a trial waits here, the loop does not.
    """

    def __init__(self, at_once: int = TRIALS_PER_TURN) -> None:
        self._at_once = self._left = at_once
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._counting = False

    async def take(self) -> None:
        """Go on in this turn where it has room, else in a later one."""
        loop = asyncio.get_running_loop()
        if not self._counting:
            self._counting = True
            loop.call_soon(self._open_next, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        promise: asyncio.Future[None] = loop.create_future()
        self._waiting.append(promise)
        await promise

    def _open_next(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop has been to its sockets: a new turn."""
        self._left = self._at_once
        while self._left and self._waiting:
            promise = self._waiting.popleft()
            if not promise.done():  # else: cancelled while it waited
                self._left -= 1
                promise.set_result(None)
        self._counting = bool(self._waiting)
        if self._counting:
            loop.call_soon(self._open_next, loop)


async def closed_loop(
    target: Target,
    trials: Iterator[Trial],
    skip: Callable[[str], bool],
    perform: Callable[[Target, Trial], Awaitable[None]],
    tally: Tally,
    stop: Stop,
    most_open: int | None = None,
) -> None:
    """Perform every trial of `target` that is not skipped, until there are no more or the run or the target is stopped.

    `most_open` trials are open at once, by default as many as keep the target's slots busy.
    """
    owed = _owed(trials, skip)

    async def worker() -> None:
        while not stop.asked and not tally.stopped:
            trial = await _next(owed)
            if trial is None:
                return
            await perform(target, trial)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(most_open or OPEN_PER_SLOT * target.limits.concurrency, tally.owed)):
            group.create_task(worker())


def _owed(trials: Iterator[Trial], skip: Callable[[str], bool]) -> Iterator[Trial | None]:
    """The trials that are owed, with a None after every run of skipped ones."""
    skipped = 0
    for trial in trials:
        if not skip(trial.key):
            yield trial
            continue
        skipped += 1
        if skipped % SKIPS_PER_TURN == 0:
            yield None


async def _next(owed: Iterator[Trial | None]) -> Trial | None:
    """The next trial, giving way to other tasks while many are skipped; None when there are no more."""
    for trial in owed:
        if trial is not None:
            return trial
        await asyncio.sleep(0)
    return None
