"""The benchmark's server: OpenAI-compatible, and so plain that what is measured is the client.

One asyncio Protocol on uvloop that parses no JSON: the answer's bytes are ready-made, and only the
eight digits behind the `#` of a prompt are put in, so that every answer differs and can be graded.
`POST …/chat/completions` answers whole, or as 20 content events, each written in a turn of the
event loop of its own, as a server with many streams does. With `lockstep`, streams keep time
instead: the first event 200 ms after the request and then one every 5 ms, all streams at the same
ticks; when each first event was really written is kept. With a delay, whole answers come so many
seconds after their request. `GET /stats` tells these moments, the CPU time used and the most
requests ever under way at once.

A server is a process of its own and ends with the one that started it. Run by itself, this file
prints how fast the server is.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns
from typing import Any, cast
from urllib.request import urlopen

import uvloop

WORDS = tuple(
    "Let me work through this one step at a time before I say that the answer to it is".split()  # noqa: SIM905
)
EVENTS = len(WORDS) + 1
"""Content events of a stream: the words, then the number."""
DIGITS = 8
FIRST, GAP = 0.200, 0.005
"""Seconds of lockstep: from a request to its first event, and between two events."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_USAGE = {"prompt_tokens": 60, "completion_tokens": EVENTS, "total_tokens": 60 + EVENTS}
_PLACE = "#" * DIGITS


# ── What it says ──────────────────────────────────────────────────────────────────────────────────


def _whole() -> tuple[bytes, bytes]:
    """An answer that is not streamed, before and behind the digits."""
    message = {"role": "assistant", "content": f"{' '.join(WORDS)} {_PLACE}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(
        {**_envelope("chat.completion"), "choices": [choice], "usage": _USAGE}
    ).encode()
    before, _, behind = (
        _head("application/json", f"Content-Length: {len(body)}") + body
    ).partition(_PLACE.encode())
    return before, behind


def _pieces() -> list[bytes]:
    """A stream's writes: head and role, the words, the number (with its place to fill), the end."""
    pieces = [
        _event({"content": word if place == 0 else f" {word}"}) for place, word in enumerate(WORDS)
    ]
    usage = {**_envelope("chat.completion.chunk"), "choices": [], "usage": _USAGE}
    end = _event({}, "stop") + _chunk(_data(usage)) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    opening = _head("text/event-stream", "Transfer-Encoding: chunked") + _event(
        {"role": "assistant", "content": ""}
    )
    return [opening, *pieces, _event({"content": f" {_PLACE}"}), end]


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _chunk(_data({**_envelope("chat.completion.chunk"), "choices": [choice]}))


def _envelope(kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-0123456789abcdef",
        "object": kind,
        "created": 1700000000,
        "model": "mock",
    }


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nServer: mock\r\nX-Request-Id: req-1\r\n{framing}\r\n\r\n".encode()


BEFORE, BEHIND = _whole()
PIECES = _pieces()
NUMBER = EVENTS  # the index of the piece with the digits: the opening is piece 0


# ── The server ────────────────────────────────────────────────────────────────────────────────────


