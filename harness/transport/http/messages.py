"""The parts of one exchange: the request as sent, and the timestamps of its events."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
from msgspec import Struct


class Arrivals(Struct):
    """When things happened to one exchange, in `perf_counter_ns`; filled while it goes on.

    `protocol` says that the stamps were taken as the bytes arrived, not when a task came round to
    read them.
    """

    connected: int | None = None
    sent: int | None = None
    first_byte: int | None = None
    done: int | None = None
    protocol: bool = True


class RequestTemplate:
    """The method, URL and headers that all requests of a target share, encoded once.

    Raises httpx.LocalProtocolError for a line break smuggled into a header.
    """

    __slots__ = ("head", "headers", "method", "url")

    def __init__(self, method: str, url: httpx.URL, headers: Iterable[tuple[str, str]]) -> None:
        self.method = method
        self.url = url
        self.headers = [
            (b"Host", url.netloc),
            *((name.encode("ascii"), value.encode("latin-1")) for name, value in headers),
        ]
        lines = [
            b"%b %b HTTP/1.1" % (method.encode("ascii"), url.raw_path),
            *(b"%b: %b" % each for each in self.headers),
        ]
        self.head = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if (
            self.head.count(b"\n") != breaks
            or self.head.count(b"\r") != breaks
            or b"\0" in self.head
        ):
            raise httpx.LocalProtocolError("a request header contains a line break or a NUL")


class OutgoingRequest(Struct):
    """One request; `identifier` becomes its X-Client-Request-Id and must be ASCII without line
    breaks."""

    template: RequestTemplate
    identifier: str
    body: bytes
