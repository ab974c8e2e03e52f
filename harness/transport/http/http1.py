"""The HTTP/1.1 client: one keep-alive connection for each slot, written and parsed here, stamped as
its bytes arrive.

A connection pool shared by many tasks costs milliseconds a request (it is rescanned on each) and
can wedge after cancellations; a slot that owns its one connection has neither trouble. It carries
one exchange at a time: `Http1Client.exchange` writes a request and waits for the headers, then the
body is poured into a sink (`read_into`). The connection is an asyncio Protocol around httptools
that stamps each read before any task is scheduled, and gives it to the sink when it is its turn
(`FairQueue`). Errors are httpx's exceptions and surface only after
everything that arrived before them has been taken. Reading from the socket is paused while more
than `HIGH_WATER` bytes wait to be taken, so that a fast server cannot fill memory.

A server may close an idle connection at the very moment a request is sent on it. Whether it read
that request nobody knows, so it ends the attempt with an error of its own (`IdleClosedError`), and
`retry` sends the request again at once, on a fresh connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, cast

import httptools
import httpx

from harness.transport.http.dialing import (
    HANDSHAKE_SHARE,
    HandshakeError,
    HandshakeTimeout,
    connect_socket,
    shared_ssl_context,
)
from harness.transport.http.loop_sharing import FairQueue
from harness.transport.http.messages import Arrivals, OutgoingRequest

MAX_HEAD = 100 * 1024
"""Bytes of status line and headers, or of trailers; httpx's own cap."""
HIGH_WATER = 1024 * 1024
_TLS_RECORD = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake of TLS begin."""


class HeadTooLargeError(httpx.RemoteProtocolError):
    """The server's headers or trailers are longer than `MAX_HEAD`."""


class TlsAnswerError(httpx.RemoteProtocolError):
    """The server answered a plain request in TLS."""


class IdleClosedError(httpx.RemoteProtocolError):
    """The server closed a kept connection, and not one byte of an answer had come."""


class Http1Client:
    """One slot's client, a `Connection`; `context` replaces httpx's default TLS verification.

    `turns` are those of all slots: in which order what has arrived is gone through.
    """

    def __init__(
        self, context: ssl.SSLContext | None = None, turns: FairQueue | None = None
    ) -> None:
        self._context = context
        self._turns = turns
        self._connection: Http1Connection | None = None
        self._busy = False

    async def exchange(
        self, request: OutgoingRequest, arrivals: Arrivals, *, connect: float, first: float | None
    ) -> Http1Connection:
        """Send, and wait for the headers. Raises httpx.TransportError.

        `arrivals.sent` is stamped at once, so that whoever minds the time has nothing to leave to
        `first`.
        """
        if self._busy:
            raise RuntimeError(
                "this client handles one exchange at a time: release it before the next request"
            )
        self._busy = True
        template, identifier, body = (
            request.template,
            request.identifier.encode("ascii"),
            request.body,
        )
        message = b"%b\r\nContent-Length: %d\r\nX-Client-Request-Id: %b\r\n\r\n%b" % (
            template.head,
            len(body),
            identifier,
            body,
        )
        try:
            kept = self._connection
            if kept is not None and kept.is_usable:
                try:
                    return await kept.send_request(message, arrivals)
                except (httpx.ReadError, httpx.RemoteProtocolError) as closed:
                    if arrivals.first_byte is not None:
                        raise
                    raise IdleClosedError(str(closed)) from closed
            await self.aclose()
            self._connection = await open_connection(
                template.url, self._context, connect, self._turns
            )
            return await self._connection.send_request(message, arrivals)
        except BaseException:
            self._busy = False
            await self.aclose()
            raise

    async def release(self) -> None:
        """The exchange is over: keep the connection where another may follow, else close it."""
        self._busy = False
        if self._connection is not None and not self._connection.is_usable:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


