"""Selects the connection that leads to a target: ours, or httpx's own where the environment names a
proxy for its host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import httpx

from harness.model import Target
from harness.transport.http.connection import Connection
from harness.transport.http.dialing import shared_ssl_context
from harness.transport.http.http1 import Http1Client
from harness.transport.http.httpx_adapter import HttpxConnection
from harness.transport.http.loop_sharing import FairQueue
from harness.transport.http.proxies import SOCKS, Proxy, proxy_for


def open_slot_connection(target: Target, turns: FairQueue | None = None) -> Connection:
    """A connection for one slot of `target`, opened when it is first used; `turns` are those of all
    slots."""
    proxy = proxy_for(target.base_url)
    return (
        Http1Client(turns=turns) if proxy is None else HttpxConnection(lambda: _open_proxied(proxy))
    )


def describe_proxies(targets: Iterable[Target]) -> Iterator[str]:
    """A sentence for each target that is reached through a proxy. Raises UsageError for a proxy
    that cannot be used."""
    for target in targets:
        proxy = proxy_for(target.base_url)
        if proxy is not None:
            yield f"target {target.name!r} is reached through the proxy {proxy} ({proxy.variable})"


def _open_proxied(proxy: Proxy) -> httpx.AsyncHTTPTransport:
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    kind = _SocksTransport if proxy.url.scheme in SOCKS else httpx.AsyncHTTPTransport
    return kind(verify=shared_ssl_context(), limits=one, proxy=httpx.Proxy(proxy.url))


class _SocksTransport(httpx.AsyncHTTPTransport):
    """httpx's transport, which lets exceptions of the SOCKS protocol through."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        from socksio import SOCKSError  # noqa: PLC0415 - an extra

        try:
            return await super().handle_async_request(request)
        except SOCKSError as refused:
            raise httpx.ProxyError(f"its SOCKS answer is wrong: {refused}") from refused
