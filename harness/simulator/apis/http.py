"""What an API adapter hands to the server: a response, the frames of a stream, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class StreamFrame(NamedTuple):
    """One SSE event and the decoding step it leaves after: 0 = at once, n = with the n-th token."""

    step: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response before faults and latency: `frames` when streamed, else `content`.

    `opening` is what comes before an error where a stream breaks off with it: before `broken_off`, or else its content.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes = b""
    frames: tuple[StreamFrame, ...] | None = None
    opening: bytes = b"data: "
    broken_off: bytes | None = None

    @property
    def event(self) -> bytes:
        """An error as the event that a stream breaks off with."""
        return self.opening + (self.content if self.broken_off is None else self.broken_off) + b"\n\n"


class ApiError(Exception):
    """The request breaks the contract; each wire format renders it its own way.

    `code` is Cloudflare's integer or OpenAI's string; `param` is only OpenAI's.
    """

    def __init__(self, status: int, code: int | str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
