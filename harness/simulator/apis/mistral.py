"""Mistral's chat completions, `POST /mistral/v1/chat/completions`: OpenAI's format with rules of
its own.

What surprises: the seed is `random_seed`, and a forced tool call is `any`; ids of calls are nine
letters and digits; an unknown key is a 422; a stream always reports usage, in its last chunk;
thinking is a part of the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from harness.simulator.apis.http import ApiError, ApiResponse, StreamFrame
from harness.simulator.apis.openai import requests
from harness.simulator.apis.openai.checks import parse_json_object
from harness.simulator.apis.openai.responses import DONE, interleave_choices, logprob_fields
from harness.simulator.model.rng import stable_digest
from harness.simulator.model.types import Completion, Reply, TokenEvent

KNOWN = frozenset({
    "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed",
    "metadata", "response_format",
    "tools", "tool_choice", "presence_penalty", "frequency_penalty", "min_tokens",
    "repetition_penalty", "top_k", "logprobs",
    "top_logprobs", "prompt_logprobs", "top_prompt_logprobs", "n", "prediction",
    "parallel_tool_calls", "reasoning_effort",
    "prompt_mode", "guardrails", "prompt_cache_key", "service_tier", "safe_prompt",
})  # fmt: skip
MAX_TEMPERATURE = 1.5
IDENTIFIER = re.compile(r"[a-zA-Z0-9]{9}")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789"


def parse_request(content: bytes) -> requests.Request:
    """Validate a body; raises `ApiError`."""
    body = parse_json_object(content)
    unknown = sorted(set(body) - KNOWN)
    if unknown:
        raise ApiError(422, "extra_forbidden", "Extra inputs are not permitted", unknown[0])
    if (
        isinstance(temperature := body.get("temperature"), int | float)
        and temperature > MAX_TEMPERATURE
    ):
        message = f"Input should be less than or equal to {MAX_TEMPERATURE}"
        raise ApiError(422, "less_than_equal", message, "temperature")
    _check_call_ids(body.get("messages"))
    renamed = {key: value for key, value in body.items() if key != "random_seed"}
    renamed["seed"] = body.get("random_seed")
    if body.get("tool_choice") == "any":
        renamed["tool_choice"] = "required"
    try:
        return requests.parse_request(orjson.dumps(renamed), strict=False)
    except ApiError as api_error:
        raise ApiError(422, api_error.code, api_error.message, api_error.param) from api_error


def _check_call_ids(messages: Any) -> None:
    for message in messages if isinstance(messages, list) else ():
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        ids = (
            [call.get("id") for call in calls if isinstance(call, dict)]
            if isinstance(calls, list)
            else []
        )
        if isinstance(message, dict) and message.get("role") == "tool":
            ids.append(message.get("tool_call_id"))
        for identifier in ids:
            if not isinstance(identifier, str) or not IDENTIFIER.fullmatch(identifier):
                text = (
                    f"Tool call id was {identifier} but must be a-z, A-Z, 0-9, with a length of 9."
                )
                raise ApiError(400, "invalid_request_message_order", text)


def render_response(request: requests.Request, reply: Reply) -> ApiResponse:
    """The answer as one JSON object."""
    choices = [
        _choice_fields(request, reply, index, completion)
        for index, completion in enumerate(reply.completions)
    ]
    return ApiResponse(
        200,
        (),
        orjson.dumps(
            _common_fields(request, reply, "chat.completion")
            | {
                "choices": choices,
                "usage": _usage_fields(reply),
            }
        ),
    )


def render_stream(request: requests.Request, reply: Reply) -> ApiResponse:
    """The answer as chunks: a role per choice, one per token or call, an end per choice with the
    usage, `[DONE]`."""
    count = len(reply.completions)
    frames = [
        _stream_chunk(request, reply, 0, _delta_choice(index, {"role": "assistant", "content": ""}))
        for index in range(count)
    ]
    for index, event in interleave_choices(reply):
        completion = reply.completions[index]
        if (delta := _token_delta(reply, index, event)) is not None:
            logprobs = (
                _logprob_fields(request, completion, range(event.place, event.place + 1))
                if event.kind == "text"
                else None
            )
            frames.append(
                _stream_chunk(
                    request,
                    reply,
                    event.step,
                    _delta_choice(index, delta) | ({"logprobs": logprobs} if logprobs else {}),
                )
            )
    for index, completion in enumerate(reply.completions):
        frames.append(
            _stream_chunk(
                request,
                reply,
                reply.steps,
                _delta_choice(index, {"content": ""}, completion.finish),
                _usage_fields(reply),
            )
        )
    return ApiResponse(200, (), frames=(*frames, StreamFrame(reply.steps, DONE)))


def render_error(api_error: ApiError) -> ApiResponse:
    """Mistral's error object; for an invalid body a list of what is wrong where."""
    detail = [
        {
            "type": api_error.code,
            "loc": ["body", *(api_error.param or "").split(".")],
            "msg": api_error.message,
        }
    ]
    error = {
        "object": "error",
        "message": {"detail": detail} if api_error.status == 422 else api_error.message,
        "type": "invalid_request_error" if api_error.status < 500 else "service_unavailable",
        "param": None,
        "code": None if api_error.status == 422 else api_error.code,
    }
    return ApiResponse(api_error.status, (), orjson.dumps(error))


