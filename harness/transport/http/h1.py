"""One HTTP/1.1 connection: an asyncio Protocol around httptools that stamps each read before any task is scheduled.

It carries one exchange at a time. `begin` writes a request; `head` waits for the status line and headers; then the body is
either poured into a sink (`pour`, for many small reads) or waited for read by read (`read`). Errors are httpx's exceptions and
surface only after everything that arrived before them has been taken. Reading from the socket is paused while more than
`HIGH_WATER` bytes wait to be taken, so a fast server cannot fill memory. Whoever waits goes on when it is their turn (`Turns`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import cast

import httptools
import httpx

from harness.transport.http.fairness import FairQueue

MAX_HEAD = 100 * 1024
"""Bytes of status line and headers; httpx's own cap."""
HIGH_WATER = 1024 * 1024


class HeadTooLargeError(httpx.RemoteProtocolError):
    """The server's headers are longer than `MAX_HEAD`."""


@dataclass(slots=True)
class Arrivals:
    """When things happened to one exchange, in `perf_counter_ns`; filled while it goes on.

    `protocol` says that the stamps were taken as the bytes arrived, not when a task came round to read them.
    """

    connected: int | None = None
    sent: int | None = None
    first_byte: int | None = None
    done: int | None = None
    protocol: bool = True


