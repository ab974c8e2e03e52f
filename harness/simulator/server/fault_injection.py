"""Performs a fault on a response that would have been fine; `harness.simulator.server.fault_rules` says what each kind does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from harness.simulator.apis.adapters import ApiAdapter
from harness.simulator.apis.http import ApiResponse, StreamFrame
from harness.simulator.server.delivery import JSON, ResponseWriter, http_headers, send_frames, send_response
from harness.simulator.server.fault_rules import Fault

PAGE = (
    b"<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
PARTS_OF_A_WHOLE = 8


class ErrorWording(NamedTuple):
    """How this request's format says things: its adapter, and the request's id."""

    adapter: ApiAdapter
    request_id: str

    def render_fault(self, fault: Fault) -> ApiResponse:
        """The fault's status, code and message as the format words them."""
        return self.adapter.render_error(
            self.adapter.error_for_status(fault.status, fault.code, fault.message), self.request_id
        )


async def inject_fault(
    writer: ResponseWriter, fault: Fault, words: ErrorWording, body: ApiResponse, offsets: Sequence[float]
) -> None:
    """Send what is left of `body` once `fault` has happened to it."""
    match fault.kind:
        case "status" | "html":
            await _send_replacement(writer, fault, words)
        case "empty":
            await _send_empty(writer, words, body)
        case "slow":
            await send_response(writer, body, [offsets[0], *(offset + fault.seconds for offset in offsets[1:])])
        case "hang" if fault.after is None:
            await writer.wait_closed()
        case _:
            await _interrupt_response(writer, fault, words, body, offsets)


async def _send_replacement(writer: ResponseWriter, fault: Fault, words: ErrorWording) -> None:
    """Another answer in its place: an error in the format's words, or a proxy's page."""
    if fault.kind == "html":
        content: bytes = PAGE % (fault.status, fault.status)
        await writer.start(fault.status, (("content-type", "text/html"), *fault.headers.items()), len(content))
    else:
        error = words.render_fault(fault)
        content = error.content
        await writer.start(fault.status, (JSON, *error.headers, *fault.headers.items()), len(content))
    await writer.finish(content)


async def _send_empty(writer: ResponseWriter, words: ErrorWording, body: ApiResponse) -> None:
    if body.frames is not None:
        await writer.start(200, http_headers(body))
        await writer.finish()
        return
    content = words.adapter.render_empty()
    await writer.start(200, http_headers(body), len(content))
    await writer.finish(content)


async def _interrupt_response(
    writer: ResponseWriter, fault: Fault, words: ErrorWording, body: ApiResponse, offsets: Sequence[float]
) -> None:
    """The headers and some events as they should be, then the fault."""
    frames = split_response(body)
    kept = 0 if fault.kind == "drip" else len(frames) // 2 if fault.after is None else min(fault.after, len(frames))
    short = fault.kind == "cut" and fault.how == "short_length"
    await writer.start(
        body.status,
        http_headers(body),
        sum(len(frame.data) for frame in frames) if short else None,
    )
    await send_frames(writer, frames[:kept], offsets)
    rest = b"".join(frame.data for frame in frames[kept:])
    match fault.kind:
        case "hang":
            await writer.wait_closed()
        case "drip":
            await _send_bytewise(writer, rest, fault.seconds)
        case "ping":
            await _send_comments(writer, fault.seconds)
        case "error_event":
            await writer.write(words.render_fault(fault).event)
            await writer.finish()
        case "cut":
            await _cut_response(writer, fault.how, frames[kept].data if kept < len(frames) else b"")


def split_response(body: ApiResponse) -> tuple[StreamFrame, ...]:
    """The events of a stream, or a whole body in eighths that leave with its first token."""
    if body.frames is not None:
        return body.frames
    size = max(len(body.content) // PARTS_OF_A_WHOLE, 1)
    return tuple(StreamFrame(1, body.content[at : at + size]) for at in range(0, len(body.content), size))


async def _send_bytewise(writer: ResponseWriter, data: bytes, seconds: float) -> None:
    for index in range(len(data)):
        if writer.client_gone:
            return
        await writer.write(data[index : index + 1], events=0)
        await asyncio.sleep(seconds)
    await writer.finish()


async def _send_comments(writer: ResponseWriter, seconds: float) -> None:
    while not writer.client_gone:
        await writer.write(b": ping\n\n", events=0)
        await asyncio.sleep(seconds)


async def _cut_response(writer: ResponseWriter, how: str, following: bytes) -> None:
    match how:
        case "clean":
            await writer.finish()
        case "half_event":
            await writer.finish(following[: len(following) // 2])
        case "short_length":
            await writer.close()
        case "in_chunk":
            await writer.close(b"%x\r\n" % max(len(following), 1) + following[: len(following) // 2])
        case "reset":
            await writer.reset()
