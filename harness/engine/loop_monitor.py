"""Monitors the event loop's lag: the client's own share of every latency it reports, and the stalls
that invalidate one.

A task sleeps for a short time, again and again, and records by how much it overslept. A late loop
does not affect timestamps that the transport takes on arrival, but it sends late and times out
late. A gap of `STALL` seconds means that the process did not run at all (suspended, stopped,
starved): a request in flight during it has no valid latency.
"""

from __future__ import annotations

import asyncio
import gc
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter_ns
from types import TracebackType
from typing import Self

from msgspec.structs import replace

from harness.model import STALLED, Exchange

EVERY = 0.02
STALL = 1.0
KEPT = 100_000
"""Samples kept, the newest: some half an hour."""

_THRESHOLDS = (7_000, 20, 20)
"""Allocations to a collection of the youngest; collections of each
generation to one of the next."""


@contextmanager
def reduced_garbage_collection() -> Iterator[None]:
    """Exempt existing objects from garbage collection, and collect a tenth as often.

    All that a suite and its modules made outlives the run; going through it again and again would
    hold the loop up for milliseconds at a time, and find nothing.
    """
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


class LoopMonitor:
    """Measures while it is open, as an async context manager. Lags are seconds."""

    def __init__(self) -> None:
        self._lags = array("d")
        self.stalls: list[tuple[int, int]] = []
        """When the process did not run: begin and end (ns)."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure_lag())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _measure_lag(self) -> None:
        while True:
            before = perf_counter_ns()
            await asyncio.sleep(EVERY)
            after = perf_counter_ns()
            lag = max(0.0, (after - before) / 1e9 - EVERY)
            if lag >= STALL:
                self.stalls.append((before, after))
            if len(self._lags) >= KEPT:
                del self._lags[: KEPT // 2]
            self._lags.append(lag)

    def percentile(self, share: float) -> float | None:
        """The lag that `share` of the samples do not exceed, None without samples."""
        ordered = sorted(self._lags)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def flag_stalled(self, exchange: Exchange) -> Exchange:
        """`exchange`, flagged where its final attempt was under way while the process did
        not run."""
        response, marks = exchange.response, exchange.response.marks
        if marks.sent is None:
            return exchange
        sent, done = marks.sent, marks.sent if marks.done is None else marks.done
        if not any(sent < end and begin < done for begin, end in self.stalls):
            return exchange
        return replace(exchange, response=replace(response, flags=(*response.flags, STALLED)))
