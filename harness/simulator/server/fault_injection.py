"""Fault injection: spoils a response that would have been fine; `fault_rules` lists the kinds of
faults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from harness.simulator.apis.http import ApiResponse, StreamFrame
from harness.simulator.server.delivery import (
    JSON,
    ResponseWriter,
    http_headers,
    send_frames,
    send_response,
)
from harness.simulator.server.fault_rules import Fault

HTML_PAGE = (
    b"<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n<center><h1>%d</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
PARTS_OF_A_WHOLE = 8


class Replacements(NamedTuple):
    """What the API sends instead of the response: an error, or the body of a success without an
    answer."""

    error: ApiResponse
    empty: bytes


async def inject_fault(
    writer: ResponseWriter,
    fault: Fault,
    response: ApiResponse,
    offsets: Sequence[float],
    replacements: Replacements,
) -> None:
    """Send what the fault leaves of `response`, or what replaces it."""
    match fault.kind:
        case "status":
            error = replacements.error
            await _send_whole(
                writer, fault.status, (JSON, *error.headers, *fault.headers.items()), error.content
            )
        case "html":
            headers = (("content-type", "text/html"), *fault.headers.items())
            await _send_whole(
                writer, fault.status, headers, HTML_PAGE % (fault.status, fault.status)
            )
        case "empty" if response.frames is None:
            await _send_whole(writer, 200, http_headers(response), replacements.empty)
        case "empty":
            await writer.start(200, http_headers(response))
            await writer.finish()
        case "slow":
            await send_response(
                writer, response, [offsets[0], *(offset + fault.seconds for offset in offsets[1:])]
            )
        case "hang" if fault.after is None:
            await writer.wait_closed()
        case _:
            await _interrupt_response(writer, fault, response, offsets, replacements.error)


async def _send_whole(
    writer: ResponseWriter, status: int, headers: tuple[tuple[str, str], ...], content: bytes
) -> None:
    await writer.start(status, headers, len(content))
    await writer.finish(content)


async def _interrupt_response(
    writer: ResponseWriter,
    fault: Fault,
    response: ApiResponse,
    offsets: Sequence[float],
    error: ApiResponse,
) -> None:
    """Send the headers and the first events as they should be, then the fault."""
    frames = split_response(response)
    kept = (
        0
        if fault.kind == "drip"
        else len(frames) // 2
        if fault.after is None
        else min(fault.after, len(frames))
    )
    promises_length = fault.kind == "cut" and fault.how == "short_length"
    length = sum(len(frame.data) for frame in frames) if promises_length else None
    await writer.start(response.status, http_headers(response), length)
    await send_frames(writer, frames[:kept], offsets)
    match fault.kind:
        case "hang":
            await writer.wait_closed()
        case "drip":
            await _send_bytewise(
                writer, b"".join(frame.data for frame in frames[kept:]), fault.seconds
            )
        case "ping":
            while not writer.client_gone:
                await writer.write(b": ping\n\n", events=0)
                await asyncio.sleep(fault.seconds)
        case "error_event":
            await writer.write(error.error_event)
            await writer.finish()
        case "cut":
            await _cut_response(writer, fault.how, frames[kept].data if kept < len(frames) else b"")


def split_response(response: ApiResponse) -> tuple[StreamFrame, ...]:
    """The events of a stream, or a whole body in eighths that are sent with its first token."""
    if response.frames is not None:
        return response.frames
    content = response.content
    size = max(len(content) // PARTS_OF_A_WHOLE, 1)
    return tuple(
        StreamFrame(1, content[start : start + size]) for start in range(0, len(content), size)
    )


async def _send_bytewise(writer: ResponseWriter, data: bytes, seconds: float) -> None:
    for index in range(len(data)):
        if writer.client_gone:
            return
        await writer.write(data[index : index + 1], events=0)
        await asyncio.sleep(seconds)
    await writer.finish()


async def _cut_response(writer: ResponseWriter, how: str, next_frame: bytes) -> None:
    half = next_frame[: len(next_frame) // 2]
    match how:
        case "clean":
            await writer.finish()
        case "half_event":
            await writer.finish(half)
        case "short_length":
            await writer.close()
        case "in_chunk":
            await writer.close(b"%x\r\n" % max(len(next_frame), 1) + half)
        case "reset":
            await writer.reset()
