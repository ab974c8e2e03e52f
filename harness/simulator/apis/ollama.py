"""Ollama's native API, `POST /api/chat`.

What surprises: it streams by default, one JSON object per line; it ignores unknown keys; calls have
no ids, so a result belongs to the first open call of its function; arguments are an object and come
in one piece; an error is a plain text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import orjson

from harness.simulator.apis.http import ApiError, ApiResponse, StreamFrame
from harness.simulator.model.images import decode_base64
from harness.simulator.model.tokenizer import tokenize
from harness.simulator.model.types import (
    Call,
    Completion,
    Function,
    Prompt,
    Reply,
    Sampling,
    TokenEvent,
    Turn,
    token_events,
)

NDJSON = (("content-type", "application/x-ndjson"),)
ROLES = ("system", "user", "assistant", "tool")
OPTIONS: dict[str, tuple[type, ...]] = {
    "temperature": (int, float),
    "top_p": (int, float),
    "min_p": (int, float),
    "repeat_penalty": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "top_k": (int,),
    "seed": (int,),
    "num_predict": (int,),
    "num_ctx": (int,),
}
NANOSECONDS_A_TOKEN = 10_000_000

Value = TypeVar("Value")


class Request(NamedTuple):
    """A parsed request: what to answer, and whether to stream."""

    prompt: Prompt
    stream: bool


def parse_request(content: bytes) -> Request:
    """Validate a body; raises `ApiError`."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, None, f"invalid JSON: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("model"), str) or not body["model"]:
        raise ApiError(400, None, "model is required")
    likeliest = _get_typed(body, "top_logprobs", int, 0)
    prompt = Prompt(
        body["model"],
        _parse_messages(_get_typed(body, "messages", list, [])),
        _parse_options(_get_typed(body, "options", dict, {})),
        _response_schema(body.get("format")),
        functions=tuple(_parse_function(tool) for tool in _get_typed(body, "tools", list, [])),
        reasoning=bool(body.get("think")),
        logprobs=likeliest if body.get("logprobs") else None,
    )
    return Request(prompt, stream=body.get("stream") is not False)


def render_response(request: Request, reply: Reply) -> ApiResponse:
    """The answer as one JSON object."""
    completion = reply.completions[0]
    message: dict[str, Any] = {"role": "assistant", "content": completion.text}
    if completion.thoughts:
        message["thinking"] = completion.thought
    if calls := [_tool_call(call) for call in _complete_calls(completion)]:
        message["tool_calls"] = calls
    logprobs = (
        {"logprobs": _logprob_fields(completion, range(len(completion.pieces)))}
        if request.prompt.logprobs is not None
        else {}
    )
    return ApiResponse(
        200,
        (),
        _json_line(
            request, reply, {"message": message, **logprobs, **_final_fields(reply, completion)}
        ),
    )


def render_stream(request: Request, reply: Reply) -> ApiResponse:
    """The answer in lines: one per token, one per call, and a last one with the figures."""
    completion = reply.completions[0]
    frames = [
        StreamFrame(event.step, _json_line(request, reply, fields))
        for event, fields in _stream_messages(request, completion)
    ]
    closing = {"message": {"role": "assistant", "content": ""}, **_final_fields(reply, completion)}
    return ApiResponse(
        200, NDJSON, frames=(*frames, StreamFrame(reply.steps, _json_line(request, reply, closing)))
    )


def render_error(api_error: ApiError) -> ApiResponse:
    """Ollama's error object: a text."""
    return ApiResponse(
        api_error.status, (), orjson.dumps({"error": api_error.message}), event_prefix=b""
    )


def error_for_status(status: int, code: str | None, message: str | None) -> ApiError:
    """The error of an injected status."""
    return ApiError(status, code, message or FAILURES.get(status, "the request failed"))


FAILURES = {
    401: "unauthorized",
    404: "model not found, try pulling it first",
    500: "model runner has unexpectedly stopped",
    503: "server busy, please try again. maximum pending requests exceeded",
}


# ── Reading ───────────────────────────────────────────────────────────────────────────────────────


def _get_typed(fields: dict[str, Any], name: str, kind: type[Value], otherwise: Value) -> Value:
    """The value at `name`, or the default if it is null or missing; raises `ApiError` for another
    type."""
    value = fields.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise ApiError(
            400, None, f"json: cannot unmarshal {name} into a value of type {kind.__name__}"
        )
    return otherwise if value is None else value


def _parse_messages(messages: list[Any]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    waiting: list[Call] = []
    for index, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise ApiError(
                400, None, f"invalid role: {role!r} (must be one of system, user, assistant, tool)"
            )
        if role == "tool":
            text = _get_typed(message, "content", str, "")
            turns.append(
                Turn("tool", text, call_id=_match_tool_result(waiting, message.get("tool_name")))
            )
            continue
        called = _get_typed(message, "tool_calls", list, [])
        calls = tuple(
            _parse_tool_call(call, f"call_{index}_{place}") for place, call in enumerate(called)
        )
        waiting = list(calls) or waiting
        images = tuple(
            decode_base64(image)
            for image in _parse_strings(_get_typed(message, "images", list, []), "images")
        )
        turns.append(Turn(role, _get_typed(message, "content", str, ""), images, calls))
    return tuple(turns)


def _parse_tool_call(call: Any, identifier: str) -> Call:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), dict):
        raise ApiError(
            400, None, "json: cannot unmarshal tool_calls.function.arguments into an object"
        )
    return Call(
        str(function.get("name")),
        tuple(tokenize(json.dumps(function["arguments"], ensure_ascii=False))),
        identifier,
    )


