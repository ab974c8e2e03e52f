"""Completes a target's base address: what a vendor's SDK takes and what people paste, with or
without the version's path, a trailing slash, or the whole endpoint.

An endpoint at the end is removed, since the provider adds it. What is left, where it is only the
start of the vendor's own address, is completed to it. An address that was given with its endpoint
says where that is, so nothing is added to it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from harness.vendors.facts import ProviderFacts

_VERSION_QUERY = "api-version"
_OWN_QUERY = (_VERSION_QUERY, "alt")
"""Parts of a pasted query that a provider adds itself."""

_VARIABLE = re.compile(r"\$\{\w+\}")
_VERSION = re.compile(r"/v\d+\w*$")


class Address(NamedTuple):
    """A base address, to which a provider's path is added, and the API version that it named."""

    base: str
    api_version: str | None = None


def complete_address(facts: ProviderFacts, declared: str) -> Address:
    """The base address that `declared` stands for. One that begins with a variable stays as it is:
    what it holds is not known yet."""
    if not facts.endpoints:
        return Address(declared)
    if declared.startswith("${"):
        return Address(declared.rstrip("/"))
    main, _, query = declared.partition("#")[0].partition("?")
    origin, path = _split_path(main)
    path, is_located, version = _remove_endpoint(facts, path)
    if facts.api_versions and query:
        parameters = dict(parse_qsl(query))
        version = version or parameters.get(_VERSION_QUERY)
        query = urlencode({key: parameters[key] for key in parameters if key not in _OWN_QUERY})
    if not is_located:
        path = _complete_path(facts, origin, path)
    return Address(f"{origin}{path}{'?' * bool(query)}{query}", version)


def is_http_address(address: str) -> bool:
    """Whether `address` is one that can be asked: http or https, a host, a possible port."""
    try:
        place = urlsplit(address)
        return place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        return False


def join_address(base: str, path: str) -> str:
    """The address of a provider's `path` at a base address; a query of the base goes last."""
    main, _, query = base.partition("?")
    joined = (main.rstrip("/") if path.startswith("/") else main) + path
    return f"{joined}{'&' if '?' in joined else '?'}{query}" if query else joined


def _split_path(address: str) -> tuple[str, str]:
    """Scheme and host, and the path without a trailing slash."""
    scheme, _, rest = address.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", f"{slash}{path}".rstrip("/")


def _remove_endpoint(facts: ProviderFacts, path: str) -> tuple[str, bool, str | None]:
    """The path before the endpoint, whether that says where this API is, and its version."""
    found = _endpoint_pattern(facts.endpoints).search(path)
    if found is None:
        return path, False, None
    named = found.groupdict()
    return path[: found.start()], named.get("other") is None, named.get("version")


@lru_cache
def _endpoint_pattern(endpoints: str) -> re.Pattern[str]:
    return re.compile(f"/(?:{endpoints})$")


def _complete_path(facts: ProviderFacts, origin: str, path: str) -> str:
    """`path`, or the vendor's where it is the start of that: anywhere for an empty path, at the
    vendor's own host for a longer one."""
    if facts.sdk_path and not _VERSION.search(path):
        return path + facts.sdk_path
    vendors_origin, whole = _split_path(facts.address or "")
    is_vendor = origin.lower() == vendors_origin
    if not is_vendor and (path or _VARIABLE.search(whole)):
        return path
    if (urlsplit(origin).hostname or "") in facts.unversioned_hosts:
        return path
    given, wanted = path.split("/"), whole.split("/")
    if len(given) >= len(wanted) or not all(map(_is_segment, given, wanted)):
        return path
    return "/".join([*given, *wanted[len(given) :]])


def _is_segment(given: str, wanted: str) -> bool:
    return given == wanted or _VARIABLE.fullmatch(wanted) is not None
