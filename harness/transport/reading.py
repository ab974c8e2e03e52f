"""Reads one attempt's answer: which kind it is, when its content came, when it is over, and what it means.

A stream is complete at its terminal signal, though the connection stay open. The clock for the first content and the one
between contents are moved by content, not by bytes: pings and empty events keep no answer alive. A request that is not
streamed has its content at the very end, so only the total applies to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from time import perf_counter_ns
from typing import Any, cast

import httpx

from harness.model import Attempt, Call, Error, Marks, Response
from harness.providers.base import Decoded, Decoder, Signal
from harness.transport.connection import Arrivals
from harness.transport.failures import Waiting
from harness.transport.inflate import Inflater
from harness.transport.retry_after import retry_after
from harness.transport.slots import Slot
from harness.transport.sse import Reader

GRACE = 0.1
"""Seconds the end of the body may lag behind the terminal signal before the connection is given up for it."""
MAX_ERROR_BODY = 256 * 1024
"""Bytes read of a refusal; what is beyond explains nothing."""

_KEPT = frozenset(
    "date server via content-type retry-after retry-after-ms x-should-retry x-request-id request-id x-amzn-requestid "
    "anthropic-organization-id".split()
)
_KEPT_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "anthropic-priority-", "cf-", "openai-", "x-simulated", "x-envoy-")
_JSON = ("application/json", "text/html")
_OK = range(200, 300)


class Reading:
    """One attempt's answer under way; `response` may be asked for at any moment."""

    def __init__(self, call: Call, decoder: Decoder) -> None:
        self._call = call
        self._timeouts = call.target.limits.timeouts
        self._decoder = decoder
        self._loop = asyncio.get_running_loop()
        self._total_at = self._loop.time() + self._timeouts.total
        self.waiting: Waiting = "total"
        self.status: int | None = None
        self.arrivals = Arrivals(protocol=False)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._streamed = False
        self._events: list[int] = []
        self._reads = 0
        self._first_token: int | None = None
        self._first_answer: int | None = None
        self._done: int | None = None

    @property
    def redirected_to(self) -> str | None:
        """The `location` of a redirect, None where the answer is none."""
        redirected = self.status is not None and 300 <= self.status < 400
        return self._headers.get("location", "nowhere") if redirected else None

    async def take(self, answer: httpx.Response, watch: asyncio.Timeout) -> None:
        """Read `answer` to its end, moving `watch` as content comes. Raises httpx.TransportError, ValueError (a cap)."""
        self.status = answer.status_code
        self.arrivals = cast(Arrivals, answer.extensions["marks"])
        self._headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in answer.headers.raw}
        if self.redirected_to is not None:
            return
        chunks = self._chunks(answer)
        if self.status in _OK and await self._is_stream(chunks):
            await self._take_events(chunks, watch)
        else:
            await self._take_body(chunks, watch)
        self._done = self._done or self.arrivals.done

    async def _chunks(self, answer: httpx.Response) -> AsyncIterator[tuple[int, bytes]]:
        inflater = Inflater(self._headers.get("content-encoding", ""))
        timed: Callable[[], AsyncIterator[tuple[int, bytes]]] = cast(Any, answer.stream).timed
        async for arrival, data in timed():
            yield arrival, inflater.feed(data)
        self._done = self.arrivals.done

    async def _is_stream(self, chunks: AsyncIterator[tuple[int, bytes]]) -> bool:
        """Whether events follow: by Content-Type; where that says nothing, by what was asked and the first byte."""
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            return True
        return self._call.request.stream and not (kind.startswith(_JSON) or kind.endswith("+json"))

    async def _take_body(self, chunks: AsyncIterator[tuple[int, bytes]], watch: asyncio.Timeout) -> None:
        watch.reschedule(self._total_at)
        self.waiting = "total"
        async for _, data in chunks:
            self._body += data
            if self.status not in _OK and len(self._body) > MAX_ERROR_BODY:
                return
        if self.status in _OK:
            self._decoder.body(bytes(self._body))

    async def _take_events(self, chunks: AsyncIterator[tuple[int, bytes]], watch: asyncio.Timeout) -> None:
        self._streamed = True
        reader = Reader()
        sent = self.arrivals.sent
        since_sent = 0.0 if sent is None else (perf_counter_ns() - sent) / 1e9
        self._wait(watch, "first", self._timeouts.first - since_sent)
        async for arrival, data in chunks:
            if self._decoder.complete:
                continue  # nothing after the terminal signal matters but the end
            self._take_read(reader.feed(data), arrival, watch)
        self._take_read(reader.close(), arrival, watch)
