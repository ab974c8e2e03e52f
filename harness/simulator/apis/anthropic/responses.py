"""Responses of Anthropic's Messages API, whole and streamed, and its errors.

What surprises: an answer is a list of content blocks, and a stream opens and closes each; a ping
follows the first; thinking is signed (the signature is a digest of the text); `input_tokens`
excludes cached tokens (here there are none).
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import orjson

from harness.simulator.apis.http import ApiError, ApiResponse, StreamFrame
from harness.simulator.model.rng import stable_digest
from harness.simulator.model.types import Call, Completion, Reply, TokenEvent, token_events

ORGANIZATION = "00000000-0000-4000-8000-000000000000"
LIMITS = {"requests": 4_000, "tokens": 480_000, "input-tokens": 400_000, "output-tokens": 80_000}
"""The limits per minute in the rate-limit headers; none is enforced."""

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
FAILURES: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request was refused (injected)."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your account's balance does not cover this request."),
    403: (
        "permission_error",
        "Your API key does not have permission to use the specified resource.",
    ),
    404: ("not_found_error", "Not found"),
    405: ("invalid_request_error", "Method Not Allowed"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit. Please try again later.",
    ),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out while processing."),
    529: ("overloaded_error", "Overloaded"),
}


def render_response(model: str, reply: Reply) -> ApiResponse:
    """The answer as one JSON object."""
    (completion,) = reply.completions
    message = _message_fields(model, reply) | {
        "content": _content_blocks(reply, completion),
        **_stop_fields(completion),
        "usage": usage_fields(reply),
    }
    return ApiResponse(200, response_headers(reply), orjson.dumps(message))


def render_stream(model: str, reply: Reply) -> ApiResponse:
    """The answer as events: its blocks one after the other, each opened, streamed by token, and
    closed."""
    (completion,) = reply.completions
    opening = _message_fields(model, reply) | {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }
    opening["usage"] = usage_fields(reply) | {
        "output_tokens": min(1, reply.completion_tokens),
        "output_tokens_details": None,
    }
    frames = [_stream_event(0, "message_start", message=opening)]
    blocks = _block_events(reply, completion)
    ping = _stream_event(0, "ping")
    frames += [*blocks[:1], ping, *blocks[1:]]
    frames.append(
        _stream_event(
            reply.steps, "message_delta", delta=_stop_fields(completion), usage=usage_fields(reply)
        )
    )
    frames.append(_stream_event(reply.steps, "message_stop"))
    return ApiResponse(200, response_headers(reply), frames=tuple(frames))


def usage_fields(reply: Reply) -> dict[str, Any]:
    """Token counts in Anthropic's terms."""
    return {
        "input_tokens": reply.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"thinking_tokens": reply.thought_tokens},
        "service_tier": "standard",
    }


