"""Performs a fault on a response that would have been fine; `harness.simulator.server.fault_rules` says what each kind does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from harness.simulator.apis.adapters import Dialect
from harness.simulator.model.requests import Body, Frame
from harness.simulator.server.delivery import JSON, deliver, head, send_frames
from harness.simulator.server.fault_rules import Fault
from harness.simulator.server.response_stream import Line

PAGE = (
    b"<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
PARTS_OF_A_WHOLE = 8


class Words(NamedTuple):
    """How this request's format says things: its dialect, and the request's id."""

    dialect: Dialect
    request_id: str

    def error(self, fault: Fault) -> Body:
        """The fault's status, code and message as the format words them."""
        return self.dialect.refused(self.dialect.failure(fault.status, fault.code, fault.message), self.request_id)


async def perform(line: Line, fault: Fault, words: Words, body: Body, offsets: Sequence[float]) -> None:
    """Send what is left of `body` once `fault` has happened to it."""
    match fault.kind:
        case "status" | "html":
            await _instead(line, fault, words)
        case "empty":
            await _empty(line, words, body)
        case "slow":
            await deliver(line, body, [offsets[0], *(offset + fault.seconds for offset in offsets[1:])])
        case "hang" if fault.after is None:
            await line.left()
        case _:
            await _part_way(line, fault, words, body, offsets)


async def _instead(line: Line, fault: Fault, words: Words) -> None:
    """Another answer in its place: an error in the format's words, or a proxy's page."""
    if fault.kind == "html":
        content: bytes = PAGE % (fault.status, fault.status)
        await line.start(fault.status, (("content-type", "text/html"), *fault.headers.items()), len(content))
    else:
        error = words.error(fault)
        content = error.content
        await line.start(fault.status, (JSON, *error.headers, *fault.headers.items()), len(content))
    await line.finish(content)


async def _empty(line: Line, words: Words, body: Body) -> None:
    if body.frames is not None:
        await line.start(200, head(body))
        await line.finish()
        return
    content = words.dialect.empty()
    await line.start(200, head(body), len(content))
    await line.finish(content)


async def _part_way(line: Line, fault: Fault, words: Words, body: Body, offsets: Sequence[float]) -> None:
    """The headers and some events as they should be, then the fault."""
    frames = parts(body)
    kept = 0 if fault.kind == "drip" else len(frames) // 2 if fault.after is None else min(fault.after, len(frames))
    short = fault.kind == "cut" and fault.how == "short_length"
    await line.start(
        body.status,
        head(body),
        sum(len(frame.data) for frame in frames) if short else None,
    )
    await send_frames(line, frames[:kept], offsets)
    rest = b"".join(frame.data for frame in frames[kept:])
    match fault.kind:
        case "hang":
            await line.left()
        case "drip":
            await _drip(line, rest, fault.seconds)
        case "ping":
            await _ping(line, fault.seconds)
        case "error_event":
            await line.write(words.error(fault).event)
            await line.finish()
        case "cut":
            await _cut(line, fault.how, frames[kept].data if kept < len(frames) else b"")


def parts(body: Body) -> tuple[Frame, ...]:
    """The events of a stream, or a whole body in eighths that leave with its first token."""
    if body.frames is not None:
        return body.frames
    size = max(len(body.content) // PARTS_OF_A_WHOLE, 1)
    return tuple(Frame(1, body.content[at : at + size]) for at in range(0, len(body.content), size))


async def _drip(line: Line, data: bytes, seconds: float) -> None:
    for index in range(len(data)):
        if line.gone:
            return
        await line.write(data[index : index + 1], events=0)
        await asyncio.sleep(seconds)
    await line.finish()


async def _ping(line: Line, seconds: float) -> None:
    while not line.gone:
        await line.write(b": ping\n\n", events=0)
        await asyncio.sleep(seconds)


async def _cut(line: Line, how: str, following: bytes) -> None:
    match how:
        case "clean":
            await line.finish()
        case "half_event":
            await line.finish(following[: len(following) // 2])
        case "short_length":
            await line.close()
        case "in_chunk":
            await line.close(b"%x\r\n" % max(len(following), 1) + following[: len(following) // 2])
        case "reset":
            await line.reset()
