"""A request on its way out: what all requests of a target have in common is made once, what differs is filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx


class RequestTemplate:
    """The method, URL and headers of one target's requests. Raises httpx.LocalProtocolError as `encode_head` does."""

    __slots__ = ("head", "headers", "method", "url")

    def __init__(self, method: str, url: httpx.URL, headers: Iterable[tuple[str, str]]) -> None:
        self.method = method
        self.url = url
        self.headers = [(b"Host", url.netloc), *((name.encode("ascii"), value.encode("latin-1")) for name, value in headers)]
        self.head = encode_head(method, url, self.headers)


@dataclass(slots=True)
class OutgoingRequest:
    """One request; `identifier` becomes its X-Client-Request-Id and must be ASCII without line breaks."""

    template: RequestTemplate
    identifier: str
    body: bytes

    def to_bytes(self) -> bytes:
        """The whole request as HTTP/1.1 has it."""
        own = (len(self.body), self.identifier.encode("ascii"))
        return b"%b\r\nContent-Length: %d\r\nX-Client-Request-Id: %b\r\n\r\n%b" % (self.template.head, *own, self.body)

    def to_httpx(self, extensions: Mapping[str, Any]) -> httpx.Request:
        """The same for any httpx transport."""
        own = [(b"Content-Length", b"%d" % len(self.body)), (b"X-Client-Request-Id", self.identifier.encode("ascii"))]
        made, stream = self.template, httpx.ByteStream(self.body)
        return httpx.Request(made.method, made.url, headers=[*made.headers, *own], stream=stream, extensions=dict(extensions))


def encode_head(method: str, url: httpx.URL, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The request line and headers, up to the last line's end. Raises httpx.LocalProtocolError for a line break smuggled in."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), url.raw_path), *(b"%b: %b" % header for header in headers)]
    joined = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if joined.count(b"\n") != breaks or joined.count(b"\r") != breaks or b"\0" in joined:
        raise httpx.LocalProtocolError("a header of the request holds a line break or a NUL")
    return joined
