"""Selects the connection that leads to a target: ours, or httpx's own where the environment names a
proxy for its host.

A loopback address never goes through a proxy, whatever the environment says: a proxy cannot reach
this machine's own ports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from urllib.request import getproxies_environment

import httpx

from harness.model import Target
from harness.transport.http.connection import Connection
from harness.transport.http.http1 import Http1Client, shared_ssl_context
from harness.transport.http.httpx_adapter import HttpxConnection
from harness.transport.http.loop_sharing import FairQueue


def open_slot_connection(target: Target, turns: FairQueue | None = None) -> Connection:
    """A connection for one slot of `target`, opened when it is first used; `turns` are those of all
    slots."""
    proxy = proxy_for(target.base_url)
    return (
        Http1Client(turns=turns) if proxy is None else HttpxConnection(lambda: _open_proxied(proxy))
    )


def proxy_for(url: str, proxies: Mapping[str, str] | None = None) -> str | None:
    """The proxy's URL for `url`, None for a direct connection; from HTTP_PROXY, HTTPS_PROXY,
    ALL_PROXY and NO_PROXY."""
    address = httpx.URL(url)
    known = dict(getproxies_environment() if proxies is None else proxies)
    if is_loopback(address.host) or _is_exempt(address.host, known.get("no", "")):
        return None
    return known.get(address.scheme) or known.get("all")


def describe_proxies(targets: Iterable[Target]) -> Iterator[str]:
    """A sentence for each target that is reached through a proxy; the proxy's user and password are
    not in it."""
    for target in targets:
        proxy = proxy_for(target.base_url)
        if proxy is not None:
            address = httpx.URL(proxy)
            yield f"target {target.name!r} is reached through the proxy {address.scheme}://{address.netloc.decode('ascii')}"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names `host` or a domain it is in; `*` is everything."""
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",")]
    return any(
        name == "*" or (name and (host == name or host.endswith("." + name))) for name in names
    )


def _open_proxied(proxy: str) -> httpx.AsyncHTTPTransport:
    one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return httpx.AsyncHTTPTransport(verify=shared_ssl_context(), limits=one, proxy=proxy)
