"""Connects: resolves the name, takes the first address that answers, loads trusted certificates."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from asyncio.staggered import staggered_race
from functools import lru_cache, partial
from typing import Any

import httpx

from harness.errors import UsageError

HEAD_START = 0.25
"""Seconds an address gets before the next one is tried in parallel (RFC 8305, as httpx does)."""

_KEY_LOG = "SSLKEYLOGFILE"
_SSL_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", _KEY_LOG)
"""What decides about TLS, the first of the certificates' alone."""


HANDSHAKE_SHARE = 0.5
"""How much of the time to connect a TLS handshake may take: a server that speaks no TLS may wait
for ever for a request."""


class HandshakeTimeout(httpx.ConnectTimeout):
    """The server took the connection and did not begin TLS on it."""


class HandshakeError(httpx.ConnectError):
    """The server took the connection and ended the TLS handshake."""


@lru_cache(maxsize=1)
def shared_ssl_context() -> ssl.SSLContext:
    """httpx's default verification, loaded once: it costs 40 ms and 0.8 MB each.

    Raises UsageError for a file that the environment names and that cannot be used.
    """
    try:
        context = httpx.create_ssl_context()
    except OSError as refused:  # ssl.SSLError is one
        raise UsageError(_explain_ssl_variables(refused)) from refused
    context.set_alpn_protocols(["http/1.1"])
    return context


def _explain_ssl_variables(refused: OSError) -> str:
    given = [name for name in _SSL_VARIABLES if os.environ.get(name)]
    named = [f"{name}={os.environ[name]}" for name in given if name != _KEY_LOG][:1]
    if _KEY_LOG in given and (not named or refused.filename == os.environ[_KEY_LOG]):
        named = [f"{_KEY_LOG}={os.environ[_KEY_LOG]}"]
    reason = refused.strerror or str(refused)
    if isinstance(refused, ssl.SSLError):
        reason = "it should contain certificates in PEM format (-----BEGIN CERTIFICATE-----)"
    return f"cannot make a secure connection with {', '.join(named)}: {reason}"


async def connect_socket(url: httpx.URL) -> socket.socket:
    """Look the name up, and connect to the first address that answers, each with a head start over
    the next."""
    loop = asyncio.get_running_loop()
    host = url.raw_host.decode("ascii")
    found = await loop.getaddrinfo(
        host, url.port or (443 if url.scheme == "https" else 80), type=socket.SOCK_STREAM
    )
    if len(found) == 1:
        return await _connect_address(loop, found[0])
    winner: socket.socket | None
    winner, _, failures = await staggered_race(
        [partial(_connect_address, loop, each) for each in found], HEAD_START
    )
    if winner is None:
        raise next(failure for failure in failures if failure is not None)
    return winner


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
