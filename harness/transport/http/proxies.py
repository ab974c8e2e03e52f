"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in
capital or small letters.

A loopback address never goes through a proxy, whatever the environment says: a proxy cannot reach
this machine's own ports.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from urllib.request import getproxies_environment

import httpx
from msgspec import Struct

from harness.errors import UsageError

SOCKS = frozenset({"socks5", "socks5h"})
_SCHEMES = {"http", "https", *SOCKS}
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Proxy(Struct, frozen=True):
    """A proxy, and the environment variable that names it."""

    url: httpx.URL
    variable: str

    def __str__(self) -> str:
        """Its address without user and password."""
        host = f"[{self.url.host}]" if ":" in self.url.host else self.url.host
        return f"{self.url.scheme}://{host}:{self.port}"

    @property
    def connect_url(self) -> httpx.URL:
        """Where a connection to it goes."""
        scheme = "https" if self.url.scheme == "https" else "http"
        return httpx.URL(scheme=scheme, host=self.url.host, port=self.port)

    @property
    def port(self) -> int:
        """Its port, its scheme's own where the address has none."""
        return self.url.port or _PORTS[self.url.scheme]


def proxy_for(url: str, proxies: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy for `url`, None for a direct connection; `proxies` by scheme, `all` and `no`.

    Raises UsageError for a proxy that cannot be used.
    """
    address = httpx.URL(url)
    known = dict(getproxies_environment() if proxies is None else proxies)
    if is_loopback(address.host) or _is_exempt(address.host, known.get("no", "")):
        return None
    for scheme in (address.scheme, "all"):
        if named := known.get(scheme, "").strip():
            return read_proxy(named, _variable_of(scheme))
    return None


def read_proxy(named: str, variable: str) -> Proxy:
    """The proxy at the address in `variable`; `host:port` is an HTTP proxy. Raises UsageError,
    which does not show the address: it may hold a password."""
    try:
        url = httpx.URL(named if _SCHEME.match(named) else f"http://{named}")
        url.port  # noqa: B018 - raises
    except (httpx.InvalidURL, ValueError):  # what is wrong may be a part of the password
        raise UsageError(f"{variable} is not a proxy address; {_FORMS}") from None
    if url.scheme not in _SCHEMES or not url.host or not (url.port is None or url.port < 65536):
        raise UsageError(f"{variable} is not a usable proxy address; {_FORMS}")
    if url.scheme in SOCKS and find_spec("socksio") is None:
        raise UsageError(
            f"{variable} names a SOCKS proxy, which needs an extra package: run pip install"
            " 'evalharness[socks]', use an HTTP proxy, or add the target's host to NO_PROXY"
        )
    return Proxy(url, variable)


_FORMS = "write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _variable_of(scheme: str) -> str:
    """The variable as it is spelled in the environment; small letters win, as in urllib."""
    small = f"{scheme}_proxy"
    return small if os.environ.get(small) else small.upper()


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names `host` or a domain it is in; `*` is everything."""
    names = [name.strip().lower().lstrip(".") for name in no_proxy.split(",")]
    return any(
        name == "*" or (name and (host == name or host.endswith("." + name))) for name in names
    )
