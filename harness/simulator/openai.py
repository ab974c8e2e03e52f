"""OpenAI's chat completions, `POST …/chat/completions`, and Cloudflare's endpoint of the same shape.

What surprises: OpenAI refuses a key it does not know (Cloudflare's endpoint does not); a stream opens with a role and no
text, reports usage only when asked and then as null in every other chunk, and pads each chunk with `obfuscation`.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any, NamedTuple

import orjson

from harness.simulator.chance import digest, octets
from harness.simulator.nouns import Answer, Body, Frame, Prompt, Refusal, Reply, Sampling, Turn
from harness.simulator.pictures import of_data_uri
from harness.simulator.tokens import count_prompt

CONTEXT = 131_000
DEFAULT_TEMPERATURE = 1.0
DONE = b"data: [DONE]\n\n"
PADDING = "9fX2kQ7mZr4LwTb8VsHd1NcYp6GjA3Ee"
ROLES = ("developer", "system", "user", "assistant", "tool", "function")
MAX_STOPS = 4


class Range(NamedTuple):
    """What is allowed for a number."""

    kind: str
    low: float
    high: float


RANGES: dict[str, Range] = {
    "temperature": Range("decimal", 0, 2),
    "top_p": Range("decimal", 0, 1),
    "frequency_penalty": Range("decimal", -2, 2),
    "presence_penalty": Range("decimal", -2, 2),
    "n": Range("integer", 1, 128),
    "max_tokens": Range("integer", 1, math.inf),
    "max_completion_tokens": Range("integer", 1, math.inf),
    "seed": Range("integer", -(2**63), 2**63 - 1),
}
KNOWN = frozenset(RANGES) | {
    "model", "messages", "stream", "stream_options", "stop", "response_format", "tools", "tool_choice", "parallel_tool_calls",
    "reasoning_effort", "verbosity", "service_tier", "prompt_cache_key", "safety_identifier", "metadata", "store", "prediction",
    "modalities", "user", "logprobs", "logit_bias",
}  # fmt: skip


class Request(NamedTuple):
    """One chat request: what to answer, how often, and how the answer is wrapped."""

    prompt: Prompt
    choices: int
    stream: bool
    include_usage: bool
    obfuscate: bool


def read(content: bytes, *, strict: bool) -> Request:
    """Check a body; raises `Refusal`. `strict` refuses unknown keys, as OpenAI itself does."""
    body = _object(content)
    _check_keys(body, strict)
    _check_ranges(body)
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise _invalid("Invalid 'messages': expected a non-empty array.", "messages", "invalid_type")
    turns = tuple(_turn(message, f"messages[{index}]") for index, message in enumerate(messages))
    prompt = Prompt(_model(body), turns, _sampling(body), _schema(body))
    _check_context(prompt)
    options = body.get("stream_options") or {}
    return Request(
        prompt,
        choices=body.get("n") or 1,
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        obfuscate=options.get("include_obfuscation") is not False,
    )


def whole(request: Request, reply: Reply) -> Body:
    """The answer in one piece."""
    choices = [_choice(index, answer) for index, answer in enumerate(reply.answers)]
    body = _base(request, reply, "chat.completion") | {"choices": choices, "usage": usage(reply), "service_tier": "default"}
    return Body(200, headers(reply), orjson.dumps(body))


def streamed(request: Request, reply: Reply) -> Body:
    """The answer as chunks: a role a choice, one a token, a finish a choice, usage if asked for, `[DONE]`."""
    frames: list[Frame] = []
    pads = map(padding, octets("obfuscation", reply.request_id)) if request.obfuscate else repeat(None)

    def chunk(step: int, choices: list[dict[str, Any]], total: dict[str, Any] | None = None) -> None:
        frames.append(Frame(step, _chunk(request, reply, next(pads), choices, total)))

    for index in range(len(reply.answers)):
        chunk(0, [_delta(index, {"role": "assistant", "content": "", "refusal": None})])
    for step, index, piece in _interleaved(reply):
        chunk(step, [_delta(index, {"content": piece})])
    for index, answer in enumerate(reply.answers):
        chunk(reply.steps, [_delta(index, {}, answer.finish)])
    if request.include_usage:
        chunk(reply.steps, [], usage(reply))
    frames.append(Frame(reply.steps, DONE))
    return Body(200, headers(reply), frames=tuple(frames))


def usage(reply: Reply) -> dict[str, Any]:
    """Tokens in OpenAI's words."""
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def headers(reply: Reply) -> tuple[tuple[str, str], ...]:
    """What comes with every answer."""
    return (("x-request-id", f"req_{reply.request_id.replace('-', '')}"), ("openai-version", "2020-10-01"))