class Mock:
    """What all connections share: the counts, and lockstep's ticks."""

    def __init__(self, *, lockstep: bool, delay: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.lockstep = lockstep
        self.delay = delay
        self.requests = 0
        self.open = 0
        self.most_open = 0
        self.sent: dict[str, int] = {}
        self._ticks: dict[int, list[Stream]] = {}

    def begin(self) -> None:
        """A request is open."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)

    def at_tick(self, tick: int, stream: Stream) -> None:
        """Let `stream` go on at the `tick`-th gap of the loop's time."""
        if tick not in self._ticks:
            self._ticks[tick] = []
            self.loop.call_at(tick * GAP, self._tick, tick)
        self._ticks[tick].append(stream)

    def _tick(self, tick: int) -> None:
        for stream in self._ticks.pop(tick):
            stream.write_on_time(tick)

    def stats(self) -> dict[str, Any]:
        """Counts so far; `sent` is `perf_counter_ns` of each first event by its digits."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = used.ru_utime + used.ru_stime
        return {
            "requests": self.requests,
            "cpu": cpu,
            "most_open": self.most_open,
            "sent": self.sent,
        }


class Stream:
    """One streamed answer under way."""

    __slots__ = ("_digits", "_mock", "_next", "_transport")

    def __init__(self, mock: Mock, transport: asyncio.Transport, digits: bytes) -> None:
        self._mock, self._transport, self._digits = mock, transport, digits
        self._next = 0
        mock.begin()

    def write_at_once(self) -> None:
        """Write the next piece, and the others in the loop's next turns."""
        self._transport.write(self._piece())
        if self._next < len(PIECES):
            self._mock.loop.call_soon(self.write_at_once)

    def write_on_time(self, tick: int) -> None:
        """Write the piece that is due now; the next one is due a tick later.

        Past the transport, which would keep it until all streams of this tick have had their turn.
        """
        first, piece = self._next == 1, self._piece()
        if self._transport.is_closing():
            return
        if first:
            self._mock.sent[self._digits.decode()] = perf_counter_ns()
        os.write(self._transport.get_extra_info("socket").fileno(), piece)
        if self._next < len(PIECES):
            self._mock.at_tick(tick + 1, self)

    def write_opening(self) -> None:
        """Write the head now, and the first event when its time has come."""
        self._transport.write(self._piece())
        self._mock.at_tick(round((self._mock.loop.time() + FIRST) / GAP), self)

    def _piece(self) -> bytes:
        piece = PIECES[self._next]
        if self._next == NUMBER:
            piece = piece.replace(_PLACE.encode(), self._digits)
        self._next += 1
        if self._next == len(PIECES):
            self._mock.open -= 1
        return piece


class Connection(asyncio.Protocol):
    """One client's connection: requests one after another."""

    def __init__(self, mock: Mock) -> None:
        self._mock = mock
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _LENGTH.search(self._received, 0, head_end)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._received) >= end:
            request, self._received = self._received[:end], self._received[end:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if request.startswith(b"GET"):
            self._transport.write(_json(self._mock.stats()))
            return
        self._mock.requests += 1
        at = request.rfind(b"#") + 1
        digits = request[at : at + DIGITS]
        if b'"stream":true' not in request and b'"stream": true' not in request:
            self._answer_whole(b"".join((BEFORE, digits, BEHIND)))
        elif self._mock.lockstep:
            Stream(self._mock, self._transport, digits).write_opening()
        else:
            Stream(self._mock, self._transport, digits).write_at_once()

    def _answer_whole(self, answer: bytes) -> None:
        if not self._mock.delay:
            self._transport.write(answer)
            return
        self._mock.begin()
        self._mock.loop.call_later(self._mock.delay, self._answer_late, answer)

    def _answer_late(self, answer: bytes) -> None:
        self._mock.open -= 1
        self._transport.write(answer)


def _json(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return _head("application/json", f"Content-Length: {len(body)}") + body


async def _serve(*, lockstep: bool, delay: float) -> None:
    """Serve until standard input closes, as it does when the parent ends; the port is the first
    line of output."""
    loop = asyncio.get_running_loop()
    mock = Mock(lockstep=lockstep, delay=delay)
    server = await loop.create_server(lambda: Connection(mock), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    await over.wait()


# ── From outside ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class Running:
    """A running server; `stats` is what it counted, once it has been asked or has ended."""

    url: str
    stats: dict[str, Any] = field(default_factory=dict)

    def ask(self) -> dict[str, Any]:
        """Fetch the stats."""
        with urlopen(f"{self.url}/stats", timeout=60) as answer:
            self.stats = json.loads(answer.read())
        return self.stats


@contextmanager
def start(*, lockstep: bool = False, delay: float = 0.0) -> Iterator[Running]:
    """A server in a process of its own, for as long as the block lasts; `delay` is in seconds."""
    command = [
        sys.executable,
        str(Path(__file__)),
        "serve",
        str(delay),
        *(["lockstep"] if lockstep else []),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Running(f"http://127.0.0.1:{int(process.stdout.readline())}/v1")
        finally:
            process.stdin.close()


def raise_file_limit() -> None:
    """Allow as many sockets as the system does: a thousand in flight need more than the usual soft
    limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """`serve DELAY [lockstep]`, or nothing to print the server's ceiling."""
    if sys.argv[1:2] == ["serve"]:
        raise_file_limit()
        uvloop.run(_serve(lockstep="lockstep" in sys.argv, delay=float(sys.argv[2])))
        return
    from rig.measure import ceiling  # only to measure it

    print(ceiling())


if __name__ == "__main__":
    main()
