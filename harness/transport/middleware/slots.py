"""Slots: the permits for attempts in flight to one target, each the owner of one connection.

The slot that was freed last is taken first, so that few connections are kept warm rather than all of them lukewarm; those
who wait are served in the order they came.
"""

from __future__ import annotations

import asyncio
from collections import deque

from harness.transport.http.connection import Connection


class Slot:
    """A permit for one attempt. `limit` stamps `due` and `started` (ns) each time it is taken; `http` opens `transport`."""

    __slots__ = ("due", "started", "transport")

    def __init__(self) -> None:
        self.due = 0
        self.started = 0
        self.transport: Connection | None = None


class Slots:
    """`size` slots of one target; they are made when first needed."""

    def __init__(self, size: int) -> None:
        self._unmade = size
        self._free: list[Slot] = []
        self._waiting: deque[asyncio.Future[Slot]] = deque()

    async def acquire(self) -> Slot:
        """A slot, as soon as one is free."""
        if self._free:
            return self._free.pop()
        if self._unmade:
            self._unmade -= 1
            return Slot()
        promise: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(promise)
        try:
            return await promise
        except asyncio.CancelledError:
            if promise.done() and not promise.cancelled():  # handed over in the moment of the cancellation
                self.release(promise.result())
            raise

    def release(self, slot: Slot) -> None:
        """Give `slot` to whoever waits longest, else keep it."""
        while self._waiting:
            promise = self._waiting.popleft()
            if not promise.done():
                promise.set_result(slot)
                return
        self._free.append(slot)
