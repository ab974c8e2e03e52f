"""Releases trials: which is next, how many may be open, and when to stop.

Closed loop: each target has its own cursor over the plan and at most `OPEN_PER_SLOT` × its concurrency trials open, so that a
throttled target neither stops another nor fills memory, and a trial that waits out a retry leaves its slot to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from harness.engine.progress import Tally
from harness.model import Target, Trial
from harness.transport.stop import Stop

OPEN_PER_SLOT = 2
AHEAD = 8
"""Trials prepared in one go: a fraction of a millisecond of work, and half of what it costs to prepare each by itself."""
SKIPS_PER_TURN = 1000
"""Trials passed over in one go before the event loop gets its turn: resuming a finished million stays responsive."""


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
    """The trials that are owed, prepared a few at a time; a None wherever the event loop is to get its turn."""
    ready: list[Trial] = []
    skipped = 0
    for trial in trials:
        if skip(trial.key):
            skipped += 1
            if skipped % SKIPS_PER_TURN == 0:
                yield None
            continue
        ready.append(trial)
        if len(ready) == AHEAD:
            yield None
            yield from ready
            ready.clear()
    yield from ready


async def _next(owed: Iterator[Trial | None]) -> Trial | None:
    """The next trial, giving way to other tasks now and then; None when there are no more."""
    for trial in owed:
        if trial is not None:
            return trial
        await asyncio.sleep(0)
    return None