class Http1Connection(asyncio.Protocol):
    """One socket; an `IncomingResponse` once the headers have come. `reusable` says whether another
    exchange may follow."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: FairQueue) -> None:
        self.arrivals = Arrivals()
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = True
        self.reusable = True
        self.lost = False
        self.error: httpx.TransportError | None = None
        self._loop = loop
        self._turns = turns
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Callable[[int, bytes], bool] | None = None
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._reading_paused = False
        self._read_scheduled = False
        self._interim = False
        self._head_size = 0

    @property
    def is_usable(self) -> bool:
        """Whether a new exchange may begin here."""
        return self.complete and self.reusable and not self.lost and not self._reading_paused

    # ── The exchange ──────────────────────────────────────────────────────────────────────────────

    async def send_request(self, message: bytes, arrivals: Arrivals) -> Http1Connection:
        """Write the whole request, stamp `sent`, and wait for `status` and `headers`. Raises
        ReadError, RemoteProtocolError."""
        self.arrivals = arrivals
        self.status = 0
        self.headers = []
        self.complete = self.reusable = self._interim = False
        self.error = None
        self._chunks.clear()
        self._pieces.clear()
        self._waiting_bytes = self._head_size = 0
        arrivals.connected = arrivals.sent = perf_counter_ns()
        if self._transport is not None and not self.lost:
            self._transport.write(message)
        else:
            self._set_disconnected(None)
        while not self.status:
            if self.error is not None:
                raise self.error
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self

    async def read_into(self, sink: Callable[[int, bytes], bool]) -> None:
        """Give each read (arrival, body bytes) to `sink` until the body ends or it returns True:
        nothing more is wanted.

        The task sleeps meanwhile; reads are given when it is their turn, so that no stamp waits for
        a sink. Raises as `send_request` does, and what `sink` raises.
        """
        if self._give_chunks(sink):  # the usual whole answer came with its headers
            return
        self._sink, self._waiter = sink, self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._sink = self._waiter = None

    def _deliver_reads(self) -> None:
        self._read_scheduled = False
        sink, waiter = self._sink, self._waiter
        if sink is None or waiter is None:
            return
        try:
            over = self._give_chunks(sink)
        except Exception as broken:  # noqa: BLE001 — it is raised in the task that waits
            self._sink = self._waiter = None
            if not waiter.done():
                waiter.set_exception(broken)
        else:
            if over and not waiter.done():
                self._sink = self._waiter = None
                self._turns.resume_task(waiter)

    def _give_chunks(self, sink: Callable[[int, bytes], bool]) -> bool:
        """Give `sink` what is here; whether that was the end. Raises where the body broke off."""
        chunks = self._chunks
        while chunks:
            if sink(*chunks.popleft()):
                return True
        self._waiting_bytes = 0
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        if self.error is not None and not self.complete:
            raise self.error
        return self.complete

    def abort(self) -> None:
        """Close the socket now; what was not read is lost."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        arrival = perf_counter_ns()
        if self.complete:  # nobody asked
            self.abort()
            return
        if self.arrivals.first_byte is None:
            self.arrivals.first_byte = arrival
        self._head_size += len(data)  # until a piece of the body: headers, or trailers
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._abort_with(
                httpx.RemoteProtocolError("the server switched protocols without being asked to")
            )
        except httptools.HttpParserError as malformed:
            if self.complete:  # bytes after the answer: it stands, the connection does not
                self.reusable = False
            elif data.startswith(_TLS_RECORD):
                self._abort_with(TlsAnswerError("the answer is TLS"))
            else:
                self._abort_with(
                    httpx.RemoteProtocolError(f"the answer is not HTTP/1.1: {malformed}")
                )
        pieces = self._pieces
        if pieces:
            self._head_size = 0
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._chunks.append((arrival, body))
            self._waiting_bytes += len(body)
            if (
                self._waiting_bytes > HIGH_WATER
                and not self._reading_paused
                and self._transport is not None
            ):
                self._reading_paused = True
                self._transport.pause_reading()
        if self.complete:
            self.arrivals.done = arrival
        elif self._head_size > MAX_HEAD:
            what = "trailers" if self.status else "headers"
            self._abort_with(HeadTooLargeError(f"the {what} are longer than {MAX_HEAD} bytes"))
        if self.status or self.error is not None:
            self._notify_waiter()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.complete:
            self._set_disconnected(error)
        self._notify_waiter()

    def _notify_waiter(self) -> None:
        """Something has come: the sink gets it, or the task that waits for headers goes on, each
        when it is its turn."""
        if self._sink is not None:
            if not self._read_scheduled:
                self._read_scheduled = True
                self._turns.add_read(self._deliver_reads, self._loop)
        elif self._waiter is not None and not self._waiter.done():
            waiter, self._waiter = self._waiter, None
            self._turns.resume_task(waiter)

    def _set_disconnected(self, cause: Exception | None) -> None:
        """The peer is gone before the answer's end, or its going is the end."""
        if self.error is not None:
            return
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError):
            self.error = httpx.ReadError(str(cause))
            self.error.__cause__ = cause
        elif not self.status:
            self.error = httpx.RemoteProtocolError(
                "Server disconnected without sending a response."
            )
        elif {name.lower() for name, _ in self.headers} & {b"content-length", b"transfer-encoding"}:
            self.error = httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body"
            )
        else:  # the connection's end is the body's
            self.complete = True
            self.arrivals.done = perf_counter_ns()

    def _abort_with(self, error: httpx.TransportError) -> None:
        self.error = error
        self.abort()

    # ── httptools ─────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self.complete:  # a second answer to one question
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # afterwards: trailers
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._interim = True
            self.headers = []
        elif status < 100:
            self._abort_with(httpx.RemoteProtocolError(f"{status:03} is not an HTTP status"))
        else:
            self.status = status

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.complete:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()


