"""Anthropic's Messages API: answers, whole and streamed, and errors.

What surprises: an answer is a list of blocks and a stream opens and closes each; there is a ping after the first; thinking is
signed, and what is signed is found out again from the text; `input_tokens` leaves cached tokens out (here none ever are).
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import orjson

from harness.simulator.model.chance import digest
from harness.simulator.model.requests import Answer, Body, Call, Frame, Refusal, Reply
from harness.simulator.model.timeline import Event, events

ORGANIZATION = "00000000-0000-4000-8000-000000000000"
LIMITS = {"requests": 4_000, "tokens": 480_000, "input-tokens": 400_000, "output-tokens": 80_000}
"""What the rate-limit headers say may be asked a minute; nothing is ever held to it."""

STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
FAILURES: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request was refused (injected)."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your account's balance does not cover this request."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    405: ("invalid_request_error", "Method Not Allowed"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out while processing."),
    529: ("overloaded_error", "Overloaded"),
}


def whole(model: str, reply: Reply) -> Body:
    """The answer in one piece."""
    (answer,) = reply.answers
    message = _message(model, reply) | {"content": _content(reply, answer), **_end(answer), "usage": usage(reply)}
    return Body(200, headers(reply), orjson.dumps(message))


def streamed(model: str, reply: Reply) -> Body:
    """The answer as events: its blocks one after the other, each opened, told a token at a time, and closed."""
    (answer,) = reply.answers
    opening = _message(model, reply) | {"content": [], "stop_reason": None, "stop_sequence": None}
    opening["usage"] = usage(reply) | {"output_tokens": min(1, reply.completion_tokens), "output_tokens_details": None}
    frames = [_frame(0, "message_start", message=opening)]
    blocks = _blocks(reply, answer)
    ping = _frame(0, "ping")
    frames += [*blocks[:1], ping, *blocks[1:]]
    frames.append(_frame(reply.steps, "message_delta", delta=_end(answer), usage=usage(reply)))
    frames.append(_frame(reply.steps, "message_stop"))
    return Body(200, headers(reply), frames=tuple(frames))


def usage(reply: Reply) -> dict[str, Any]:
    """Tokens in Anthropic's words."""
    return {
        "input_tokens": reply.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"thinking_tokens": reply.thought_tokens},
        "service_tier": "standard",
    }


def headers(reply: Reply) -> tuple[tuple[str, str], ...]:
    """What comes with every answer; what remains of the tokens is rounded to thousands."""
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
        limits += [(f"{name}-limit", str(limit)), (f"{name}-remaining", str(left)), (f"{name}-reset", reset)]
    return (("request-id", request_name(reply.request_id)), ("anthropic-organization-id", ORGANIZATION), *limits)


def request_name(request_id: str) -> str:
    """The id of a request as Anthropic writes it."""
    return f"req_{request_id.replace('-', '')}"


def refused(refusal: Refusal, request_id: str) -> Body:
    """Anthropic's error object; within a stream it is the event `error`."""
    name = request_name(request_id)
    kind = refusal.code if isinstance(refusal.code, str) else failure(refusal.status, None, None).code
    body = {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": name}
    return Body(refusal.status, (("request-id", name),), orjson.dumps(body), opening=b"event: error\ndata: ")


def failure(status: int, code: str | None, message: str | None) -> Refusal:
    """The error an injected status stands for."""
    kind, text = FAILURES.get(
        status, ("api_error" if status >= 500 else "invalid_request_error", "The request failed (injected).")
    )
    return Refusal(status, code or kind, message or text)


def _signature(answer: Answer) -> str:
    """Of an answer's thinking; the token limit may have cut it before it was signed."""
    is_cut = answer.finish == "length" and not answer.pieces and not answer.calls
    return "" if is_cut else signature(answer.thought)


def signature(thought: str) -> str:
    """What shows that a thought comes back as it was told."""
    return b64encode(digest("thinking", thought)).decode()


# ── A message ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _message(model: str, reply: Reply) -> dict[str, Any]:
    name = f"msg_{digest('message', reply.request_id).hex()[:24]}"
    return {"id": name, "type": "message", "role": "assistant", "model": model}


def _end(answer: Answer) -> dict[str, Any]:
    reason = "stop_sequence" if answer.stopped_by is not None else STOP_REASONS[answer.finish]
    return {"stop_reason": reason, "stop_sequence": answer.stopped_by}


def _content(reply: Reply, answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thoughts:
        blocks.append({"type": "thinking", "thinking": answer.thought, "signature": _signature(answer)})
    if answer.pieces:
        blocks.append({"type": "text", "text": answer.text})
    return blocks + [_call(reply, place, call) | {"input": _input(call)} for place, call in enumerate(answer.calls)]


def _call(reply: Reply, place: int, call: Call) -> dict[str, Any]:
    name = f"toolu_{digest('call', reply.request_id, place).hex()[:24]}"
    return {"type": "tool_use", "id": name, "name": call.name, "input": {}}


def _input(call: Call) -> Any:
    """The arguments; nothing is known of those that the token limit broke off."""
    try:
        return orjson.loads(call.arguments)
    except orjson.JSONDecodeError:
        return {}


# ── Its events ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _blocks(reply: Reply, answer: Answer) -> list[Frame]:
    frames: list[Frame] = []
    index, current = -1, ("", -1)
    for event in events(answer):
        block = ("call", event.place) if event.kind in ("call", "arguments") else (event.kind, 0)
        if block != current:
            frames += _closing(answer, index, current, event.step - 1)
            index, current = index + 1, block
            opening = _call(reply, event.place, answer.calls[event.place]) if event.kind == "call" else _EMPTY[event.kind]
            frames.append(_frame(event.step - 1, "content_block_start", index=index, content_block=opening))
        frames.append(_frame(event.step, "content_block_delta", index=index, delta=_delta(event)))
    return frames + _closing(answer, index, current, reply.steps)


_EMPTY: dict[str, dict[str, Any]] = {
    "thought": {"type": "thinking", "thinking": "", "signature": ""},
    "text": {"type": "text", "text": ""},
}


def _delta(event: Event) -> dict[str, str]:
    match event.kind:
        case "thought":
            return {"type": "thinking_delta", "thinking": event.piece}
        case "text":
            return {"type": "text_delta", "text": event.piece}
        case "arguments":
            return {"type": "input_json_delta", "partial_json": event.piece}
    return {"type": "input_json_delta", "partial_json": ""}  # a call's first says nothing: its name is in the opening


def _closing(answer: Answer, index: int, block: tuple[str, int], step: int) -> list[Frame]:
    if index < 0:
        return []
    signed = {"type": "signature_delta", "signature": _signature(answer) if block[0] == "thought" else ""}
    last = [_frame(step, "content_block_delta", index=index, delta=signed)] if signed["signature"] else []
    return [*last, _frame(step, "content_block_stop", index=index)]


def _frame(step: int, kind: str, **fields: Any) -> Frame:
    return Frame(step, b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields})))
