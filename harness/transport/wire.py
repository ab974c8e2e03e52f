"""The lean transport: one keep-alive HTTP/1.1 connection behind httpx's interface.

A pool shared by many tasks costs milliseconds a request (it is rescanned on each) and can wedge after cancellations; a slot
that owns its one connection has neither trouble. One exchange at a time: the next request waits for nobody, so overlapping
two is a bug of the caller. The body is delivered as it came (no content decoding, as any httpx transport); each chunk carries
the stamp of its arrival (`timed`). `response.extensions["marks"]` holds the exchange's `Arrivals`: those the caller put into
the request's extensions, so that a request that fails keeps its marks, or fresh ones.

A server may close an idle connection at the very moment a request is sent on it. Such a request is sent once more, on a fresh
connection, but only where not one byte of an answer had come.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from time import perf_counter_ns
from types import TracebackType
from typing import Any

import httpx

from harness.transport.connection import Arrivals, Connection
from harness.transport.dial import dial


class Wire(httpx.AsyncBaseTransport):
    """One slot's transport; `context` replaces httpx's default TLS verification."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._connection: Connection | None = None
        self._origin: tuple[str, str, int | None] | None = None
        self._busy = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and wait for the headers. Raises httpx.TransportError only."""
        if self._busy:
            raise RuntimeError("this transport carries one exchange at a time: close the response before the next request")
        self._busy = True
        try:
            return await self._perform(request)
        except BaseException:
            self._drop()
            raise

    async def _perform(self, request: httpx.Request) -> httpx.Response:
        waits = request.extensions.get("timeout") or {}
        content = await _content(request)
        arrivals = request.extensions.get("marks") or Arrivals()
        message = _head(request, content) + content
        connection = self._kept(request.url)
        if connection is not None:
            arrivals.connected = perf_counter_ns()
            try:
                return await self._exchange(connection, request, message, arrivals, waits)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                if arrivals.first_byte is not None:
                    raise
        arrivals.sent = None
        connection = await self._connect(request.url, waits.get("connect"))
        arrivals.connected = perf_counter_ns()
        return await self._exchange(connection, request, message, arrivals, waits)

    async def _exchange(
        self, connection: Connection, request: httpx.Request, message: bytes, arrivals: Arrivals, waits: Mapping[str, Any]
    ) -> httpx.Response:
        connection.begin(message, arrivals, body_expected=request.method != "HEAD")
        await connection.flush(waits.get("write"))
        await connection.head(waits.get("read"))
        return WireResponse(connection, WireStream(self, connection, waits), arrivals)

    def _kept(self, url: httpx.URL) -> Connection | None:
        """The connection of the last exchange, where it is still there and leads to the same place."""
        connection = self._connection
        if connection is not None and connection.usable and self._origin == (url.scheme, url.host, url.port):
            return connection
        return None

    async def _connect(self, url: httpx.URL, seconds: float | None) -> Connection:
        self._close()
        self._connection = await dial(url, self._context, seconds)
        self._origin = (url.scheme, url.host, url.port)
        return self._connection

    def release(self, connection: Connection) -> None:
        """The exchange on `connection` is over: keep it where another may follow, else close it."""
        self._busy = False
        if connection is self._connection and not connection.usable:
            self._close()

    def _drop(self) -> None:
        self._busy = False
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        self._close()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class WireResponse(httpx.Response):
    """An httpx Response that makes its `Headers` when somebody looks; `raw_headers` is what came."""

    def __init__(self, connection: Connection, stream: WireStream, arrivals: Arrivals) -> None:
        self.raw_headers = connection.headers
        self._made: httpx.Headers | None = None
        extensions = {"marks": arrivals, "http_version": connection.http_version}
        super().__init__(connection.status, stream=stream, extensions=extensions)
        self._made = None

    @property
    def headers(self) -> httpx.Headers:
        """As httpx has them."""
        if self._made is None:
            self._made = httpx.Headers(self.raw_headers)
        return self._made

    @headers.setter
    def headers(self, headers: httpx.Headers) -> None:
        self._made = headers


class WireStream(httpx.AsyncByteStream):
    """A response's body, as it came off the socket."""

    def __init__(self, owner: Wire, connection: Connection, waits: Mapping[str, Any]) -> None:
        self._owner = owner
        self._connection = connection
        self._waits = waits  # read anew for every chunk: the caller may change its patience under way
        self._closed = False

    async def timed(self) -> AsyncIterator[tuple[int, bytes]]:
        """(arrival in `perf_counter_ns`, bytes) for each read. Raises httpx.ReadTimeout, ReadError, RemoteProtocolError."""
        while (chunk := await self._connection.read(self._waits.get("read"))) is not None:
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for _, data in self.timed():
            yield data

    async def aclose(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""
        if not self._closed:
            self._closed = True
            self._owner.release(self._connection)


async def _content(request: httpx.Request) -> bytes:
    if isinstance(request.stream, httpx.AsyncByteStream):
        return b"".join([part async for part in request.stream])
    return request.read()


def _head(request: httpx.Request, content: bytes) -> bytes:
    """The request line and headers. Raises httpx.LocalProtocolError for a line break smuggled into one of them."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    chunked = False
    for name, value in request.headers.raw:
        if name.lower() == b"transfer-encoding":  # the whole body is here: its length says it better
            chunked = True
        else:
            lines.append(b"%b: %b" % (name, value))
    if chunked:
        lines.append(b"Content-Length: %d" % len(content))
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise httpx.LocalProtocolError("a header of the request holds a line break or a NUL")
    return head + b"\r\n\r\n"
