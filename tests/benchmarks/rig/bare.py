"""The references: the same questions in a bare loop that keeps nothing, over three clients.

Each client is what its users would write: encode, send, read, decode, look at the answer. `Ask`
takes the digits of a question and returns the answer's text and the moment its first content was
seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import aiohttp
import httpx
import orjson

from rig.questions import MODEL, SAMPLING, SYSTEM, digits, question

Answered: TypeAlias = tuple[str, int]
Ask: TypeAlias = Callable[[str], Awaitable[Answered]]

_DATA, _DONE = b"data: ", b"[DONE]"


async def run(
    client: str, url: str, count: int, concurrency: int, *, stream: bool
) -> dict[str, int]:
    """Ask `count` questions; returns when the first content of each came (`perf_counter_ns`), by
    its digits."""
    seen: dict[str, int] = {}
    numbers = iter(range(count))

    async def worker(ask: Ask) -> None:
        for number in numbers:
            asked = digits(number)
            text, seen_at = await ask(asked)
            assert text.endswith(asked), f"asked {asked}, got {text!r}"
            if stream:
                seen[asked] = seen_at

    async with CLIENTS[client](f"{url}/chat/completions", concurrency, stream) as ask:
        await asyncio.gather(*(worker(ask) for _ in range(concurrency)))
    return seen


def _body(asked: str, stream: bool) -> bytes:
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question(asked)}]
    body: dict[str, Any] = {"model": MODEL, "messages": messages, **SAMPLING}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return orjson.dumps(body)


def _whole(body: bytes) -> Answered:
    answer = orjson.loads(body)
    return answer["choices"][0]["message"]["content"], 0


class _Text:
    """A streamed answer put together from its events."""

    __slots__ = ("_pieces", "seen")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.seen = 0

    def add(self, line: bytes, at: int | None = None) -> bool:
        """Take one line; whether it was the last. `at` is when it came, if that is known better
        than now."""
        if not line.startswith(_DATA):
            return False
        data = line[len(_DATA) :]
        if data.startswith(_DONE):
            return True
        choices = orjson.loads(data)["choices"]
        content = choices[0]["delta"].get("content") if choices else None
        if content:
            self.seen = self.seen or at or perf_counter_ns()
            self._pieces.append(content)
        return False

    @property
    def answered(self) -> Answered:
        """The text, and when its first piece was seen."""
        return "".join(self._pieces), self.seen


# ── httpx ─────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _httpx(url: str, concurrency: int, stream: bool) -> AsyncIterator[Ask]:
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(
        limits=limits, headers=headers, timeout=60, trust_env=False
    ) as client:

        async def whole(asked: str) -> Answered:
            return _whole((await client.post(url, content=_body(asked, stream))).content)

        async def streamed(asked: str) -> Answered:
            text = _Text()
            async with client.stream("POST", url, content=_body(asked, stream)) as response:
                async for line in response.aiter_lines():
                    text.add(line.encode())
            return text.answered

        yield streamed if stream else whole


# ── aiohttp ───────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def _aiohttp(url: str, concurrency: int, stream: bool) -> AsyncIterator[Ask]:
    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency), headers=headers
    ) as session:

        async def whole(asked: str) -> Answered:
            async with session.post(url, data=_body(asked, stream)) as response:
                return _whole(await response.read())

        async def streamed(asked: str) -> Answered:
            text = _Text()
            async with session.post(url, data=_body(asked, stream)) as response:
                async for line in response.content:
                    text.add(line)
            return text.answered

        yield streamed if stream else whole


# ── By hand ───────────────────────────────────────────────────────────────────────────────────────


class _Hand(asyncio.Protocol):
    """The least that works, for this server alone: one connection, one answer at a time, framing
    taken on trust."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, stream: bool) -> asyncio.Future[Answered]:
        """Send, and promise the answer."""
        self._answer: asyncio.Future[Answered] = self._loop.create_future()
        self._received = b""
        self._text = _Text()
        self._take = self._event_lines if stream else self._whole
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._take(data, perf_counter_ns())

    def _event_lines(self, data: bytes, at: int) -> None:
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            if self._text.add(line, at):
                self._received = b""
                self._answer.set_result(self._text.answered)
                self._take = _ignore  # the last chunk
                return

    def _whole(self, data: bytes, _: int) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.rpartition(b": ")[2]):
            self._answer.set_result(_whole(body))


def _ignore(_: bytes, __: int) -> None:
    return


@asynccontextmanager
async def _by_hand(url: str, concurrency: int, stream: bool) -> AsyncIterator[Ask]:
    address = urlsplit(url)
    head = f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n".encode()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(_Hand, address.hostname, address.port)
        for _ in range(concurrency)
    ]
    free = [protocol for _, protocol in made]

    async def ask(asked: str) -> Answered:
        connection, body = free.pop(), _body(asked, stream)
        answered = await connection.ask(
            b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body), stream
        )
        free.append(connection)
        return answered

    yield ask
    for transport, _ in made:
        transport.close()


CLIENTS = {"httpx": _httpx, "aiohttp": _aiohttp, "hand": _by_hand}
