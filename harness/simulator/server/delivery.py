"""Sends a body as it should go: whole when its last token is due, or each event when its own is.

Events whose time has already come leave in one write, so an overloaded simulator falls behind its schedule by as little as
it can, and one without latency answers a stream in a single write.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.simulator.model.requests import Body, Frame
from harness.simulator.server.response_stream import Line

JSON = ("content-type", "application/json")
STREAM = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))


def head(body: Body) -> tuple[tuple[str, str], ...]:
    """The headers of a body: of events or of JSON, unless it says itself what it is."""
    usual = (JSON,) if body.frames is None else STREAM
    told = any(name == "content-type" for name, _ in body.headers)
    return (*(pair for pair in usual if not told or pair[0] != "content-type"), *body.headers)


async def deliver(line: Line, body: Body, offsets: Sequence[float]) -> None:
    """Send all of `body`; `offsets` are the seconds after arrival at which each decoding step is done."""
    if body.frames is None:
        await line.wait_until(offsets[-1])
        await line.start(body.status, head(body), len(body.content))
        await line.finish(body.content)
        return
    await line.start(body.status, head(body))
    await send_frames(line, body.frames, offsets)
    await line.finish()


async def send_frames(line: Line, frames: Sequence[Frame], offsets: Sequence[float]) -> None:
    """Send each frame when it is due, until the client leaves."""
    sent = 0
    while sent < len(frames) and not line.gone:
        await line.wait_until(offsets[frames[sent].step])
        due = _due(frames, offsets, sent + 1, line.elapsed())
        await line.write(b"".join(frame.data for frame in frames[sent:due]), events=due - sent)
        sent = due


def _due(frames: Sequence[Frame], offsets: Sequence[float], start: int, now: float) -> int:
    """The index after the last frame from `start` on whose time has come."""
    while start < len(frames) and offsets[frames[start].step] <= now:
        start += 1
    return start
