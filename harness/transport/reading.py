"""Reads one attempt's answer: which kind it is, when its content came, when it is over, and what it means.

A stream is complete at its terminal signal, though the connection stay open. The clock for the first content and the one
between contents are moved by content, not by bytes: pings and empty events keep no answer alive. A request that is not
streamed has all its content at the very end, so there only the total applies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Any, cast

import httpx

from harness.model import Attempt, Call, Error, Marks, Response
from harness.providers.base import Decoded, Decoder, Signal
from harness.transport.connection import Arrivals
from harness.transport.failures import Waiting
from harness.transport.inflate import Inflater
from harness.transport.slots import Slot
from harness.transport.sse import Event, Reader
from harness.transport.wire import WireResponse

GRACE = 0.1
"""Seconds the end of the body may lag behind the terminal signal before the connection is given up for it."""
MAX_ERROR_BODY = 256 * 1024
"""Bytes read of a refusal; what is beyond explains nothing."""

_KEPT = frozenset(
    {"content-type", "date", "request-id", "retry-after", "retry-after-ms", "server", "via"}
    | {"x-amzn-requestid", "x-request-id", "x-should-retry"}
)
_KEPT_PREFIXES = ("anthropic-", "cf-", "openai-", "x-ratelimit-", "x-simulated")


class Reading:
    """One attempt's answer under way; `arrivals` is filled by the transport."""

    def __init__(self, call: Call, decoder: Decoder) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._decoder = decoder
        self._timeouts = call.target.limits.timeouts
        self.total_at = self._loop.time() + self._timeouts.total
        self.waiting: Waiting = "total"
        self.arrivals = Arrivals()
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self._body = bytearray()
        self._streamed = False
        self._events: list[int] = []
        self._reads = 0
        self._first_token: int | None = None
        self._first_answer: int | None = None
        self._last_read: int | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the status is 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def redirected(self) -> bool:
        """Whether the answer lies elsewhere."""
        return self.status is not None and 300 <= self.status < 400

    async def take(self, answer: httpx.Response, watch: asyncio.Timeout) -> None:
        """Read `answer` to its end, moving `watch` as content comes. Raises httpx.TransportError and the caps' ValueErrors."""
        self.status = answer.status_code
        raw = answer.raw_headers if isinstance(answer, WireResponse) else answer.headers.raw
        self.headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
        if self.redirected:
            return
        inflater = Inflater(self.headers.get("content-encoding", ""))
        chunks: AsyncIterator[tuple[int, bytes]] = cast(Any, answer.stream).timed()
        if self.succeeded and self._is_stream():
            await self._take_events(chunks, inflater, watch)
        else:
            await self._take_body(chunks, inflater)

    def _is_stream(self) -> bool:
        """Whether events follow: by Content-Type; where that says nothing, by what was asked."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return True
        return self._call.request.stream and not kind.endswith(("json", "html"))

    async def _take_body(self, chunks: AsyncIterator[tuple[int, bytes]], inflater: Inflater) -> None:
        async for _, data in chunks:
            self._body += inflater.feed(data)
            if not self.succeeded and len(self._body) > MAX_ERROR_BODY:
                return
        if self.succeeded:
            self._decoder.body(bytes(self._body))

    async def _take_events(self, chunks: AsyncIterator[tuple[int, bytes]], inflater: Inflater, watch: asyncio.Timeout) -> None:
        self._streamed = True
        reader = Reader()
        since_sent = (perf_counter_ns() - (self.arrivals.sent or perf_counter_ns())) / 1e9
        self._wait(watch, "first", self._timeouts.first - since_sent)
        async for arrival, data in chunks:
            if not self._decoder.complete:  # nothing after the terminal signal matters but the end
                self._last_read = arrival
                self._take_read(reader.feed(inflater.feed(data)), arrival, watch)
        if not self._decoder.complete and self._last_read is not None:
            self._take_read(reader.close(), self._last_read, watch)

    def _take_read(self, events: list[Event], arrival: int, watch: asyncio.Timeout) -> None:
        decoder, before = self._decoder, len(self._events)
        for name, data in events:
            signal = decoder.event(name, data)
            if signal is not Signal.NOTHING:
                self._stamp(signal, arrival)
            if decoder.complete:
                self._wait(watch, "total", GRACE)
                break
        if len(self._events) > before:
            self._reads += 1
            if not decoder.complete:
                self._wait(watch, "idle", self._timeouts.idle)

    def _stamp(self, signal: Signal, arrival: int) -> None:
        self._events.append(arrival)
        if self._first_token is None:
            self._first_token = arrival
        if self._first_answer is None and signal is Signal.ANSWER:
            self._first_answer = arrival

    def _wait(self, watch: asyncio.Timeout, waiting: Waiting, seconds: float) -> None:
        """Let `watch` run out `seconds` from now, but never after the total."""
        when = self._loop.time() + seconds
        self.waiting = waiting if when < self.total_at else "total"
        watch.reschedule(min(when, self.total_at))

    # ── What it means ─────────────────────────────────────────────────────────────────────────────────────────────────

    def response(self, slot: Slot, failure: Error | None) -> Response:
        """The Response with its one Attempt; `failure` is what the transport or a clock had against it."""
        decoded = self._decode()
        error = self._verdict(decoded, failure)
        attempt = Attempt(
            marks=self._marks(slot),
            status=self.status,
            usage=decoded.usage,
            error=error,
            clock="protocol" if self.arrivals.protocol else "reader",
        )
        return Response(
            message=decoded.message,
            usage=decoded.usage,
            finish_reason=decoded.finish_reason,
            attempts=(attempt,),
            error=error,
            model=decoded.model,
            fingerprint=decoded.fingerprint,
            headers={name: value for name, value in self.headers.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)},
            flags=decoded.flags,
        )

    def _decode(self) -> Decoded:
        if self.status is None or self.redirected:
            return Decoded()
        if not self.succeeded:
            self._decoder.refused(self.status, self.headers, bytes(self._body))
        return self._decoder.finish(self.headers)

    def _verdict(self, decoded: Decoded, failure: Error | None) -> Error | None:
        """What the server said of itself outranks how the connection ended."""
        said = self._streamed and (self._decoder.complete or decoded.error is None)
        refused = self.status is not None and self.status >= 400 and decoded.error is not None
        return decoded.error if said or refused or failure is None else failure

    def _marks(self, slot: Slot) -> Marks:
        arrivals, events = self.arrivals, self._events
        over = arrivals.done if arrivals.done is not None or not self._decoder.complete else self._last_read
        return Marks(
            due=slot.due,
            started=slot.started,
            connected=arrivals.connected,
            sent=arrivals.sent,
            first_byte=arrivals.first_byte,
            first_token=self._first_token,
            first_answer=self._first_answer,
            last_token=events[-1] if events else None,
            done=over,
            events=tuple(events),
            reads=self._reads,
        )
