"""The lean transport: one keep-alive HTTP/1.1 connection, for `http` directly (a `Line`) and behind httpx's interface.

A pool shared by many tasks costs milliseconds a request (it is rescanned on each) and can wedge after cancellations; a slot
that owns its one connection has neither trouble. One exchange at a time: the next request waits for nobody, so overlapping
two is a bug of the caller. The body is delivered as it came (no content decoding, as any httpx transport).
`response.extensions["marks"]` of an httpx Response holds the exchange's `Arrivals`.

A server may close an idle connection at the very moment a request is sent on it. Such a request is sent once more, on a fresh
connection, but only where not one byte of an answer had come.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Coroutine
from time import perf_counter_ns
from types import TracebackType
from typing import Any

import httpx

from harness.transport.http.connect import open_connection
from harness.transport.http.fairness import FairQueue
from harness.transport.http.h1 import Arrivals, H1Connection
from harness.transport.http.request_template import OutgoingRequest, encode_head


class H1Transport(httpx.AsyncBaseTransport):
    """One slot's transport; `context` replaces httpx's default TLS verification, and `turns` are those of all slots."""

    def __init__(self, context: ssl.SSLContext | None = None, turns: FairQueue | None = None) -> None:
        self._context = context
        self._turns = turns
        self._connection: H1Connection | None = None
        self._url: httpx.URL | None = None  # where the connection leads
        self._busy = False

    def exchange(
        self, request: OutgoingRequest, arrivals: Arrivals, *, connect: float, first: float | None
    ) -> Coroutine[Any, Any, H1Connection]:
        """As a `Line` does it; `arrivals.sent` is stamped at once, so that nothing is left to `first`."""
        return self._send_request(request.template.url, request.to_bytes(), arrivals, connect)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As an httpx transport does it."""
        seconds = request.extensions.get("timeout") or {}
        connect, write, read = (seconds.get(step) for step in ("connect", "write", "read"))
        arrivals = Arrivals()
        message, body_expected = await _encode_message(request), request.method != "HEAD"
        connection = await self._send_request(request.url, message, arrivals, connect, write, read, body_expected=body_expected)
        stream = H1Stream(self, connection, read)
        extensions = {"marks": arrivals, "http_version": connection.http_version}
        return httpx.Response(connection.status, headers=connection.headers, stream=stream, extensions=extensions)

    async def _send_request(
        self,
        url: httpx.URL,
        message: bytes,
        arrivals: Arrivals,
        connect: float | None,
        write: float | None = None,
        read: float | None = None,
        *,
        body_expected: bool = True,
    ) -> H1Connection:
        """Send, and wait for the headers; a step may take so many seconds, None for ever. Raises httpx.TransportError only."""
        if self._busy:
            raise RuntimeError("this transport carries one exchange at a time: close the response before the next request")
        self._busy = True
        try:
            connection = self._reusable_connection(url)
            if connection is not None:
                try:
                    return await _write_and_wait(connection, message, arrivals, write, read, body_expected)
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    if arrivals.first_byte is not None:
                        raise
                arrivals.sent = arrivals.connected = None
            return await _write_and_wait(
                await self._open_connection(url, connect), message, arrivals, write, read, body_expected
            )
        except BaseException:
            self._busy = False
            self._close_connection()
            raise

    def _reusable_connection(self, url: httpx.URL) -> H1Connection | None:
        """The connection of the last exchange, where it is still there and leads to the same place."""
        connection, last = self._connection, self._url
        if connection is None or last is None or not connection.is_usable:
            return None
        return connection if url is last or _origin(url) == _origin(last) else None

    async def _open_connection(self, url: httpx.URL, seconds: float | None) -> H1Connection:
        self._close_connection()
        self._connection = await open_connection(url, self._context, seconds, self._turns)
        self._url = url
        return self._connection

    async def release(self) -> None:
        """The exchange is over: keep the connection where another may follow, else close it."""
        self._busy = False
        if self._connection is not None and not self._connection.is_usable:
            self._close_connection()

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        self._close_connection()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()


class H1Stream(httpx.AsyncByteStream):
    """The body of an httpx Response, as it came off the socket."""

    def __init__(self, owner: H1Transport, connection: H1Connection, seconds: float | None) -> None:
        self._owner = owner
        self._connection = connection
        self._seconds = seconds
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (data := await self._connection.read(self._seconds)) is not None:
            yield data

    async def aclose(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""
        if not self._closed:
            self._closed = True
            await self._owner.release()


async def _write_and_wait(
    connection: H1Connection, message: bytes, arrivals: Arrivals, write: float | None, read: float | None, body_expected: bool
) -> H1Connection:
    arrivals.connected = perf_counter_ns()
    connection.write_request(message, arrivals, body_expected=body_expected)
    if connection.write_paused:
        await connection.wait_written(write)
    await connection.read_headers(read)
    return connection


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _encode_message(request: httpx.Request) -> bytes:
    """The whole request; where it came in pieces, the length of all of them says better what "chunked" would say."""
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"transfer-encoding"]
    content = await _read_content(request)
    if len(headers) < len(request.headers.raw):
        headers.append((b"Content-Length", b"%d" % len(content)))
    return encode_head(request.method, request.url, headers) + b"\r\n\r\n" + content


async def _read_content(request: httpx.Request) -> bytes:
    if isinstance(request.stream, httpx.AsyncByteStream):
        return b"".join([part async for part in request.stream])
    return request.read()
