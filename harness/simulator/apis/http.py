"""What the server and the API adapters exchange: a request, a response, the frames of a stream, an
error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

HeaderLookup = Callable[[bytes], str | None]
"""Finds a request header by its name in lower case."""


class ApiRequest(NamedTuple):
    """What an adapter reads of an HTTP request, apart from the path that selected it."""

    body: bytes
    query: str = ""
    get_header: HeaderLookup = lambda name: None


class StreamFrame(NamedTuple):
    """One event of a stream and the decoding step it is sent after: 0 = at once, n = with the n-th
    token."""

    step: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response before faults and latency: `frames` when streamed, else `content`.

    An error can also break off a stream that has begun: `event_prefix` comes before it, and
    `event_data` replaces its `content` where the API words it otherwise there.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes = b""
    frames: tuple[StreamFrame, ...] | None = None
    event_prefix: bytes = b"data: "
    event_data: bytes | None = None

    @property
    def error_event(self) -> bytes:
        """An error as the event that breaks off a stream."""
        return (
            self.event_prefix
            + (self.content if self.event_data is None else self.event_data)
            + b"\n\n"
        )


class ApiError(Exception):
    """The request breaks the API's contract; the adapter renders it as its API does.

    `code` is Cloudflare's integer or OpenAI's string; `param` names the offending field, where the
    API does.
    """

    def __init__(
        self, status: int, code: int | str | None, message: str, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
