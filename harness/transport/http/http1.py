"""One HTTP/1.1 connection: requests are written and answers parsed here, stamped as their bytes
arrive.

An asyncio Protocol around httptools stamps each read before any task is scheduled, and gives it to
the sink when it is its turn (`FairQueue`). Errors are httpx's exceptions and surface only after
everything that arrived before them has been taken. Reading from the socket is paused while more
than `HIGH_WATER` bytes wait to be taken, so that a fast server cannot fill memory.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from typing import cast

import httptools
import httpx
from msgspec import Struct

from harness.transport.http.loop_sharing import FairQueue

MAX_HEAD = 100 * 1024
"""Bytes of status line and headers, or of trailers; httpx's own cap."""
HIGH_WATER = 1024 * 1024
_TLS_RECORD = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake of TLS begin."""


class HeadTooLargeError(httpx.RemoteProtocolError):
    """The server's headers or trailers are longer than `MAX_HEAD`."""


class TlsAnswerError(httpx.RemoteProtocolError):
    """The server answered a plain request in TLS."""


class Arrivals(Struct):
    """When things happened to one exchange, in `perf_counter_ns`; filled while it goes on.

    `protocol` says that the stamps were taken as the bytes arrived, not when a task came round to
    read them.
    """

    connected: int | None = None
    sent: int | None = None
    first_byte: int | None = None
    done: int | None = None
    protocol: bool = True


class RequestTemplate:
    """The method, URL and headers that all requests of a target share, encoded once.

    Raises httpx.LocalProtocolError for a line break smuggled into a header.
    """

    __slots__ = ("head", "headers", "method", "url")

    def __init__(self, method: str, url: httpx.URL, headers: Iterable[tuple[str, str]]) -> None:
        self.method = method
        self.url = url
        self.headers = [
            (b"Host", url.netloc),
            *((name.encode("ascii"), value.encode("latin-1")) for name, value in headers),
        ]
        lines = [
            b"%b %b HTTP/1.1" % (method.encode("ascii"), url.raw_path),
            *(b"%b: %b" % each for each in self.headers),
        ]
        self.head = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if (
            self.head.count(b"\n") != breaks
            or self.head.count(b"\r") != breaks
            or b"\0" in self.head
        ):
            raise httpx.LocalProtocolError("a header of the request holds a line break or a NUL")


class IdleClosedError(httpx.RemoteProtocolError):
    """The server closed a kept connection, and not one byte of an answer had come."""


class OutgoingRequest(Struct):
    """One request; `identifier` becomes its X-Client-Request-Id and must be ASCII without line
    breaks."""

    template: RequestTemplate
    identifier: str
    body: bytes


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
                httpx.RemoteProtocolError("the server switched protocols, which nobody asked for")
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
