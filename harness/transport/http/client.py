"""One attempt: sends what the provider encoded over the slot's connection, stamps the clock, and lets the provider decode.

The end of the Send stack; `limit` calls it with the slot it took. Only here are API keys joined to requests. Redirects are
never followed, so that a key goes nowhere but where the target says; compressed answers are decoded under a cap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from time import monotonic
from types import TracebackType
from typing import Self

import httpx
from msgspec.structs import replace

from harness import __version__, registry
from harness.errors import UsageError
from harness.model import Auth, Call, Error, Response, Target
from harness.providers.json_text import snippet
from harness.transport.http.connect import open_connection
from harness.transport.http.connection import Connection
from harness.transport.http.deadlines import DeadlineScheduler
from harness.transport.http.decompress import BadEncodingError, BodyTooLargeError
from harness.transport.http.errors import FailureContext, timeout_error, transport_error
from harness.transport.http.fairness import FairQueue
from harness.transport.http.h1_transport import H1Transport
from harness.transport.http.httpx_adapter import HttpxConnection
from harness.transport.http.reachability import Reachability
from harness.transport.http.request_template import OutgoingRequest, RequestTemplate
from harness.transport.http.response import ResponseReader
from harness.transport.http.select import open_transport, proxy_for
from harness.transport.http.sse import EventTooLargeError
from harness.transport.middleware.slots import Slot
from harness.transport.send import build_refusal

_DEFAULT_HEADERS = (
    ("User-Agent", f"evalharness/{__version__}"),
    ("Accept-Encoding", "gzip"),
    ("Content-Type", "application/json"),
)


class HttpClient:
    """`await http(call, slot)` is one attempt at `call`.

    `secrets` maps the name of an API key's variable to its value. `open` makes a transport for a slot of a target.
    Raises UsageError for a key that no header can carry.
    """

    def __init__(self, secrets: Mapping[str, str], open: Callable[[Target], httpx.AsyncBaseTransport] | None = None) -> None:
        for name, value in secrets.items():
            if not value.isprintable() or not value.isascii():
                raise UsageError(f"the value of {name} holds a line break or a character that no HTTP header can carry")
        self._secrets = dict(secrets)
        self._open = open or partial(open_transport, turns=FairQueue())
        self._opened: list[Connection] = []
        self._watches = DeadlineScheduler()
        self._sleep_until = Reachability()
        self._template = lru_cache(maxsize=1024)(self._make_template)

    async def __call__(self, call: Call, slot: Slot) -> Response:
        """The Response, with exactly one Attempt where anything was tried."""
        auth = call.wire.auth
        if auth is not None and auth.env not in self._secrets:
            return build_refusal("transport", "no_api_key", f"the target {call.target.name!r} needs an API key: set {auth.env}")
        provider = registry.load_plugin("providers", call.target.provider)
        reader = provider if call.batch is None else provider.batch_api
        reading = ResponseReader(call, reader.make_decoder(call.target, call.request))
        failure = await self._make_attempt(call, slot, reading)
        return _explain_not_found(reading.build_response(slot, failure), call)

    async def _make_attempt(self, call: Call, slot: Slot, reading: ResponseReader) -> Error | None:
        timeouts = call.target.limits.timeouts
        watch = self._watches.watch_until(reading.next_deadline)
        try:
            with watch:
                request, line = self._build_request(call), self._slot_connection(slot, call.target)
                first = timeouts.first if call.request.stream else None
                answer = await line.exchange(request, reading.arrivals, connect=timeouts.connect, first=first)
                self._sleep_until.mark_answered(call.target.base_url)
                try:
                    await reading.read_response(answer, watch)
                finally:
                    await line.release()
        except (httpx.TransportError, EventTooLargeError, BodyTooLargeError, BadEncodingError) as broken:
            return self._sleep_until.give_up_if_gone(
                transport_error(broken, self._failure_context(call, reading)), call.target.base_url, monotonic()
            )
        except TimeoutError:
            if not watch.expired:
                raise
            return timeout_error(reading.waiting_for, self._failure_context(call, reading))
        return _redirect_error(request.template.url, reading) if reading.redirected else None

    def _failure_context(self, call: Call, reading: ResponseReader) -> FailureContext:
        target = call.target
        host = httpx.URL(target.base_url).netloc.decode("ascii")
        return FailureContext(
            host, target.limits.timeouts, self._sleep_until.was_reached(target.base_url), reading.status is not None
        )

    # ── The request ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _build_request(self, call: Call) -> OutgoingRequest:
        wire = call.wire
        template = self._template(wire.method, call.target.base_url, wire.path, wire.headers, wire.auth)
        return OutgoingRequest(template, f"{call.key}-{call.position}-{call.attempt}", wire.body)

    def _make_template(
        self, method: str, base_url: str, path: str, headers: tuple[tuple[str, str], ...], auth: Auth | None
    ) -> RequestTemplate:
        """What all requests of a target share; made once, because that is most of a request's cost."""
        named = {name.lower(): (name, value) for name, value in (*_DEFAULT_HEADERS, *headers)}
        if auth is not None:
            named[auth.header.lower()] = (auth.header, auth.prefix + self._secrets[auth.env])
        return RequestTemplate(method, httpx.URL(base_url.rstrip("/") + path), named.values())

    # ── Connections ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _slot_connection(self, slot: Slot, target: Target) -> Connection:
        if slot.transport is None:
            opened = self._open(target)
            slot.transport = opened if isinstance(opened, H1Transport) else HttpxConnection(opened, partial(self._open, target))
            self._opened.append(slot.transport)
        return slot.transport

    async def probe_target(self, target: Target) -> Error | None:
        """Open and close a connection to `target`: None where that worked, else why not (for before money is spent)."""
        if proxy_for(target.base_url) is not None:
            return None  # only the proxy could be probed
        url = httpx.URL(target.base_url)
        try:
            connection = await open_connection(url, None, target.limits.timeouts.connect)
        except httpx.TransportError as broken:
            return transport_error(
                broken, FailureContext(url.netloc.decode("ascii"), target.limits.timeouts, reached=False, answering=False)
            )
        connection.abort()
        self._sleep_until.mark_answered(target.base_url)
        return None

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._opened:
            await transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _explain_not_found(response: Response, call: Call) -> Response:
    """The response, its 404 with the address as the suite declares it: that, or the model's name, is what is wrong."""
    error = response.error
    if error is None or error.status != 404:
        return response
    asked = f"{call.wire.method} {call.target.address.rstrip('/')}{call.wire.path}"
    return replace(response, error=replace(error, message=f"{error.message} (at {asked}, model {call.target.model!r})"))


def _redirect_error(url: httpx.URL, reading: ResponseReader) -> Error:
    place = snippet(reading.headers.get("location", ""))
    host = url.netloc.decode("ascii")
    message = f"{host} redirects to {place!r}, which is not followed: give the final address as the target's base_url"
    return Error("transport", "redirect", message, status=reading.status)