class H1Connection(asyncio.Protocol):
    """One socket; see the module. `reusable` says whether another exchange may follow."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: FairQueue) -> None:
        self._loop = loop
        self._turns = turns
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._sink: Callable[[int, bytes], bool] | None = None
        self._unread = False
        self.write_paused = False
        self.lost = False
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._pieces: list[bytes] = []
        self._reset_exchange(Arrivals(), body_expected=True)
        self.complete = True

    def _reset_exchange(self, arrivals: Arrivals, *, body_expected: bool) -> None:
        self.arrivals = arrivals
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._chunks.clear()
        self._pieces.clear()
        self.complete = False
        self.reusable = False
        self.error: httpx.TransportError | None = None
        self._body_expected = body_expected
        self._waiting_bytes = 0
        self._reading_paused = False
        self._interim = False
        self._head_size = 0

    # ── The exchange ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_usable(self) -> bool:
        """Whether a new exchange may begin here."""
        return self.complete and self.reusable and not self.lost and not self._reading_paused

    @property
    def http_version(self) -> bytes:
        """The answer's own, as httpx writes it."""
        version: str = self._parser.get_http_version()
        return b"HTTP/" + version.encode()

    def mark_reusable(self) -> None:
        """A fresh connection may carry an exchange."""
        self.reusable = True

    def write_request(self, request: bytes, arrivals: Arrivals, *, body_expected: bool) -> None:
        """Write the whole request and stamp `sent`."""
        self._reset_exchange(arrivals, body_expected=body_expected)
        arrivals.sent = perf_counter_ns()
        if self._transport is not None and not self.lost:
            self._transport.write(request)
        else:
            self._set_disconnected(None)

    async def wait_written(self, seconds: float | None) -> None:
        """Wait until the request has left, or the answer makes that unnecessary. Raises httpx.WriteTimeout, NetworkError."""
        while self.write_paused and not self.status and self.error is None:
            await self._wait_for_data(seconds, httpx.WriteTimeout)

    async def read_headers(self, seconds: float | None) -> None:
        """Wait for `status` and `headers`. Raises httpx.ReadTimeout, ReadError, RemoteProtocolError."""
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait_for_data(seconds, httpx.ReadTimeout)

    async def read(self, seconds: float | None) -> bytes | None:
        """The next read's body bytes, None at the end of the body. Raises as `head` does."""
        while not self._chunks:
            if self._is_body_complete():
                return None
            await self._wait_for_data(seconds, httpx.ReadTimeout)
        _, data = self._chunks.popleft()
        self._waiting_bytes -= len(data)
        self._resume_reading()
        return data

    async def read_into(self, sink: Callable[[int, bytes], bool]) -> None:
        """Give each read (arrival, body bytes) to `sink` until the body ends or it returns True: nothing more is wanted.

        The task sleeps meanwhile; reads are given when it is their turn, so that no stamp waits for a sink. Raises as
        `head` does, and what `sink` raises.
        """
        if self._give_chunks(sink):  # the usual whole answer came with its headers
            return
        self._sink, self._waiter = sink, self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._sink = self._waiter = None

    def _deliver_reads(self) -> None:
        self._unread = False
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
                self._resume_waiter(waiter)

    def _give_chunks(self, sink: Callable[[int, bytes], bool]) -> bool:
        """Give `sink` what is here; whether that was the end."""
        chunks = self._chunks
        while chunks:
            if sink(*chunks.popleft()):
                return True
        self._waiting_bytes = 0
        if self._reading_paused:
            self._resume_reading()
        return self._is_body_complete()

    def _is_body_complete(self) -> bool:
        """Whether the body has ended; raises where it broke off."""
        if self.complete:
            return True
        if self.error is not None:
            raise self.error
        return False

    def _resume_reading(self) -> None:
        if self._reading_paused and self._waiting_bytes < HIGH_WATER and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket now; what was not read is lost."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    async def _wait_for_data(self, seconds: float | None, expired: type[httpx.TimeoutException]) -> None:
        self._waiter = waiter = self._loop.create_future()
        handle = None if seconds is None else self._loop.call_later(seconds, self._on_timeout, waiter, expired, seconds)
        try:
            await waiter
        finally:
            self._waiter = None
            if handle is not None:
                handle.cancel()

    def _on_timeout(self, waiter: asyncio.Future[None], expired: type[httpx.TimeoutException], seconds: float) -> None:
        if waiter is self._waiter and not waiter.done():  # else: what it waits for has come
            waiter.set_exception(expired(f"nothing within {seconds:g} s"))

    def _notify_waiter(self) -> None:
        if self._sink is not None:
            if not self._unread:
                self._unread = True
                self._turns.add_read(self._deliver_reads, self._loop)
        elif self._waiter is not None and not self._waiter.done():
            self._resume_waiter(self._waiter)

    def _resume_waiter(self, waiter: asyncio.Future[None]) -> None:
        """What `waiter` waits for has come: its task goes on when it is its turn."""
        self._sink = self._waiter = None
        self._turns.resume_task(waiter)

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        arrival = perf_counter_ns()
        if self.complete:  # nobody asked
            self.abort()
            return
        if not self.status:
            self._head_size += len(data)
            if self.arrivals.first_byte is None:
                self.arrivals.first_byte = arrival
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._abort_with(httpx.RemoteProtocolError("the server switched protocols, which nobody asked for"))
        except httptools.HttpParserError as malformed:
            self._on_parser_error(malformed)
        pieces = self._pieces
        if pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._chunks.append((arrival, body))
            self._waiting_bytes += len(body)
            if self._waiting_bytes > HIGH_WATER:
                self._pause_reading()
        if self.complete:
            self.arrivals.done = arrival
        elif not self.status and self._head_size > MAX_HEAD:
            self._abort_with(HeadTooLargeError(f"the headers are longer than {MAX_HEAD} bytes"))
        if self.status or self.error is not None:
            self._notify_waiter()

    def _on_parser_error(self, error: Exception) -> None:
        if self.complete:  # bytes after the answer: it stands, the connection does not
            self.reusable = False
        else:
            self._abort_with(httpx.RemoteProtocolError(f"the answer is not HTTP/1.1: {error}"))

    def _pause_reading(self) -> None:
        if not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.complete:
            self._set_disconnected(error)
        self._notify_waiter()

    def _set_disconnected(self, cause: Exception | None) -> None:
        """The peer is gone before the answer's end, or its going is the end."""
        if self.error is not None:
            return
        if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError):
            self.error = httpx.ReadError(str(cause))
            self.error.__cause__ = cause
        elif not self.status:
            self.error = httpx.RemoteProtocolError("Server disconnected without sending a response.")
        elif self._ends_with_connection():
            self.complete = True
            self.arrivals.done = perf_counter_ns()
        else:
            self.error = httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    def _ends_with_connection(self) -> bool:
        framing = {name.lower() for name, _ in self.headers}
        return not framing & {b"content-length", b"transfer-encoding"}

    def _abort_with(self, error: httpx.TransportError) -> None:
        self.error = error
        self.abort()

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        self._notify_waiter()

    # ── httptools ─────────────────────────────────────────────────────────────────────────────────────────────────────

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
            return
        self.status = status
        if not self._body_expected:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif not self.complete:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()