def error_for_status(status: int, code: str | None, message: str | None) -> ApiError:
    """The error of an injected status."""
    known = {
        401: ("1000", "Unauthorized"),
        429: ("1300", "Rate limit exceeded"),
        503: ("3505", "Service unavailable."),
    }
    number, text = known.get(status, ("3000", "The request failed."))
    return ApiError(status, code or number, message or text)


def _common_fields(request: requests.Request, reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": reply.request_id.replace("-", ""),
        "object": kind,
        "created": reply.created,
        "model": request.prompt.model,
    }


def _usage_fields(reply: Reply) -> dict[str, Any]:
    read_, written = reply.prompt_tokens, reply.completion_tokens
    return {"prompt_tokens": read_, "completion_tokens": written, "total_tokens": read_ + written}


def _choice_fields(
    request: requests.Request, reply: Reply, index: int, completion: Completion
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": completion.text, "tool_calls": None}
    if completion.thoughts:
        message["content"] = [
            _thinking_part(completion.thought),
            {"type": "text", "text": completion.text},
        ]
    if completion.calls:
        message["tool_calls"] = list(_tool_calls(reply, index, completion))
    logprobs = _logprob_fields(request, completion, range(len(completion.pieces)))
    return {"index": index, "message": message, "finish_reason": completion.finish} | (
        {"logprobs": logprobs} if logprobs else {}
    )


def _token_delta(reply: Reply, index: int, event: TokenEvent) -> dict[str, Any] | None:
    """What a token adds; a call comes whole, with the last of its arguments."""
    completion = reply.completions[index]
    match event.kind:
        case "thought":
            return {"content": [_thinking_part(event.piece)]}
        case "text":
            return {"content": event.piece}
        case _:
            calls = list(_tool_calls(reply, index, completion))
            if event.step != _call_end_step(completion, event.place):
                return None
            return {"tool_calls": [{**calls[event.place], "index": event.place}]}


def _call_end_step(completion: Completion, place: int) -> int:
    """The step at which a call is complete."""
    before = len(completion.thoughts) + len(completion.pieces)
    return before + sum(1 + len(call.pieces) for call in completion.calls[: place + 1])


def _thinking_part(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _tool_calls(reply: Reply, choice: int, completion: Completion) -> Iterator[dict[str, Any]]:
    for place, call in enumerate(completion.calls):
        identifier = "".join(
            ALPHABET[octet % len(ALPHABET)]
            for octet in stable_digest(reply.request_id, choice, place)[:9]
        )
        yield {
            "id": identifier,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }


def _logprob_fields(
    request: requests.Request, completion: Completion, places: range
) -> dict[str, Any] | None:
    if request.prompt.logprobs is None or not completion.logprobs:
        return None
    return {
        "content": [
            logprob_fields(completion.pieces[place], *completion.logprobs[place])
            for place in places
        ]
    }


def _delta_choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def _stream_chunk(
    request: requests.Request,
    reply: Reply,
    step: int,
    choice: dict[str, Any],
    total: dict[str, Any] | None = None,
) -> StreamFrame:
    data = (
        _common_fields(request, reply, "chat.completion.chunk")
        | {"choices": [choice]}
        | ({"usage": total} if total else {})
    )
    return StreamFrame(step, b"data: " + orjson.dumps(data) + b"\n\n")