def refused(refusal: Refusal, request_id: str) -> Body:
    """OpenAI's error object."""
    error = {
        "message": refusal.message,
        "type": _error_type(refusal),
        "param": refusal.param,
        "code": refusal.code,
    }
    return Body(refusal.status, (("x-request-id", f"req_{request_id.replace('-', '')}"),), orjson.dumps({"error": error}))


def failure(status: int, code: str | None, message: str | None) -> Refusal:
    """The error an injected status stands for."""
    known_code, text = FAILURES.get(status, ("server_error" if status >= 500 else None, "The request failed."))
    return Refusal(status, code or known_code, message or text)


FAILURES: dict[int, tuple[str | None, str]] = {
    400: ("invalid_value", "The request was refused (injected)."),
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("permission_denied", "You are not allowed to use this model."),
    404: ("model_not_found", "The model does not exist or you do not have access to it."),
    408: ("timeout", "The request timed out."),
    413: ("request_too_large", "The request is too large."),
    429: ("rate_limit_exceeded", "Rate limit reached for requests per min (RPM). Please try again later."),
    500: ("server_error", "The server had an error while processing your request."),
    503: ("server_error", "The engine is currently overloaded, please try again later."),
}


def padding(octet: int) -> str:
    """A meaningless string, between 1 and 32 long."""
    return PADDING[: 1 + octet % len(PADDING)]


def models(ids: tuple[str, ...]) -> bytes:
    """The body of `GET /v1/models`."""
    data = [{"id": model, "object": "model", "created": 1_743_811_200, "owned_by": "evalharness"} for model in ids]
    return orjson.dumps({"object": "list", "data": data})


def _error_type(refusal: Refusal) -> str:
    if refusal.code == "insufficient_quota":
        return "insufficient_quota"
    if refusal.status == 429:
        return "requests"
    return "server_error" if refusal.status >= 500 else "invalid_request_error"


def _base(request: Request, reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply.request_id.replace('-', '')}",
        "object": kind,
        "created": reply.created,
        "model": request.prompt.model,
        "system_fingerprint": f"fp_{digest(request.prompt.model).hex()[:10]}",
    }


def _choice(index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish}


def _delta(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _interleaved(reply: Reply) -> list[tuple[int, int, str]]:
    """(step, choice, piece) in the order decoding side by side produces them."""
    pieces = [(step, index, piece) for index, answer in enumerate(reply.answers) for step, piece in enumerate(answer.pieces, 1)]
    return sorted(pieces, key=lambda item: item[:2])


def _chunk(
    request: Request, reply: Reply, pad: str | None, choices: list[dict[str, Any]], total: dict[str, Any] | None
) -> bytes:
    data = _base(request, reply, "chat.completion.chunk") | {"choices": choices}
    if request.include_usage:
        data["usage"] = total
    if pad is not None:
        data["obfuscation"] = pad
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"We could not parse the JSON body of your request: {error}.", None, None) from error
    if not isinstance(body, dict):
        raise _invalid("We expected a JSON object in the body of your request.", None, None)
    return body


def _invalid(message: str, param: str | None, code: str | None) -> Refusal:
    return Refusal(400, code, message, param)


def _check_keys(body: dict[str, Any], strict: bool) -> None:
    for key in ("model", "messages"):
        if body.get(key) is None:
            raise _invalid(f"Missing required parameter: '{key}'.", key, "missing_required_parameter")
    unknown = sorted(set(body) - KNOWN) if strict else []
    if unknown:
        raise _invalid(f"Unknown parameter: '{unknown[0]}'.", unknown[0], "unknown_parameter")
    for key in ("logprobs", "logit_bias"):
        if body.get(key):
            raise _invalid(f"Unsupported parameter: '{key}' is not supported with this model.", key, "unsupported_parameter")
    if "stream_options" in body and body.get("stream") is not True and body["stream_options"] is not None:
        raise _invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", "invalid_value"
        )


