"""Responses of OpenAI's Responses API, whole and streamed.

A stream is a sequence of typed, numbered events for each part of each output item (added, parts,
deltas, done), and ends with the whole response. Reasoning comes as a summary, if one was asked for,
and encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.http import ApiResponse, StreamFrame
from harness.simulator.apis.openai.responses import (
    logprob_fields,
    padding_text,
    response_headers,
    tool_call_id,
)
from harness.simulator.apis.openai_responses.items import seal_reasoning
from harness.simulator.apis.openai_responses.requests import Request
from harness.simulator.model.rng import random_octets, stable_digest
from harness.simulator.model.types import Call, Completion, Reply

Fields = dict[str, Any]
ResponseEvent = tuple[int, str, Fields]
"""An event: the decoding step it is sent after, its type, its fields."""


def render_response(request: Request, reply: Reply) -> ApiResponse:
    """The answer as one JSON object."""
    return ApiResponse(
        200, response_headers(reply), orjson.dumps(_response_fields(request, reply, finished=True))
    )


def render_stream(request: Request, reply: Reply) -> ApiResponse:
    """The answer as typed events."""
    pads = map(padding_text, random_octets("obfuscation", reply.request_id))
    frames = [
        _render_event(number, event, next(pads) if request.obfuscate else None)
        for number, event in enumerate(_stream_events(request, reply, reply.completions[0]))
    ]
    return ApiResponse(200, response_headers(reply), frames=tuple(frames))


def _render_event(number: int, event: ResponseEvent, pad: str | None) -> StreamFrame:
    step, kind, fields = event
    data = {"type": kind, "sequence_number": number, **fields}
    if pad is not None and kind.endswith(".delta"):
        data["obfuscation"] = pad
    return StreamFrame(
        step, b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
    )


# ── The response ──────────────────────────────────────────────────────────────────────────────────


def _response_fields(request: Request, reply: Reply, *, finished: bool) -> Fields:
    body, completion = request.body, reply.completions[0]
    cut = finished and completion.finish == "length"
    return {
        "id": f"resp_{reply.request_id.replace('-', '')}",
        "object": "response",
        "created_at": reply.created,
        "status": _item_status(completion) if finished else "in_progress",
        "background": False,
        "completed_at": reply.created if finished and not cut else None,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": request.prompt.model,
        "output": [part.done for part in _output_items(request, reply, completion)]
        if finished
        else [],
        "parallel_tool_calls": request.prompt.parallel,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None} | (body.get("reasoning") or {}),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": request.prompt.sampling.temperature,
        "text": {"format": {"type": "text"}, "verbosity": "medium"} | (body.get("text") or {}),
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [
            {"description": None, "strict": True, **tool} for tool in body.get("tools") or []
        ],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": 1.0 if body.get("top_p") is None else body["top_p"],
        "truncation": body.get("truncation") or "disabled",
        "usage": _usage_fields(reply) if finished else None,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _usage_fields(reply: Reply) -> Fields:
    return {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": reply.thought_tokens},
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _item_status(completion: Completion) -> str:
    return "incomplete" if completion.finish == "length" else "completed"


# ── Its items ─────────────────────────────────────────────────────────────────────────────────────


class OutputItem(NamedTuple):
    """An output item: as it opens, as it ends, and the events between, given the step before its
    first token."""

    opened: Fields
    done: Fields
    between: Callable[[int, Fields], Iterator[ResponseEvent]]
    tokens: int


def _output_items(request: Request, reply: Reply, completion: Completion) -> Iterator[OutputItem]:
    if completion.thoughts:
        yield _reasoning_item(request, reply, completion)
    if completion.pieces or not (completion.thoughts or completion.calls):
        yield _message_item(request, reply, completion)
    for place, call in enumerate(completion.calls):
        last = place == len(completion.calls) - 1
        yield _call_item(reply, call, place, _item_status(completion) if last else "completed")


def _reasoning_item(request: Request, reply: Reply, completion: Completion) -> OutputItem:
    opened: Fields = {"id": _item_id("rs", reply, 0), "type": "reasoning", "summary": []}
    text = {"type": "summary_text", "text": completion.thought}
    summary = [text] if request.summarise else []

    def between(step: int, place: Fields) -> Iterator[ResponseEvent]:
        if not request.summarise:
            return
        at = {**place, "summary_index": 0}
        kind = "response.reasoning_summary"
        yield step + 1, f"{kind}_part.added", {**at, "part": {"type": "summary_text", "text": ""}}
        for number, piece in enumerate(completion.thoughts, step + 1):
            yield number, f"{kind}_text.delta", {**at, "delta": piece}
        step += len(completion.thoughts)
        yield step, f"{kind}_text.done", {**at, "text": completion.thought}
        yield step, f"{kind}_part.done", {**at, "part": text}

    done = {**opened, "summary": summary, "encrypted_content": seal_reasoning(completion.thought)}
    return OutputItem(opened, done, between, len(completion.thoughts))


def _message_item(request: Request, reply: Reply, completion: Completion) -> OutputItem:
    opened: Fields = {
        "id": _item_id("msg", reply, 0),
        "type": "message",
        "status": "in_progress",
        "role": "assistant",
        "content": [],
    }
    logprobs = _message_logprobs(request, completion)
    text: Fields = {
        "type": "output_text",
        "text": completion.text,
        "annotations": [],
        "logprobs": logprobs,
    }

    def between(step: int, place: Fields) -> Iterator[ResponseEvent]:
        at = {**place, "content_index": 0}
        yield (
            step + 1,
            "response.content_part.added",
            {**at, "part": {**text, "text": "", "logprobs": []}},
        )
        for index, piece in enumerate(completion.pieces):
            delta = {"delta": piece, "logprobs": logprobs[index : index + 1]}
            yield step + 1 + index, "response.output_text.delta", {**at, **delta}
        step += len(completion.pieces)
        yield (
            step,
            "response.output_text.done",
            {**at, "text": completion.text, "logprobs": logprobs},
        )
        yield step, "response.content_part.done", {**at, "part": text}

    return OutputItem(
        opened,
        {**opened, "status": _item_status(completion), "content": [text]},
        between,
        len(completion.pieces),
    )


def _call_item(reply: Reply, call: Call, place: int, status: str) -> OutputItem:
    opened: Fields = {
        "id": _item_id("fc", reply, place),
        "type": "function_call",
        "status": "in_progress",
        "arguments": "",
        "call_id": tool_call_id(reply, 0, place),
        "name": call.name,
    }

    def between(step: int, at: Fields) -> Iterator[ResponseEvent]:
        kind = "response.function_call_arguments"
        for number, piece in enumerate(call.pieces, step + 2):
            yield number, f"{kind}.delta", {**at, "delta": piece}
        yield step + 1 + len(call.pieces), f"{kind}.done", {**at, "arguments": call.arguments}

    return OutputItem(
        opened,
        {**opened, "status": status, "arguments": call.arguments},
        between,
        1 + len(call.pieces),
    )


def _message_logprobs(request: Request, completion: Completion) -> list[Fields]:
    if request.prompt.logprobs is None:
        return []
    return [
        logprob_fields(piece, *chances)
        for piece, chances in zip(completion.pieces, completion.logprobs, strict=True)
    ]


def _item_id(kind: str, reply: Reply, place: int) -> str:
    return f"{kind}_{stable_digest(reply.request_id, kind, place).hex()}"


# ── Its stream ────────────────────────────────────────────────────────────────────────────────────


def _stream_events(
    request: Request, reply: Reply, completion: Completion
) -> Iterator[ResponseEvent]:
    begun = _response_fields(request, reply, finished=False)
    yield 0, "response.created", {"response": begun}
    yield 0, "response.in_progress", {"response": begun}
    step = 0
    for index, part in enumerate(_output_items(request, reply, completion)):
        first = min(step + 1, reply.steps)
        yield first, "response.output_item.added", {"output_index": index, "item": part.opened}
        yield from part.between(step, {"item_id": part.opened["id"], "output_index": index})
        step += part.tokens
        yield step, "response.output_item.done", {"output_index": index, "item": part.done}
    yield (
        reply.steps,
        f"response.{_item_status(completion)}",
        {"response": _response_fields(request, reply, finished=True)},
    )
