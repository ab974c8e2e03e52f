"""One attempt over HTTP: sends what the provider encoded over the slot's connection, and lets the
provider decode the answer.

The end of the Send stack; `limit` calls it with the slot it took. Only here are API keys joined to
requests. Redirects are never followed, so that a key goes nowhere but where the target says;
compressed answers are decoded under a cap.
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
from harness.transport.http.connection import Connection
from harness.transport.http.dialing import shared_ssl_context
from harness.transport.http.errors import (
    BadEncodingError,
    BodyTooLargeError,
    FailureContext,
    Reachability,
    proxy_authentication_error,
    timeout_error,
    transport_error,
)
from harness.transport.http.http1 import open_connection
from harness.transport.http.loop_sharing import AttemptDeadline, DeadlineScheduler, FairQueue
from harness.transport.http.messages import OutgoingRequest, RequestTemplate
from harness.transport.http.proxies import proxy_for
from harness.transport.http.response import ResponseReader
from harness.transport.http.select import open_slot_connection
from harness.transport.http.sse import EventTooLargeError
from harness.transport.middleware.limit import Slot
from harness.transport.send import build_refusal
from harness.vendors import PROVIDERS
from harness.vendors.addresses import join_address
from harness.vendors.facts import is_credential_header

_GATEWAY_STATUSES = (502, 503, 504)
"""What a proxy answers with where it cannot reach the target."""
_DEFAULT_HEADERS = (
    ("User-Agent", f"evalharness/{__version__}"),
    ("Accept-Encoding", "gzip"),
    ("Content-Type", "application/json"),
)


class HttpClient:
    """`await http(call, slot)` is one attempt at `call`.

    `secrets` maps the name of an API key's variable to its value. `open` makes the connection of
    one slot of a target. Raises UsageError for a key that no header can carry.
    """

    def __init__(
        self, secrets: Mapping[str, str], open: Callable[[Target], Connection] | None = None
    ) -> None:
        for name, value in secrets.items():
            if not value.isprintable() or not value.isascii():
                raise UsageError(
                    f"the value of {name} contains a line break or a character that is not allowed"
                    " in an HTTP header"
                )
        self._secrets = dict(secrets)
        self._open = open or partial(open_slot_connection, turns=FairQueue())
        self._opened: list[Connection] = []
        self._deadlines = DeadlineScheduler()
        self._reachability = Reachability()
        self._template = lru_cache(maxsize=1024)(self._make_template)

    async def __call__(self, call: Call, slot: Slot) -> Response:
        """The Response, with exactly one Attempt where anything was tried."""
        target, auth = call.target, call.wire.auth
        if auth is not None and auth.env not in self._secrets:
            return build_refusal(
                "transport",
                "no_api_key",
                f"the target {target.name!r} needs an API key: set {auth.env}",
            )
        provider = registry.load_plugin("providers", target.provider)
        api = provider if call.batch is None else provider.batch_api
        reader = ResponseReader(call, api.make_decoder(target, call.request))
        failure = await self._make_attempt(call, slot, reader)
        response = reader.build_response(slot, failure)
        return response if response.error is None else _explain(response, response.error, call)

    async def _make_attempt(self, call: Call, slot: Slot, reader: ResponseReader) -> Error | None:
        """Send the call, and read what comes; the error that the transport or a deadline ended it
        with."""
        target, encoded = call.target, call.wire
        timeouts = target.limits.timeouts
        deadline = AttemptDeadline(self._deadlines, reader.next_deadline)
        try:
            with deadline:
                template = self._template(
                    encoded.method, target.base_url, encoded.path, encoded.headers, encoded.auth
                )
                request = OutgoingRequest(
                    template, f"{call.key}-{call.position}-{call.attempt}", encoded.body
                )
                connection = slot.connection or self._open_connection(slot, target)
                first = timeouts.first if call.request.stream else None
                answer = await connection.exchange(
                    request, reader.arrivals, connect=timeouts.connect, first=first
                )
                if target.base_url not in self._reachability.answering:
                    self._reachability.mark_answered(target.base_url)
                try:
                    await reader.read_response(answer, deadline)
                finally:
                    await connection.release()
        except (
            httpx.TransportError,
            EventTooLargeError,
            BodyTooLargeError,
            BadEncodingError,
        ) as broken:
            error = transport_error(broken, self._failure_context(target, reader))
            return self._reachability.give_up_if_gone(error, target.base_url, monotonic())
        except TimeoutError:
            if not deadline.expired:
                raise
            return timeout_error(reader.waiting_for, self._failure_context(target, reader))
        return _redirect_error(template.url, reader) if reader.redirected else None

    def _failure_context(self, target: Target, reader: ResponseReader) -> FailureContext:
        url, proxy = httpx.URL(target.base_url), proxy_for(target.base_url)
        known = self._reachability
        return FailureContext(
            url.netloc.decode("ascii"),
            target.limits.timeouts,
            reached=known.was_reached(target.base_url),
            answering=reader.status is not None,
            may_want_tls=url.scheme == "http"
            and proxy is None
            and target.base_url not in known.answering,
            proxy=proxy,
        )

    def _make_template(
        self,
        method: str,
        base_url: str,
        path: str,
        headers: tuple[tuple[str, str], ...],
        auth: Auth | None,
    ) -> RequestTemplate:
        """What all requests of a target share; made once, because that is most of a
        request's cost."""
        named = {name.lower(): (name, value) for name, value in (*_DEFAULT_HEADERS, *headers)}
        if auth is not None:
            named[auth.header.lower()] = (auth.header, auth.prefix + self._secrets[auth.env])
        return RequestTemplate(method, httpx.URL(join_address(base_url, path)), named.values())

    # ── Connections ───────────────────────────────────────────────────────────────────────────────

    def _open_connection(self, slot: Slot, target: Target) -> Connection:
        slot.connection = self._open(target)
        self._opened.append(slot.connection)
        return slot.connection

    async def probe_target(self, target: Target) -> Error | None:
        """Open and close a connection to `target`, or to the proxy on the way: None where that
        worked, else why not (for before money is spent).

        Raises UsageError for certificates or a proxy of the environment that cannot be used.
        """
        timeouts, proxy = target.limits.timeouts, proxy_for(target.base_url)
        url = httpx.URL(target.base_url)
        if url.scheme == "https":
            shared_ssl_context()
        try:
            peer = url if proxy is None else proxy.connect_url
            connection = await open_connection(peer, None, timeouts.connect)
        except httpx.TransportError as broken:
            host = url.netloc.decode("ascii")
            scene = FailureContext(host, timeouts, reached=False, answering=False, proxy=proxy)
            return transport_error(broken, scene)
        connection.abort()
        if proxy is None:
            self._reachability.mark_reached(target.base_url)
        return None

    async def aclose(self) -> None:
        """Close every connection."""
        for connection in self._opened:
            await connection.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def _explain(response: Response, error: Error, call: Call) -> Response:
    """The response, its error with what only the sender knows: the address, the variable of the API
    key, the proxy."""
    target, proxy = call.target, proxy_for(call.target.base_url)
    if proxy is not None and error.status == 407:
        return replace(response, error=proxy_authentication_error(proxy))
    if proxy is not None and error.status in _GATEWAY_STATUSES:
        known = f"through the proxy {proxy}"
    elif error.status == 404:
        base = target.address if "${" in target.address else target.base_url
        asked = f"{call.wire.method} {join_address(base, call.wire.path)}"
        known = f"at {asked}, model {target.model!r}"
    elif error.kind == "unauthorized" or (error.status == 403 and call.wire.auth is None):
        known = _describe_credentials(call)
    else:
        return response
    return replace(response, error=replace(error, message=f"{error.message} ({known})"))


def _describe_credentials(call: Call) -> str:
    """What was sent to prove who asks: the names, never the values."""
    if call.wire.auth is not None:
        return f"the API key sent is the value of {call.wire.auth.env}"
    named = [name for name in call.target.headers if is_credential_header(name)]
    if named:
        return f"no `api_key:` is set, but the target's own header {', '.join(named)} was sent"
    facts = PROVIDERS.get(call.target.provider)
    example = (facts and facts.api_key_env) or "MY_API_KEY"
    return (
        "no API key was sent; name its environment variable in the target, such as `api_key:"
        f" {example}`"
    )


def _redirect_error(url: httpx.URL, reader: ResponseReader) -> Error:
    place = snippet(reader.headers.get("location", ""))
    host = url.netloc.decode("ascii")
    message = (
        f"{host} redirects to {place!r}, and redirects are not followed: set the target's base_url"
        " to the final address"
    )
    return Error("transport", "redirect", message, status=reader.status)
