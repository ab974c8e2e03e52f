"""The Send stack in its one line, as a run composes it, for faults that need no more than that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import Any, TypeVar

import uvloop

from harness import registry
from harness.model import Call, Limits, Message, Request, Response, Target
from harness.transport.http.client import HttpClient
from harness.transport.http.connection import Connection
from harness.transport.middleware.budget import Budget
from harness.transport.middleware.limit import Limit
from harness.transport.middleware.quota import TokenNeed
from harness.transport.middleware.replay import Replay
from harness.transport.middleware.retry import Retry
from harness.transport.send import REAL_CLOCK, Clock, Send
from tests.transport.calling import PATIENT

T = TypeVar("T")


@asynccontextmanager
async def stack(
    *,
    clock: Clock = REAL_CLOCK,
    secrets: Mapping[str, str] | None = None,
    open: Callable[[Target], Connection] | None = None,
) -> AsyncIterator[Send]:
    """`replay(retry(budget(limit(http))))` over real sockets."""
    async with HttpClient(secrets or {}, open) as http:
        limit = Limit(http, tokens=lambda call: TokenNeed(0, 0), clock=clock)
        budget = Budget(upper_bound=lambda call: 0.0, price=lambda call, response: 0.0).around(
            limit
        )
        yield Replay().around(Retry(budget, clock=clock))


def faster(times: float) -> Clock:
    """A clock on which minutes of waiting take a moment; sockets and the transport's own timeouts
    stay in real time."""
    return Clock(
        lambda: round(perf_counter_ns() * times), lambda seconds: asyncio.sleep(seconds / times)
    )


def asking(
    url: str,
    request: Request | None = None,
    *,
    key: str = "k",
    provider: str = "openai",
    stream: bool = True,
    api_key_env: str | None = None,
    **limits: int,
) -> Call:
    """A Call to `url`, the only one of its target; `limits` are the target's."""
    target = Target(
        name=url,
        provider=provider,
        model="tiny-1",
        address="${TINY}",
        base_url=url,
        api_key_env=api_key_env,
        limits=Limits(timeouts=PATIENT, **limits),
    )
    request = request or Request(messages=(Message("user", "Hi"),), stream=stream)
    return Call(
        target, request, registry.load_plugin("providers", provider).encode(target, request), key
    )


def run(work: Coroutine[Any, Any, T]) -> T:
    """On the event loop that runs use."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def send_all(send: Send, calls: list[Call]) -> list[Response]:
    """All of `calls` at once."""
    return list(await asyncio.gather(*(send(each) for each in calls)))


def kinds(response: Response) -> list[str | None]:
    """The error kind of each attempt."""
    return [attempt.error and attempt.error.kind for attempt in response.attempts]
