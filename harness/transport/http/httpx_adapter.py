"""Any httpx transport as a `Connection`: marks from its `trace` events, arrivals from the moment of
reading.

Used for proxies, HTTP/2 and test doubles; the record then says `clock: reader`. The transport is
opened anew after anything but a clean end, because a pool whose request was cancelled may never
recover (httpcore issue 1093). As in `Http1Client`, a request that fails on a kept connection before
any answer ends with an error of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import httpx

from harness.transport.http.connection import Sink
from harness.transport.http.http1 import IdleClosedError
from harness.transport.http.messages import Arrivals, OutgoingRequest

_SENDING = ("http11.send_request_headers.started", "http2.send_request_headers.started")
_HEADED = ("http11.receive_response_headers.complete", "http2.receive_response_headers.complete")


class HttpxConnection:
    """A `Connection` over what `open_transport` makes, which is asked again where that had to be
    closed."""

    def __init__(self, open_transport: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._open_transport = open_transport
        self._inner: httpx.AsyncBaseTransport | None = None
        self._answer: HttpxResponse | None = None

    async def exchange(
        self, request: OutgoingRequest, arrivals: Arrivals, *, connect: float, first: float | None
    ) -> HttpxResponse:
        """Send, and wait for the headers: see `Connection`."""
        arrivals.protocol = False
        trace = _Trace(arrivals)
        waits = {"connect": connect, "read": first, "write": first, "pool": None}
        template, length = request.template, b"%d" % len(request.body)
        own = [
            (b"Content-Length", length),
            (b"X-Client-Request-Id", request.identifier.encode("ascii")),
        ]
        sent = httpx.Request(
            template.method,
            template.url,
            headers=[*template.headers, *own],
            stream=httpx.ByteStream(request.body),
            extensions={"timeout": waits, "trace": trace},
        )
        try:
            response = await self._send_once(sent, arrivals, trace)
        except (httpx.ReadError, httpx.RemoteProtocolError) as closed:
            if trace.dialled or not trace.traced:
                raise
            raise IdleClosedError(str(closed)) from closed
        waits["read"] = None  # from here on, content is waited for and not bytes
        self._answer = HttpxResponse(response, arrivals)
        return self._answer

    async def _send_once(
        self, request: httpx.Request, arrivals: Arrivals, trace: _Trace
    ) -> httpx.Response:
        if self._inner is None:
            self._inner = self._open_transport()
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
        return response

    async def release(self) -> None:
        """Close the answer, and the transport with it where the body was not read to its end."""
        answer, self._answer = self._answer, None
        if answer is not None and not await answer.close_stream():
            await self.aclose()

    async def aclose(self) -> None:
        """Close what is open; the next request opens it again."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()


class HttpxResponse:
    """An httpx Response as an `IncomingResponse`: each read is stamped when this task takes it."""

    def __init__(self, response: httpx.Response, arrivals: Arrivals) -> None:
        self.status = response.status_code
        self.headers = response.headers.raw
        self._stream: Any = response.stream
        self._arrivals = arrivals

    async def read_into(self, sink: Sink) -> None:
        """Give each read to `sink`: see `IncomingResponse`."""
        async for data in self._stream:
            if sink(perf_counter_ns(), data):
                return
        self._arrivals.done = perf_counter_ns()

    async def close_stream(self) -> bool:
        """Whether the body was read to its end."""
        await self._stream.aclose()
        return self._arrivals.done is not None


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