# ── Connecting ────────────────────────────────────────────────────────────────────────────────────


async def open_connection(
    url: httpx.URL,
    context: ssl.SSLContext | None,
    seconds: float | None,
    turns: FairQueue | None = None,
) -> Http1Connection:
    """A fresh connection to `url`'s origin; who waits on it goes on in `turns`, by default at once.

    Raises httpx.ConnectTimeout, ConnectError, UnsupportedProtocol, the cause attached.
    """
    if url.scheme not in {"http", "https"} or not url.host:
        raise httpx.UnsupportedProtocol(f"{str(url)!r} is not an http:// or https:// address")
    watch, connected = asyncio.timeout(seconds), None
    try:
        async with watch:
            connected = await connect_socket(url)
            if seconds is not None and url.scheme == "https":
                limit = asyncio.get_running_loop().time() + seconds * HANDSHAKE_SHARE
                watch.reschedule(min(limit, watch.when() or limit))
            return await _start_protocol(connected, url, context, turns)
    except TimeoutError as late:
        if watch.expired():
            kind = HandshakeTimeout if connected else httpx.ConnectTimeout
            raise kind("not connected in time") from late
        raise httpx.ConnectError(str(late)) from late
    except OSError as refused:  # ssl.SSLError and socket.gaierror are OSErrors
        raise (HandshakeError if connected else httpx.ConnectError)(str(refused)) from refused


async def _start_protocol(
    connected: socket.socket,
    url: httpx.URL,
    context: ssl.SSLContext | None,
    turns: FairQueue | None,
) -> Http1Connection:
    """The connection over a connected socket, which it owns; its TLS handshake is done."""
    loop = asyncio.get_running_loop()
    tls: dict[str, Any] = {}
    try:
        if url.scheme == "https":
            host = url.raw_host.decode("ascii")
            tls = {"ssl": context or shared_ssl_context(), "server_hostname": host}
        _, connection = await loop.create_connection(
            lambda: Http1Connection(loop, turns or FairQueue()), sock=connected, **tls
        )
    except BaseException:
        connected.close()
        raise
    return connection