def _match_tool_result(waiting: list[Call], name: Any) -> str | None:
    """The id of the open call that a result belongs to, which is open no longer."""
    found = next((call for call in waiting if name in (None, call.name)), None)
    if found is None:
        return None
    waiting.remove(found)
    return found.id


def _parse_options(options: dict[str, Any]) -> Sampling:
    for name, kinds in OPTIONS.items():
        value = options.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise ApiError(
                400,
                None,
                f'option "{name}" must be of type {"integer" if kinds == (int,) else "float32"}',
            )
    limit = options.get("num_predict")
    stop = options.get("stop") or []
    temperature = options.get("temperature")
    return Sampling(
        temperature=0.8 if temperature is None else float(temperature),
        top_k=options.get("top_k", 40) or None,
        top_p=options.get("top_p", 0.9),
        seed=options.get("seed"),
        max_tokens=limit if limit is not None and limit >= 0 else None,
        stop=_parse_strings([stop] if isinstance(stop, str) else stop, "stop"),
        min_p=options.get("min_p"),
        frequency_penalty=options.get("frequency_penalty") or 0.0,
        presence_penalty=options.get("presence_penalty") or 0.0,
        repetition_penalty=options.get("repeat_penalty") or 1.0,
    )


def _parse_strings(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(
        isinstance(value, str) and value for value in values
    ):
        raise ApiError(400, None, f'option "{name}" must be an array of strings')
    return tuple(values)


def _response_schema(response_format: Any) -> dict[str, Any] | None:
    if response_format in (None, ""):
        return None
    if response_format == "json":
        return {}
    if not isinstance(response_format, dict):
        raise ApiError(
            400,
            None,
            f'invalid format: {response_format!r}; expected "json" or a valid JSON Schema object',
        )
    return response_format


def _parse_function(tool: Any) -> Function:
    inner = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise ApiError(400, None, "json: cannot unmarshal tools.function into a function")
    schema = _get_typed(inner, "parameters", dict, {})
    return Function(
        inner["name"], _get_typed(inner, "description", str, ""), schema or {"type": "object"}
    )


# ── Answering ─────────────────────────────────────────────────────────────────────────────────────


def _stream_messages(
    request: Request, completion: Completion
) -> Iterator[tuple[TokenEvent, dict[str, Any]]]:
    readable = _complete_calls(completion)
    for event in token_events(completion):
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        logprobs: dict[str, Any] = {}
        if event.kind == "thought":
            message["thinking"] = event.piece
        elif event.kind == "text":
            message["content"] = event.piece
            if request.prompt.logprobs is not None:
                logprobs = {
                    "logprobs": _logprob_fields(completion, range(event.place, event.place + 1))
                }
        elif event.kind == "call" and event.place < len(readable):
            message["tool_calls"] = [_tool_call(readable[event.place])]
        else:
            continue
        yield event, {"message": message, **logprobs, "done": False}


def _complete_calls(completion: Completion) -> list[Call]:
    """The calls, without one whose arguments the token limit cut."""
    return list(completion.calls if completion.finish == "tool_calls" else completion.calls[:-1])


def _tool_call(call: Call) -> dict[str, Any]:
    return {"function": {"name": call.name, "arguments": json.loads(call.arguments)}}


def _logprob_fields(completion: Completion, places: range) -> list[dict[str, Any]]:
    return [
        {
            **_token_logprob(completion.pieces[place], own),
            "top_logprobs": [_token_logprob(*other) for other in top],
        }
        for place in places
        for own, top in (completion.logprobs[place],)
    ]


def _token_logprob(piece: str, chance: float) -> dict[str, Any]:
    return {"token": piece, "logprob": chance}


def _final_fields(reply: Reply, completion: Completion) -> dict[str, Any]:
    read_, written = reply.prompt_tokens, reply.completion_tokens
    return {
        "done": True,
        "done_reason": "length" if completion.finish == "length" else "stop",
        "total_duration": (read_ + written) * NANOSECONDS_A_TOKEN,
        "load_duration": 0,
        "prompt_eval_count": read_,
        "prompt_eval_duration": read_ * NANOSECONDS_A_TOKEN,
        "eval_count": written,
        "eval_duration": written * NANOSECONDS_A_TOKEN,
    }


def _json_line(request: Request, reply: Reply, fields: dict[str, Any]) -> bytes:
    moment = datetime.fromtimestamp(reply.created, UTC).isoformat().replace("+00:00", "Z")
    return orjson.dumps({"model": request.prompt.model, "created_at": moment, **fields}) + b"\n"
