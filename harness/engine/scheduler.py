"""The scheduler: releases trials, and decides which is next, how many may be open, and when to
stop.

Closed loop: each target has its own cursor over the plan and at most `OPEN_PER_SLOT` × its
concurrency trials open, so that a throttled target neither stops another nor fills memory, and a
trial that waits out a retry leaves its slot to another.
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
"""Trials prepared in one go, at half of what it costs to prepare each by itself; they begin in one
turn of the event loop."""
MAX_PREPARING_SECONDS = 0.001
"""Seconds after which no more are prepared in that go: one with large images takes longer than
eight others."""
SKIPS_PER_TURN = 1000
"""Trials passed over in one go before the event loop gets its turn: resuming a finished million
stays responsive."""


async def run_closed_loop(
    target: Target,
    trials: Iterator[Trial],
    is_final: Callable[[str], bool] | None,
    perform: Callable[[Trial], Awaitable[None]],
    tally: Tally,
    stop: Stop,
    max_open: int | None = None,
) -> None:
    """Perform every pending trial of `target`, until there are no more or the run or the target is
    stopped.

    Pending are those whose key is not final. `max_open` trials are open at once, by default as many
    as keep the target's slots busy.
    """
    prepared = _prepare_trials(trials, is_final)
    turn = asyncio.Lock()

    async def worker() -> None:
        while not stop.requested and not tally.stopped:
            async with turn:  # all workers rest together: a trial may be over without ever waiting
                for trial in prepared:
                    if trial is not None:
                        break
                    await asyncio.sleep(0)
                else:
                    return
            await perform(trial)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(max_open or OPEN_PER_SLOT * target.limits.concurrency, tally.pending)):
            group.create_task(worker())


def _prepare_trials(
    trials: Iterator[Trial], is_final: Callable[[str], bool] | None
) -> Iterator[Trial | None]:
    """The pending trials, prepared a few at a time, with a None before each few: the event loop
    gets a turn.

    Without it a trial that never waits (its answer is replayed, say) would keep the loop from
    everything else.
    """
    ready: list[Trial] = []
    skipped, began = 0, perf_counter()
    try:
        for trial in trials:
            if is_final is not None and is_final(trial.key):
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
