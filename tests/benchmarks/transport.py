"""What one attempt costs in the transport, beside the least an asyncio Protocol can do: `python
tests/benchmarks/transport.py`.

The same requests to the same server, one client after the other in turns, so that a busy machine
disturbs all alike: a bare Protocol that writes ready-made bytes and waits for the last byte of the
answer (it reads no header, no JSON and no clock); then `HttpClient` over our own connection, with
everything a Response holds; then the whole Send stack above it. Streams keep lockstep, so that
every event is a read of its own. Each figure is the median over the rounds of this process's CPU
time, system time included; the ratios to the bare Protocol are what can be compared.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import TypeAlias, cast
from urllib.parse import urlsplit

import mock_server
import uvloop

from harness import registry
from harness.model import Call, Limits, Message, Request, Response, Target
from harness.transport.http.client import HttpClient
from harness.transport.middleware.budget import Budget
from harness.transport.middleware.limit import Limit, Slot
from harness.transport.middleware.quota import TokenNeed
from harness.transport.middleware.replay import Replay
from harness.transport.middleware.retry import Retry

CONCURRENCY = 256
ROUNDS = 15
REQUESTS = 2 * CONCURRENCY
"""Attempts of each client in each round."""

Attempt: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Client:
    """A way to make an attempt, one `attempt` for each of those in flight together."""

    name: str
    attempts: Sequence[Attempt]

    async def cost(self, count: int) -> float:
        """CPU microseconds an attempt, over `count` of them."""
        places = iter(range(count))

        async def work(attempt: Attempt) -> None:
            for _ in places:
                await attempt()

        began = process_time()
        await asyncio.gather(*(work(attempt) for attempt in self.attempts))
        return (process_time() - began) / count * 1e6


# ── The floor ─────────────────────────────────────────────────────────────────────────────────────


class Bare(asyncio.Protocol):
    """One connection that knows how this server's answers end, and nothing else."""

    def __init__(self, request: bytes, end: bytes) -> None:
        self._request, self._end = request, end
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if data.endswith(self._end):
            self._answered.set_result(None)

    async def attempt(self) -> None:
        """Ask, and wait for the end of the answer."""
        self._answered = self._loop.create_future()
        self._transport.write(self._request)
        await self._answered


async def bare(call: Call) -> Client:
    """The floor, on connections of its own."""
    address, body = urlsplit(call.target.base_url), call.wire.body
    head = f"POST {address.path}{call.wire.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
    end = b"\r\n0\r\n\r\n" if call.request.stream else mock_server.BEHIND
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Bare(head.encode() + body, end), address.hostname, address.port
        )
        for _ in range(CONCURRENCY)
    ]
    return Client("bare Protocol", [protocol.attempt for _, protocol in made])


# ── Ours ──────────────────────────────────────────────────────────────────────────────────────────


def transport(http: HttpClient, call: Call) -> Client:
    """One attempt each on a slot of its own, decoding included."""

    def on(slot: Slot) -> Attempt:
        async def attempt() -> None:
            _check(await http(call, slot))

        return attempt

    return Client("http + wire", [on(Slot()) for _ in range(CONCURRENCY)])


def stack(http: HttpClient, call: Call) -> Client:
    """The layers of a run that has a budget, a price and no rate limit."""
    budget = Budget(1e6, upper_bound=lambda _: 1e-6, price=lambda *_: 1e-6).around(
        Limit(http, tokens=lambda _: TokenNeed(0, 0))
    )
    send = Replay().around(Retry(budget))

    async def attempt() -> None:
        _check(await send(call))

    return Client("whole stack", [attempt] * CONCURRENCY)


def _check(response: Response) -> None:
    assert response.error is None, response.error
    assert response.text.endswith("00000042"), response.text


def question(url: str, *, stream: bool) -> Call:
    """A Call the server answers."""
    target = Target("mock", "openai", "mock", url, url, limits=Limits(concurrency=CONCURRENCY))
    request = Request(messages=(Message("user", "What is the number? #00000042"),), stream=stream)
    return Call(
        target,
        request,
        registry.load_plugin("providers", "openai").encode(target, request),
        key="0123456789abcdef",
    )


# ── The table ─────────────────────────────────────────────────────────────────────────────────────


async def measure(url: str, *, stream: bool, rounds: int) -> dict[str, float]:
    """Median CPU microseconds an attempt of each client."""
    async with AsyncExitStack() as closing:
        call = question(url, stream=stream)
        http = await closing.enter_async_context(HttpClient({}))
        clients = [await bare(call), transport(http, call), stack(http, call)]
        costs: dict[str, list[float]] = {client.name: [] for client in clients}
        for place in range(rounds + 1):  # the first warms up
            for client in clients:
                cost = await client.cost(REQUESTS)
                if place:
                    costs[client.name].append(cost)
    return {name: median(each) for name, each in costs.items()}


def main() -> None:
    """Print the table; an argument is the number of rounds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    figures = []
    for stream in (False, True):
        with mock_server.start(lockstep=stream) as server:
            figures.append(uvloop.run(measure(server.url, stream=stream, rounds=rounds)))
    print(
        f"CPU µs an attempt, median of {rounds} rounds of {REQUESTS}, {CONCURRENCY} in flight (× the bare Protocol)"
    )
    print(f"{'':16}{'whole answer':>20}{f'{mock_server.EVENTS} events streamed':>24}")
    for name in figures[0]:
        cells = [
            f"{costs[name]:.0f} ({costs[name] / costs['bare Protocol']:.2f} ×)" for costs in figures
        ]
        print(f"{name:16}{cells[0]:>20}{cells[1]:>24}")


if __name__ == "__main__":
    main()
