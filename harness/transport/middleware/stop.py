"""Stopping a run: nothing new is sent, what is in flight may finish.

A call that waits for a slot, for the rate or for its next attempt comes back at once, as a Response
whose error is `interrupted`; the attempts it already made stay on it.
"""

from __future__ import annotations

import asyncio

from harness.model import Call, Response
from harness.model.error_kinds import INTERRUPTED
from harness.transport.middleware.limit import SendOnSlot, Slot
from harness.transport.send import Send, build_refusal


class _Interrupted(Exception):
    """A wait inside the stack was cut short; never leaves it."""


class Stop:
    """Set once, never cleared; the first reason stands."""

    def __init__(self) -> None:
        self.reason = ""
        self.requested = False
        """Whether the run is to end."""
        self._event = asyncio.Event()

    def request(self, reason: str) -> None:
        """End the run."""
        self.reason = self.reason or reason
        self.requested = True
        self._event.set()

    async def sleep_or_stop(self, seconds: float) -> None:
        """Sleep, but not past the end of the run: for whoever asks again afterwards (`Retry`)."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return

    async def sleep(self, seconds: float) -> None:
        """Sleep; where the run ends meanwhile, the call is abandoned: for waits below
        `catch_abandoned` (`Limit`)."""
        await self.sleep_or_stop(seconds)
        if self.requested:
            raise _Interrupted

    def catch_abandoned(self, inner: Send) -> Send:
        """The layer above those that wait: an abandoned call becomes a Response."""

        async def send(call: Call) -> Response:
            if not self.requested:
                try:
                    return await inner(call)
                except _Interrupted:
                    return self._interrupted_response()
            return self._interrupted_response()

        return send

    def abandon_unsent(self, inner: SendOnSlot) -> SendOnSlot:
        """The layer below those that wait: the last moment to abandon a call."""

        async def send(call: Call, slot: Slot) -> Response:
            if self.requested:
                raise _Interrupted
            return await inner(call, slot)

        return send

    def _interrupted_response(self) -> Response:
        return build_refusal("transport", INTERRUPTED, f"given up: {self.reason}")
