"""Builds Calls and sends them: over our transport and httpx's, on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import uvloop
from msgspec.structs import replace

from harness import registry
from harness.model import Call, Limits, Message, Request, Response, Target, Timeouts
from harness.transport.http.client import HttpClient
from harness.transport.http.connection import Connection
from harness.transport.http.dialing import shared_ssl_context
from harness.transport.http.httpx_adapter import HttpxConnection
from harness.transport.middleware.limit import Slot
from tests.transport.servers import Answer, Server, serving

T = TypeVar("T")
PATIENT = Timeouts(connect=5, first=5, idle=5, total=10)


@dataclass(frozen=True)
class Kind:
    """A way to send: which transport, on which loop."""

    name: str
    open: Callable[[Target], Connection] | None
    loop: Callable[[], asyncio.AbstractEventLoop]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=self.loop) as runner:
            return runner.run(work)


def open_httpx(target: Target) -> Connection:
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return HttpxConnection(
        lambda: httpx.AsyncHTTPTransport(verify=shared_ssl_context(), limits=one)
    )


KINDS = [
    Kind("wire", None, asyncio.new_event_loop),
    Kind("wire-uvloop", None, uvloop.new_event_loop),
    Kind("httpx", open_httpx, asyncio.new_event_loop),
]


def call(
    base_url: str, *, stream: bool = True, timeouts: Timeouts = PATIENT, **changes: Any
) -> Call:
    """A Call to an OpenAI-compatible server."""
    target = Target(
        "tiny", "openai", "tiny-1", "${TINY}", base_url, limits=Limits(timeouts=timeouts)
    )
    request = Request(messages=(Message("user", "Hi"),), stream=stream)
    target = replace(
        target,
        **{name: changes.pop(name) for name in ("api_key_env", "headers") if name in changes},
    )
    wire = registry.load_plugin("providers", "openai").encode(target, request)
    return replace(Call(target, request, wire, key="k1"), **changes)


def ask(
    kind: Kind, answer: Answer, *, stream: bool = True, timeouts: Timeouts = PATIENT
) -> tuple[Response, Server]:
    """One attempt at a server that gives `answer`."""

    async def attempt() -> tuple[Response, Server]:
        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            return await http(call(server.url, stream=stream, timeouts=timeouts), Slot()), server

    return kind.run(attempt())


def sending(send: Callable[[Call], Awaitable[Response]], *calls: Call) -> Awaitable[list[Response]]:
    """All of `calls` at once."""
    return asyncio.gather(*(send(one) for one in calls))
