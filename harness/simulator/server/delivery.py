"""Delivers a response with latency: whole when its last token is due, or each frame when its own
is.

Frames that are due already are sent in one write, so an overloaded simulator lags its schedule as
little as possible, and one without latency sends a stream in a single write. ASGI can only end a
response properly; to cut one within a chunk, or to reset the connection, the writer uses the
socket's transport, which `serve` puts into the scope.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from harness.simulator.apis.http import ApiResponse, StreamFrame
from harness.simulator.model.rng import RandomStream
from harness.simulator.server.ledger import Entry

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TRANSPORT_EXTENSION = "evalharness.transport"
SIMULATED_HEADER = ("x-simulated", "evalharness")


class ResponseWriter:
    """The response to one client; enters in the ledger what is sent, and when."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, entry: Entry) -> None:
        self._transport: asyncio.Transport = scope["extensions"][TRANSPORT_EXTENSION]
        self._receive = receive
        self._send = send
        self._entry = entry
        self.client_left_early = False
        """Whether the client had gone before all was sent."""

    @property
    def client_gone(self) -> bool:
        """Whether the client has closed the connection."""
        return self._transport.is_closing()

    def elapsed(self) -> float:
        """Seconds since the request arrived."""
        return (time.perf_counter_ns() - self._entry.arrived_ns) / 1e9

    async def wait_until(self, offset: float) -> None:
        """Sleep until `offset` seconds after arrival; not at all if that is past or zero."""
        remaining = offset - self.elapsed() if offset else 0.0
        if remaining > 0:
            await asyncio.sleep(remaining)

    async def start(
        self, status: int, headers: Iterable[tuple[str, str]], length: int | None = None
    ) -> None:
        """Send status and headers; without a length the body is chunked."""
        self._entry.status = status
        sized = [] if length is None else [("content-length", str(length))]
        encoded = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in [*headers, *sized, SIMULATED_HEADER]
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, data: bytes, events: int = 1) -> None:
        """Send a part of the body with so many events."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self._entry.events_ns.extend([time.perf_counter_ns()] * events)

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self.client_left_early = self.client_gone
        await self._send({"type": "http.response.body", "body": data, "more_body": False})
        if data:
            self._entry.events_ns.append(time.perf_counter_ns())

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, by the client or by us."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def close(self, raw: bytes = b"") -> None:
        """Close the connection in the middle of the body, after `raw` bytes outside any chunk."""
        if raw:
            self._transport.write(raw)
        self._transport.close()
        await self.wait_closed()

    async def reset(self) -> None:
        """Close with RST: with a linger time of zero the kernel sends it."""
        handle = self._transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(handle.fileno())) as duplicate:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self.wait_closed()


JSON = ("content-type", "application/json")
STREAM = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))


def http_headers(body: ApiResponse) -> tuple[tuple[str, str], ...]:
    """The headers of a response, with the content type of events or JSON unless it has its own."""
    usual = (JSON,) if body.frames is None else STREAM
    has_content_type = any(name == "content-type" for name, _ in body.headers)
    return (
        *(pair for pair in usual if not has_content_type or pair[0] != "content-type"),
        *body.headers,
    )


async def send_response(
    writer: ResponseWriter, body: ApiResponse, offsets: Sequence[float]
) -> None:
    """Send the whole response; `offsets` are the seconds after arrival at which each decoding step
    is done."""
    if body.frames is None:
        await writer.wait_until(offsets[-1])
        await writer.start(body.status, http_headers(body), len(body.content))
        await writer.finish(body.content)
        return
    await writer.start(body.status, http_headers(body))
    await send_frames(writer, body.frames, offsets)
    await writer.finish()


async def send_frames(
    writer: ResponseWriter, frames: Sequence[StreamFrame], offsets: Sequence[float]
) -> None:
    """Send each frame when it is due, until the client leaves."""
    sent = 0
    while sent < len(frames) and not writer.client_gone:
        await writer.wait_until(offsets[frames[sent].step])
        due, now = sent + 1, writer.elapsed()
        while due < len(frames) and offsets[frames[due].step] <= now:
            due += 1
        await writer.write(b"".join(frame.data for frame in frames[sent:due]), events=due - sent)
        sent = due


@dataclass(frozen=True, slots=True)
class Latency:
    """Time to first token and between tokens, in seconds; `jitter` is the sigma of a log-normal
    factor of mean one."""

    ttft_s: float
    inter_token_s: float
    jitter: float

    def token_offsets(self, steps: int, rng: RandomStream) -> tuple[float, ...]:
        """Seconds after arrival at which decoding steps 0 … `steps` are done (step 0 at once).

        A function of the reply's key, so that a run can be repeated; the ledger has the actual
        times.
        """
        if self.ttft_s == 0 and self.inter_token_s == 0:
            return (0.0,) * (steps + 1)
        waits = [self.ttft_s] + [self.inter_token_s] * max(steps - 1, 0)
        return (0.0, *accumulate(wait * self._jitter_factor(rng) for wait in waits))

    def _jitter_factor(self, rng: RandomStream) -> float:
        if self.jitter == 0:
            return 1.0
        return math.exp(self.jitter * rng.normal() - self.jitter**2 / 2)