def response_headers(reply: Reply) -> tuple[tuple[str, str], ...]:
    """The headers of every answer; the remaining tokens are rounded to thousands."""
    reset = datetime.fromtimestamp(reply.created + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    spent = {
        "requests": 1,
        "tokens": reply.prompt_tokens + reply.completion_tokens,
        "input-tokens": reply.prompt_tokens,
        "output-tokens": reply.completion_tokens,
    }
    limits: list[tuple[str, str]] = []
    for what, limit in LIMITS.items():
        left = limit - spent[what] if what == "requests" else round(limit - spent[what], -3)
        name = f"anthropic-ratelimit-{what}"
        limits += [
            (f"{name}-limit", str(limit)),
            (f"{name}-remaining", str(left)),
            (f"{name}-reset", reset),
        ]
    return (
        ("request-id", format_request_id(reply.request_id)),
        ("anthropic-organization-id", ORGANIZATION),
        *limits,
    )


def format_request_id(request_id: str) -> str:
    """The request id in Anthropic's format."""
    return f"req_{request_id.replace('-', '')}"


def render_error(api_error: ApiError, request_id: str) -> ApiResponse:
    """Anthropic's error object; within a stream it is the event `error`."""
    name = format_request_id(request_id)
    kind = (
        api_error.code
        if isinstance(api_error.code, str)
        else error_for_status(api_error.status, None, None).code
    )
    body = {
        "type": "error",
        "error": {"type": kind, "message": api_error.message},
        "request_id": name,
    }
    return ApiResponse(
        api_error.status,
        (("request-id", name),),
        orjson.dumps(body),
        event_prefix=b"event: error\ndata: ",
    )


def error_for_status(status: int, code: str | None, message: str | None) -> ApiError:
    """The error of an injected status."""
    kind, text = FAILURES.get(
        status,
        (
            "api_error" if status >= 500 else "invalid_request_error",
            "The request failed (injected).",
        ),
    )
    return ApiError(status, code or kind, message or text)


def _thinking_signature(completion: Completion) -> str:
    """The signature of an answer's thinking; empty where the token limit cut it."""
    is_cut = completion.finish == "length" and not completion.pieces and not completion.calls
    return "" if is_cut else sign_thinking(completion.thought)


def sign_thinking(thought: str) -> str:
    """The signature by which a thought that comes back altered is recognised."""
    return b64encode(stable_digest("thinking", thought)).decode()


# ── A message ─────────────────────────────────────────────────────────────────────────────────────


def _message_fields(model: str, reply: Reply) -> dict[str, Any]:
    name = f"msg_{stable_digest('message', reply.request_id).hex()[:24]}"
    return {"id": name, "type": "message", "role": "assistant", "model": model}


def _stop_fields(completion: Completion) -> dict[str, Any]:
    reason = (
        "stop_sequence" if completion.stopped_by is not None else STOP_REASONS[completion.finish]
    )
    return {"stop_reason": reason, "stop_sequence": completion.stopped_by}


def _content_blocks(reply: Reply, completion: Completion) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if completion.thoughts:
        blocks.append(
            {
                "type": "thinking",
                "thinking": completion.thought,
                "signature": _thinking_signature(completion),
            }
        )
    if completion.pieces:
        blocks.append({"type": "text", "text": completion.text})
    return blocks + [
        _tool_use_block(reply, place, call) | {"input": _tool_input(call)}
        for place, call in enumerate(completion.calls)
    ]


def _tool_use_block(reply: Reply, place: int, call: Call) -> dict[str, Any]:
    name = f"toolu_{stable_digest('call', reply.request_id, place).hex()[:24]}"
    return {"type": "tool_use", "id": name, "name": call.name, "input": {}}


def _tool_input(call: Call) -> Any:
    """The arguments; an empty object where the token limit cut them."""
    try:
        return orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return {}


# ── Its events ────────────────────────────────────────────────────────────────────────────────────


def _block_events(reply: Reply, completion: Completion) -> list[StreamFrame]:
    frames: list[StreamFrame] = []
    index, current = -1, ("", -1)
    for event in token_events(completion):
        block = ("call", event.place) if event.kind in ("call", "arguments") else (event.kind, 0)
        if block != current:
            frames += _close_block(completion, index, current, event.step - 1)
            index, current = index + 1, block
            opening = (
                _tool_use_block(reply, event.place, completion.calls[event.place])
                if event.kind == "call"
                else _EMPTY_BLOCKS[event.kind]
            )
            frames.append(
                _stream_event(
                    event.step - 1, "content_block_start", index=index, content_block=opening
                )
            )
        frames.append(
            _stream_event(event.step, "content_block_delta", index=index, delta=_block_delta(event))
        )
    return frames + _close_block(completion, index, current, reply.steps)


_EMPTY_BLOCKS: dict[str, dict[str, Any]] = {
    "thought": {"type": "thinking", "thinking": "", "signature": ""},
    "text": {"type": "text", "text": ""},
}


def _block_delta(event: TokenEvent) -> dict[str, str]:
    match event.kind:
        case "thought":
            return {"type": "thinking_delta", "thinking": event.piece}
        case "text":
            return {"type": "text_delta", "text": event.piece}
        case "arguments":
            return {"type": "input_json_delta", "partial_json": event.piece}
    return {
        "type": "input_json_delta",
        "partial_json": "",
    }  # the name of a call is in its opening block


def _close_block(
    completion: Completion, index: int, block: tuple[str, int], step: int
) -> list[StreamFrame]:
    if index < 0:
        return []
    signed = {
        "type": "signature_delta",
        "signature": _thinking_signature(completion) if block[0] == "thought" else "",
    }
    last = (
        [_stream_event(step, "content_block_delta", index=index, delta=signed)]
        if signed["signature"]
        else []
    )
    return [*last, _stream_event(step, "content_block_stop", index=index)]


def _stream_event(step: int, kind: str, **fields: Any) -> StreamFrame:
    return StreamFrame(
        step, b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))
    )
