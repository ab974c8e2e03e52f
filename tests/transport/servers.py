"""Loopback servers that misbehave on purpose: an `Answer` is written byte by byte as a test wants
it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """A request as it arrived; `connection` counts the sockets from 0, header names are
    lower case."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Peer:
    """What an answer does to its client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Each piece in a packet of its own, `pause` seconds apart."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(pause)

    def reset(self) -> None:
        """RST instead of FIN."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """FIN."""
        self._writer.close()

    async def hang(self) -> None:
        """Say nothing more until the client leaves."""
        while await self.reader.read(65536):
            pass


Answer = Callable[[Received, Peer], Awaitable[None]]


@dataclass
class Server:
    """A running server: where it is and what it received."""

    port: int = 0
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that gives `answer` to every request, for as long as the block lasts."""
    server = Server(scheme="https" if context else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        number = server.connections
        server.connections += 1
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            while not writer.is_closing():
                request = await _request(reader, number)
                server.received.append(request)
                await answer(request, Peer(reader, writer))
        writer.close()
        server.closed.set()

    listener = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=context)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader, connection: int) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value for name, _, value in (item.partition(": ") for item in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(line, headers, body, connection)


# ── Literal bytes ─────────────────────────────────────────────────────────────────────────────────


def head(status: str = "200 OK", kind: str = "application/json", *more: str) -> bytes:
    """A status line and headers."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", *more, "", ""]).encode(
        "latin-1"
    )


def whole(body: bytes, status: str = "200 OK", kind: str = "application/json", *more: str) -> bytes:
    """A complete answer with its length."""
    return head(status, kind, f"Content-Length: {len(body)}", *more) + body


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


EVENTS = head("200 OK", "text/event-stream", "Transfer-Encoding: chunked")
END = b"0\r\n\r\n"
ROLE = chunk(b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n')
STOP = chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
USAGE = chunk(
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
)
DONE = chunk(b"data: [DONE]\n\n")
PING = chunk(b": ping\n\n")


def delta(text: str) -> bytes:
    """A content event, as one chunk."""
    return chunk(b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text.encode())


COMPLETION = (
    b'{"id":"c1","object":"chat.completion","model":"tiny-1","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)

GOOD_STREAM = (EVENTS, ROLE, delta("Hel"), delta("lo"), STOP, USAGE, DONE, END)


def sends(*pieces: bytes, then: str = "hang", pause: float = 0.002) -> Answer:
    """An answer in these packets; then the connection hangs, is closed or reset, or is kept for the
    next request."""

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(*pieces, pause=pause)
        if then == "hang":
            await peer.hang()
        elif then == "reset":
            peer.reset()
        elif then == "close":
            peer.close()

    return answer
