"""Sends a body as it should go: whole when its last token is due, or each event when its own is.

Events whose time has already come leave in one write, so an overloaded simulator falls behind its schedule by as little as
it can, and one without latency answers a stream in a single write.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.simulator.model.requests import ApiResponse, StreamFrame
from harness.simulator.server.response_stream import ResponseWriter

JSON = ("content-type", "application/json")
STREAM = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))


def http_headers(body: ApiResponse) -> tuple[tuple[str, str], ...]:
    """The headers of a body: of events or of JSON, unless it says itself what it is."""
    usual = (JSON,) if body.frames is None else STREAM
    told = any(name == "content-type" for name, _ in body.headers)
    return (*(pair for pair in usual if not told or pair[0] != "content-type"), *body.headers)


async def send_response(writer: ResponseWriter, body: ApiResponse, offsets: Sequence[float]) -> None:
    """Send all of `body`; `offsets` are the seconds after arrival at which each decoding step is done."""
    if body.frames is None:
        await writer.wait_until(offsets[-1])
        await writer.start(body.status, http_headers(body), len(body.content))
        await writer.finish(body.content)
        return
    await writer.start(body.status, http_headers(body))
    await send_frames(writer, body.frames, offsets)
    await writer.finish()


async def send_frames(writer: ResponseWriter, frames: Sequence[StreamFrame], offsets: Sequence[float]) -> None:
    """Send each frame when it is due, until the client leaves."""
    sent = 0
    while sent < len(frames) and not writer.client_gone:
        await writer.wait_until(offsets[frames[sent].step])
        due = _last_due(frames, offsets, sent + 1, writer.elapsed())
        await writer.write(b"".join(frame.data for frame in frames[sent:due]), events=due - sent)
        sent = due


def _last_due(frames: Sequence[StreamFrame], offsets: Sequence[float], start: int, now: float) -> int:
    """The index after the last frame from `start` on whose time has come."""
    while start < len(frames) and offsets[frames[start].step] <= now:
        start += 1
    return start
