"""Responses of OpenAI's chat completions, whole and streamed.

What surprises: a stream opens with a role and no text, reports usage only on request and then as
null in every other chunk, and pads each chunk with `obfuscation`. Reasoning is in
`reasoning_content` (vLLM: `reasoning`), as open servers of the format send it.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import orjson

from harness.simulator.apis.http import ApiResponse, StreamFrame
from harness.simulator.apis.openai.requests import Request
from harness.simulator.model.rng import random_octets, stable_digest
from harness.simulator.model.types import Call, Completion, Reply, TokenEvent, token_events

DONE = b"data: [DONE]\n\n"
PADDING = "9fX2kQ7mZr4LwTb8VsHd1NcYp6GjA3Ee"


def render_response(request: Request, reply: Reply) -> ApiResponse:
    """The answer as one JSON object."""
    choices = [
        _choice_fields(request, reply, index, completion)
        for index, completion in enumerate(reply.completions)
    ]
    body = _common_fields(request, reply, "chat.completion") | {
        "choices": choices,
        "usage": usage_fields(reply),
        "service_tier": "default",
    }
    return ApiResponse(200, response_headers(reply), orjson.dumps(body))


def render_stream(request: Request, reply: Reply) -> ApiResponse:
    """The answer as chunks: a role per choice, one per token, a finish per choice, usage on
    request, `[DONE]`."""
    frames: list[StreamFrame] = []
    pads = (
        map(padding_text, random_octets("obfuscation", reply.request_id))
        if request.obfuscate
        else repeat(None)
    )

    def chunk(
        step: int, choices: list[dict[str, Any]], total: dict[str, Any] | None = None
    ) -> None:
        frames.append(StreamFrame(step, _stream_chunk(request, reply, next(pads), choices, total)))

    for index, completion in enumerate(reply.completions):
        chunk(
            0,
            [
                _delta_choice(
                    index,
                    {
                        "role": "assistant",
                        "content": None if completion.calls else "",
                        "refusal": None,
                    },
                )
            ],
        )
    for index, event in interleave_choices(reply):
        chunk(event.step, [_token_choice(request, reply, index, event)])
    for index, completion in enumerate(reply.completions):
        chunk(reply.steps, [_delta_choice(index, {}, finish=completion.finish)])
    if request.include_usage:
        chunk(reply.steps, [], usage_fields(reply))
    frames.append(StreamFrame(reply.steps, DONE))
    return ApiResponse(200, response_headers(reply), frames=tuple(frames))


def usage_fields(reply: Reply) -> dict[str, Any]:
    """Token counts in OpenAI's terms."""
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reply.thought_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def response_headers(reply: Reply) -> tuple[tuple[str, str], ...]:
    """The headers of every answer."""
    return (
        ("x-request-id", f"req_{reply.request_id.replace('-', '')}"),
        ("openai-version", "2020-10-01"),
    )


def padding_text(octet: int) -> str:
    """A meaningless text of 1 to 32 characters."""
    return PADDING[: 1 + octet % len(PADDING)]


def logprob_fields(piece: str, chance: float, top: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    """The log probability of a token, and those of its likeliest alternatives."""
    return {
        **_token_logprob(piece, chance),
        "top_logprobs": [_token_logprob(*other) for other in top],
    }


def tool_call_id(reply: Reply, choice: int, place: int) -> str:
    """A unique id for a call."""
    return f"call_{stable_digest(reply.request_id, choice, place).hex()[:24]}"


def _token_logprob(piece: str, chance: float) -> dict[str, Any]:
    return {"token": piece, "logprob": chance, "bytes": list(piece.encode("utf-8", "replace"))}


def _common_fields(request: Request, reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply.request_id.replace('-', '')}",
        "object": kind,
        "created": reply.created,
        "model": request.prompt.model,
        "system_fingerprint": f"fp_{stable_digest(request.prompt.model).hex()[:10]}",
    }


def _choice_fields(
    request: Request, reply: Reply, index: int, completion: Completion
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": completion.text,
        "refusal": None,
        "annotations": [],
    }
    if completion.thoughts:
        message[request.thought_field] = completion.thought
    if completion.calls:
        message["content"] = None
        message["tool_calls"] = [
            _tool_call(call, tool_call_id(reply, index, place))
            for place, call in enumerate(completion.calls)
        ]
    logprobs = (
        _choice_logprobs(completion, range(len(completion.pieces)))
        if _wants_logprobs(request, completion)
        else None
    )
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": completion.finish,
    }


def _tool_call(call: Call, identifier: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _wants_logprobs(request: Request, completion: Completion) -> bool:
    return request.prompt.logprobs is not None and not completion.calls


def _choice_logprobs(completion: Completion, places: range) -> dict[str, Any]:
    content = [
        logprob_fields(completion.pieces[place], *completion.logprobs[place]) for place in places
    ]
    return {"content": content, "refusal": None}


def _token_choice(request: Request, reply: Reply, index: int, event: TokenEvent) -> dict[str, Any]:
    """The choice of a chunk with one token."""
    completion = reply.completions[index]
    match event.kind:
        case "thought":
            return _delta_choice(index, {request.thought_field: event.piece})
        case "text":
            logprobs = (
                _choice_logprobs(completion, range(event.place, event.place + 1))
                if _wants_logprobs(request, completion)
                else None
            )
            return _delta_choice(index, {"content": event.piece}, logprobs)
        case "call":
            opening = _tool_call(Call(event.piece, ()), tool_call_id(reply, index, event.place))
            return _delta_choice(index, {"tool_calls": [{"index": event.place, **opening}]})
        case "arguments":
            return _delta_choice(
                index,
                {"tool_calls": [{"index": event.place, "function": {"arguments": event.piece}}]},
            )


def _delta_choice(
    index: int,
    delta: dict[str, Any],
    logprobs: dict[str, Any] | None = None,
    finish: str | None = None,
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def interleave_choices(reply: Reply) -> list[tuple[int, TokenEvent]]:
    """The tokens of all choices in the order of parallel decoding."""
    tokens = [
        (index, event)
        for index, completion in enumerate(reply.completions)
        for event in token_events(completion)
    ]
    return sorted(tokens, key=lambda token: (token[1].step, token[0]))


def _stream_chunk(
    request: Request,
    reply: Reply,
    pad: str | None,
    choices: list[dict[str, Any]],
    total: dict[str, Any] | None,
) -> bytes:
    data = _common_fields(request, reply, "chat.completion.chunk") | {"choices": choices}
    if request.include_usage:
        data["usage"] = total
    if pad is not None:
        data["obfuscation"] = pad
    return b"data: " + orjson.dumps(data) + b"\n\n"
