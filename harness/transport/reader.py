"""Any other httpx transport, made to look like ours: marks from its `trace` events, arrivals from the moment of reading.

Used for proxies, HTTP/2 and test doubles; the record then says `clock: reader`. The transport is opened anew after anything
but a clean end, because a pool whose request was cancelled may never recover (httpcore issue 1093). As in `wire`, a
request that fails on a kept connection before any answer is sent once more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from time import perf_counter_ns
from typing import Any

import httpx

from harness.transport.connection import Arrivals

_SENDING = ("http11.send_request_headers.started", "http2.send_request_headers.started")
_HEADED = ("http11.receive_response_headers.complete", "http2.receive_response_headers.complete")


class ReadClock(httpx.AsyncBaseTransport):
    """Wraps what `open_transport` makes; one exchange at a time."""

    def __init__(self, open_transport: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._open = open_transport
        self._inner: httpx.AsyncBaseTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and wait for the headers. Raises httpx.TransportError only."""
        arrivals = request.extensions.get("marks") or Arrivals()
        arrivals.protocol = False
        trace = request.extensions["trace"] = _Trace(arrivals)
        try:
            return await self._attempt(request, arrivals, trace)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            if trace.dialled or not trace.traced:
                raise
        return await self._attempt(request, arrivals, trace)

    async def _attempt(self, request: httpx.Request, arrivals: Arrivals, trace: _Trace) -> httpx.Response:
        if self._inner is None:
            self._inner = self._open()
        arrivals.connected = begun = perf_counter_ns()
        arrivals.sent = None
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as broken:
            if isinstance(broken, httpx.ConnectError | httpx.ConnectTimeout):
                arrivals.connected = None
            await self.aclose()
            raise
        if not trace.traced:
            arrivals.sent, arrivals.first_byte = begun, perf_counter_ns()
        response.extensions = {**response.extensions, "marks": arrivals}
        response.stream = ReadStream(self, response.stream, arrivals)
        return response

    async def aclose(self) -> None:
        """Close what is open; the next request opens it again."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()


class ReadStream(httpx.AsyncByteStream):
    """A response's body, stamped when this task read it."""

    def __init__(self, owner: ReadClock, inner: Any, arrivals: Arrivals) -> None:
        self._owner = owner
        self._inner = inner
        self._arrivals = arrivals

    async def timed(self) -> AsyncIterator[tuple[int, bytes]]:
        """(`perf_counter_ns` at reading, bytes) for each read. Raises httpx.TransportError."""
        async for data in self._inner:
            yield perf_counter_ns(), data
        self._arrivals.done = perf_counter_ns()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for _, data in self.timed():
            yield data

    async def aclose(self) -> None:
        """Close the response, and the transport with it where the body was not read to its end."""
        await self._inner.aclose()
        if self._arrivals.done is None:
            await self._owner.aclose()


class _Trace:
    """httpx's `trace` extension: called with each of the transport's steps."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.dialled = False
        self.traced = False

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        self.traced = True
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            self.arrivals.connected = perf_counter_ns()
        if name.startswith("connection.connect_tcp"):
            self.dialled = True
        elif name in _SENDING:
            self.arrivals.sent = perf_counter_ns()
        elif name in _HEADED:
            self.arrivals.first_byte = perf_counter_ns()
