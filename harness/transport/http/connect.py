"""Opens sockets: address lookup, a race of addresses, TLS; every failure an httpx exception with its cause attached."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.staggered import staggered_race
from functools import lru_cache, partial
from typing import Any

import httpx

from harness.transport.http.fairness import FairQueue
from harness.transport.http.h1 import H1Connection

HEAD_START = 0.25
"""Seconds an address gets before the next one is tried beside it (RFC 8305, as httpx does)."""


@lru_cache(maxsize=1)
def shared_ssl_context() -> ssl.SSLContext:
    """httpx's default verification, loaded once: it costs 40 ms and 0.8 MB each."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_connection(
    url: httpx.URL, context: ssl.SSLContext | None, seconds: float | None, turns: FairQueue | None = None
) -> H1Connection:
    """A fresh connection to `url`'s origin; who waits on it goes on in `turns`, by default at once.

    Raises httpx.ConnectTimeout, ConnectError, UnsupportedProtocol.
    """
    if url.scheme not in {"http", "https"} or not url.host:
        raise httpx.UnsupportedProtocol(f"{str(url)!r} is not an http:// or https:// address")
    watch = asyncio.timeout(seconds)
    try:
        async with watch:
            return await _open_socket(url, context, turns)
    except TimeoutError as late:
        if watch.expired():
            raise httpx.ConnectTimeout(f"not connected within {seconds:g} s") from late
        raise httpx.ConnectError(str(late)) from late
    except OSError as refused:  # ssl.SSLError and socket.gaierror are OSErrors
        raise httpx.ConnectError(str(refused)) from refused


async def _open_socket(url: httpx.URL, context: ssl.SSLContext | None, turns: FairQueue | None) -> H1Connection:
    loop = asyncio.get_running_loop()
    host = url.raw_host.decode("ascii")
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await _race_addresses(loop, found)
    tls: dict[str, Any] = {}
    if url.scheme == "https":
        tls = {"ssl": context or shared_ssl_context(), "server_hostname": host}
    try:
        _, connection = await loop.create_connection(lambda: H1Connection(loop, turns or FairQueue()), sock=connected, **tls)
    except BaseException:
        connected.close()
        raise
    connection.mark_reusable()
    return connection


async def _race_addresses(loop: asyncio.AbstractEventLoop, found: list[Any]) -> socket.socket:
    """The first address that answers, each with a head start over the next."""
    if len(found) == 1:
        return await _connect_address(loop, found[0])
    winner, _, failures = await staggered_race([partial(_connect_address, loop, info) for info in found], HEAD_START)
    if winner is None:
        raise next(failure for failure in failures if failure is not None)
    connected: socket.socket = winner
    return connected


async def _connect_address(loop: asyncio.AbstractEventLoop, info: Any) -> socket.socket:
    family, kind, protocol, _, address = info
    connecting = socket.socket(family, kind, protocol)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting
