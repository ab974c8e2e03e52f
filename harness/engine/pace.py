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
SKIPS_PER_TURN = 1000
"""Trials passed over in one go before the event loop gets its turn: resuming a finished million stays responsive."""


async def closed_loop(
    target: Target,
    trials: Iterator[Trial],
    skip: Callable[[str], bool],
    perform: Callable[[Target, Trial], Awaitable[None]],
    tally: Tally,
    stop: Stop,
) -> None:
    """Perform every trial of `target` that is not skipped, until there are no more or the run or the target is stopped."""
    owed = _owed(trials, skip)

    async def worker() -> None:
        while not stop.asked and not tally.stopped:
            trial = await _next(owed)
            if trial is None:
                return
            await perform(target, trial)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(OPEN_PER_SLOT * target.limits.concurrency, tally.owed)):
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