def _check_ranges(body: dict[str, Any]) -> None:
    for key, allowed in RANGES.items():
        value = body.get(key)
        if value is None:
            continue
        accepted = (int,) if allowed.kind == "integer" else (int, float)
        if isinstance(value, bool) or not isinstance(value, accepted):
            named = "an integer" if allowed.kind == "integer" else "a decimal"
            raise _invalid(
                f"Invalid type for '{key}': expected {named}, but got {_type_name(value)} instead.", key, "invalid_type"
            )
        _check_bounds(key, value, allowed)


def _check_bounds(key: str, value: float, allowed: Range) -> None:
    if value < allowed.low:
        side, sign, bound = "below_min", ">=", allowed.low
    elif value > allowed.high:
        side, sign, bound = "above_max", "<=", allowed.high
    else:
        return
    words = side.replace("_", " ").replace("min", "minimum").replace("max", "maximum")
    raise _invalid(
        f"Invalid '{key}': {allowed.kind} {words} value. Expected a value {sign} {bound:g}, but got {value} instead.",
        key,
        f"{allowed.kind}_{side}_value",
    )


def _type_name(value: Any) -> str:
    names = {
        dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a decimal"
    }  # fmt: skip
    return names.get(type(value), "null")


def _model(body: dict[str, Any]) -> str:
    model = body["model"]
    if not isinstance(model, str) or not model:
        raise _invalid("Invalid type for 'model': expected a string.", "model", "invalid_type")
    return model


def _turn(message: Any, place: str) -> Turn:
    if not isinstance(message, dict):
        raise _invalid(f"Invalid type for '{place}': expected an object.", place, "invalid_type")
    role = message.get("role")
    if role not in ROLES:
        supported = ", ".join(f"'{name}'" for name in ROLES)
        raise _invalid(f"Invalid value: '{role}'. Supported values are: {supported}.", f"{place}.role", "invalid_value")
    content = message.get("content")
    if content is None and role != "assistant":
        raise _invalid(f"Missing required parameter: '{place}.content'.", f"{place}.content", "missing_required_parameter")
    if content is None or isinstance(content, str):
        return Turn(role, content or "")
    if not isinstance(content, list):
        raise _invalid(
            f"Invalid type for '{place}.content': expected one of a string or array of objects, but got"
            f" {_type_name(content)} instead.",
            f"{place}.content",
            "invalid_type",
        )
    return _turn_of_parts(role, content, f"{place}.content")


def _turn_of_parts(role: str, parts: list[Any], place: str) -> Turn:
    texts: list[str] = []
    images: list[bytes] = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url":
            images.append(_image(part["image_url"]))
        else:
            raise _invalid(f"Invalid value for '{place}[{index}].type': '{kind}'.", f"{place}[{index}].type", "invalid_value")
    return Turn(role, "\n".join(texts), tuple(images))


def _image(source: Any) -> bytes:
    """The file in an image part; empty where it is only named: the simulator fetches nothing."""
    uri = source.get("url") if isinstance(source, dict) else None
    return of_data_uri(uri) if isinstance(uri, str) else b""


def _sampling(body: dict[str, Any]) -> Sampling:
    temperature = body.get("temperature")
    top_k = body.get("top_k")
    return Sampling(
        temperature=DEFAULT_TEMPERATURE if temperature is None else float(temperature),
        top_k=top_k if isinstance(top_k, int) and top_k > 0 else None,
        top_p=body.get("top_p"),
        seed=body.get("seed"),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=_stops(body.get("stop")),
    )


def _stops(stop: Any) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or len(stops) > MAX_STOPS or not all(isinstance(item, str) and item for item in stops):
        raise _invalid("Invalid 'stop': expected a string or an array of up to 4 strings.", "stop", "invalid_type")
    return tuple(stops)


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    form = body.get("response_format")
    if form is None or (isinstance(form, dict) and form.get("type") == "text"):
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_object":
        return {}
    if kind != "json_schema":
        raise _invalid(
            f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.",
            "response_format.type",
            "invalid_value",
        )
    wrapped = form.get("json_schema")
    if not isinstance(wrapped, dict) or not wrapped.get("name"):
        place = "response_format.json_schema.name"
        raise _invalid(f"Missing required parameter: '{place}'.", place, "missing_required_parameter")
    return dict(wrapped.get("schema") or {})


def _check_context(prompt: Prompt) -> None:
    wanted = count_prompt(prompt.turns) + (prompt.sampling.max_tokens or 0)
    if wanted > CONTEXT:
        raise _invalid(
            f"This model's maximum context length is {CONTEXT} tokens. However, you requested {wanted} tokens.",
            "messages",
            "context_length_exceeded",
        )
