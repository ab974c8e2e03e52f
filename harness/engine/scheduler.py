"""Releases trials: which is next, how many may be open, and when to stop.

Closed loop: each target has its own cursor over the plan and at most `OPEN_PER_SLOT` × its concurrency trials open, so that a
throttled target neither stops another nor fills memory, and a trial that waits out a retry leaves its slot to another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter

from harness.engine.progress import Tally
from harness.model import Target, Trial
from harness.transport.middleware.stop import Stop

OPEN_PER_SLOT = 2
PREPARED_AT_ONCE = 8
"""Trials prepared in one go, at half of what it costs to prepare each by itself; they begin in one turn of the event loop."""
MAX_PREPARING_SECONDS = 0.001
"""Seconds after which no more are prepared in that go: one with large images takes longer than eight others."""
SKIPS_PER_TURN = 1000
"""Trials passed over in one go before the event loop gets its turn: resuming a finished million stays responsive."""


async def run_closed_loop(
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
    owed = _PendingTrials(trials, skip)

    async def worker() -> None:
        while not stop.requested and not tally.stopped:
            trial = await owed.next_trial()
            if trial is None:
                return
            await perform(target, trial)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(most_open or OPEN_PER_SLOT * target.limits.concurrency, tally.pending)):
            group.create_task(worker())


class _PendingTrials:
    """The trials of one target that are owed, for all its workers together.

    A trial may be over without ever waiting (its answer is replayed, say), and its worker comes for the next one at once. So
    that the event loop still gets to everything else, all workers rest together for a turn of it, every few trials.
    """

    def __init__(self, trials: Iterator[Trial], skip: Callable[[str], bool]) -> None:
        self._trials = _prepare_trials(trials, skip)
        self._turn = asyncio.Lock()

    async def next_trial(self) -> Trial | None:
        """The next trial, None when there are no more. Raises what preparing it raised."""
        async with self._turn:
            for trial in self._trials:
                if trial is not None:
                    return trial
                await asyncio.sleep(0)
        return None


def _prepare_trials(trials: Iterator[Trial], skip: Callable[[str], bool]) -> Iterator[Trial | None]:
    """The trials that are not skipped, prepared a few at a time, with a None (rest) before each few."""
    ready: list[Trial] = []
    skipped, began = 0, perf_counter()
    try:
        for trial in trials:
            if skip(trial.key):
                skipped += 1
                if skipped % SKIPS_PER_TURN == 0:
                    yield None
                continue
            ready.append(trial)
            if len(ready) == PREPARED_AT_ONCE or perf_counter() - began > MAX_PREPARING_SECONDS:
                yield None
                yield from ready
                ready.clear()
                began = perf_counter()
    except Exception:
        yield from ready  # nobody else's trial is lost to one that cannot be prepared
        raise
    yield from ready
