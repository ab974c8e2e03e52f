"""One response on its way out: headers, bytes, waits, and the rough ends a connection can come to.

ASGI gives a response a proper end or none; to cut one in the middle of a chunk, or to reset it, this goes round ASGI to
the socket's transport, which `server` puts into the scope.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from harness.simulator.server.ledger import Entry

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TRANSPORT_EXTENSION = "evalharness.transport"
SIMULATED_HEADER = ("x-simulated", "evalharness")


class ResponseWriter:
    """The way back to one client; it enters in the ledger what leaves, and when."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, entry: Entry) -> None:
        self._transport: asyncio.Transport = scope["extensions"][TRANSPORT_EXTENSION]
        self._receive = receive
        self._send = send
        self._entry = entry
        self.client_left_early = False
        """Whether the client had gone before all was sent."""

    @property
    def client_gone(self) -> bool:
        """Whether the client has left."""
        return self._transport.is_closing()

    def elapsed(self) -> float:
        """Seconds since the request arrived."""
        return (time.perf_counter_ns() - self._entry.arrived_ns) / 1e9

    async def wait_until(self, offset: float) -> None:
        """Sleep until `offset` seconds after arrival; late or zero does not sleep at all."""
        remaining = offset - self.elapsed() if offset else 0.0
        if remaining > 0:
            await asyncio.sleep(remaining)

    async def start(self, status: int, headers: Iterable[tuple[str, str]], length: int | None = None) -> None:
        """Send status and headers; without a length the body is chunked."""
        self._entry.status = status
        sized = [] if length is None else [("content-length", str(length))]
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in [*headers, *sized, SIMULATED_HEADER]]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes, events: int = 1) -> None:
        """Send a part of the body that holds so many events."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._entry.events_ns.extend([time.perf_counter_ns()] * events)

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self.client_left_early = self.client_gone
        await self._send({"type": "http.response.body", "body": data, "more_body": False})
        if data:
            self._entry.events_ns.append(time.perf_counter_ns())

    async def wait_closed(self) -> None:
        """Wait until the client has left, or the connection we ended is down."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def close(self, raw: bytes = b"") -> None:
        """Close the connection where the body stands, after `raw` bytes that no chunk announces."""
        if raw:
            self._transport.write(raw)
        self._transport.close()
        await self.wait_closed()

    async def reset(self) -> None:
        """Close with RST: a linger time of zero makes the kernel say so."""
        handle = self._transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(handle.fileno())) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self.wait_closed()
