"""Requests of OpenAI's chat completions, of Cloudflare's and vLLM's endpoints of the same format;
and their errors.

What surprises: OpenAI refuses unknown keys, the other two do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.http import ApiError, ApiResponse
from harness.simulator.apis.openai import tools
from harness.simulator.apis.openai.checks import (
    EFFORTS,
    INT64,
    Range,
    check_chat_request,
    check_context,
    check_enum,
    check_keys,
    check_ranges,
    check_strict,
    invalid_request,
    missing_parameter,
    optional_object,
    parse_json_object,
    required_string,
    unsupported_parameter,
    wrong_type,
)
from harness.simulator.model.images import decode_data_uri
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Prompt, Sampling, Turn

DEFAULT_TEMPERATURE = 1.0
ROLES = ("developer", "system", "user", "assistant", "tool", "function")
MAX_STOPS = 4


RANGES: dict[str, Range] = {
    "temperature": Range("decimal", 0, 2),
    "top_p": Range("decimal", 0, 1),
    "frequency_penalty": Range("decimal", -2, 2),
    "presence_penalty": Range("decimal", -2, 2),
    "n": Range("integer", 1, 128),
    "max_tokens": Range("integer", 1),
    "max_completion_tokens": Range("integer", 1),
    "top_logprobs": Range("integer", 0, 20),
    "seed": Range("integer", -INT64, INT64 - 1),
}
EXTENSIONS: dict[str, Range] = {
    "min_p": Range("decimal", 0, 1),
    "repetition_penalty": Range("decimal", 0),
}
"""Parameters of vLLM; an API that refuses unknown keys never gets to them."""

KNOWN = frozenset(RANGES) | {
    "model", "messages", "stream", "stream_options", "stop", "response_format", "tools",
    "tool_choice", "parallel_tool_calls",
    "reasoning_effort", "verbosity", "service_tier", "prompt_cache_key", "safety_identifier",
    "metadata", "store", "prediction",
    "modalities", "user", "logprobs", "logit_bias", "prompt_cache_options", "audio",
    "web_search_options", "moderation",
}  # fmt: skip


class Request(NamedTuple):
    """A parsed request: what to answer, how often, and in which form."""

    prompt: Prompt
    choices: int
    stream: bool
    include_usage: bool
    obfuscate: bool
    thought_field: str = "reasoning_content"


def parse_request(content: bytes, *, strict: bool) -> Request:
    """Validate a body; raises `ApiError`. `strict` refuses unknown keys, as OpenAI does."""
    body = parse_json_object(content)
    check_keys(body, ("model", "messages"), KNOWN if strict else None)
    check_ranges(body, RANGES | EXTENSIONS)
    if body.get("logit_bias"):
        raise unsupported_parameter("logit_bias")
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise invalid_request(
            "Invalid 'messages': expected a non-empty array.", "messages", "invalid_type"
        )
    turns = tuple(
        _parse_message(message, f"messages[{index}]") for index, message in enumerate(messages)
    )
    if strict:
        tools.check_tool_results(turns)
    prompt = Prompt(
        required_string(body, "model", ""),
        turns,
        _parse_sampling(body, _parse_stops(body.get("stop"), MAX_STOPS if strict else None)),
        _response_schema(body, strict),
        functions=(functions := tools.parse_functions(body)),
        tool_choice=tools.parse_tool_choice(body, functions),
        parallel=body.get("parallel_tool_calls") is not False,
        reasoning=_wants_reasoning(body),
        logprobs=_parse_logprobs(body),
    )
    if strict:
        check_chat_request(prompt.model, body)
    check_context(
        count_prompt(prompt.turns, prompt.functions) + (prompt.sampling.max_tokens or 0), "messages"
    )
    options = optional_object(body, "stream_options")
    return Request(
        prompt,
        choices=body.get("n") or 1,
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
        obfuscate=options.get("include_obfuscation") is not False,
    )


def parse_vllm_request(content: bytes) -> Request:
    """Validate a body as vLLM does: unknown keys pass, and
    `structured_outputs` may hold a schema."""
    request = parse_request(content, strict=False)._replace(thought_field="reasoning")
    body = parse_json_object(content)
    if body.get("top_p") == 0:
        raise invalid_request("top_p must be in (0, 1], got 0.", "top_p", None)
    if body.get("repetition_penalty") == 0:
        raise invalid_request(
            "repetition_penalty must be greater than zero, got 0.", "repetition_penalty", None
        )
    schema = optional_object(body, "structured_outputs").get("json")
    return (
        request
        if schema is None
        else request._replace(prompt=replace(request.prompt, schema=schema))
    )


def parse_llamacpp_request(content: bytes) -> Request:
    """Validate a body as llama-server does: unknown keys pass.

    A schema is read at three places and nowhere else: `json_schema`, `response_format.schema` of
    the type `json_object`, and `response_format.json_schema.schema` of the type `json_schema`.
    """
    body = parse_json_object(content)
    wanted = optional_object(body, "response_format")
    schema = body.get("json_schema")
    if wanted.get("type") == "json_object":
        schema = optional_object(wanted, "schema")
    elif wanted.get("type") == "json_schema":
        schema = optional_object(optional_object(wanted, "json_schema"), "schema")
    read = {**body, "response_format": None, "repetition_penalty": body.get("repeat_penalty")}
    request = parse_request(orjson.dumps(read), strict=False)
    return request._replace(prompt=replace(request.prompt, schema=schema))


def render_error(api_error: ApiError, request_id: str) -> ApiResponse:
    """OpenAI's error object."""
    error = {
        "message": api_error.message,
        "type": _error_type(api_error),
        "param": api_error.param,
        "code": api_error.code,
    }
    return ApiResponse(
        api_error.status,
        (("x-request-id", f"req_{request_id.replace('-', '')}"),),
        orjson.dumps({"error": error}),
    )


def error_for_status(status: int, code: str | None, message: str | None) -> ApiError:
    """The error of an injected status."""
    known_code, text = FAILURES.get(
        status, ("server_error" if status >= 500 else None, "The request failed.")
    )
    return ApiError(status, code or known_code, message or text)


FAILURES: dict[int, tuple[str | None, str]] = {
    400: ("invalid_value", "The request was refused (injected)."),
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("permission_denied", "You are not allowed to use this model."),
    404: ("model_not_found", "The model does not exist or you do not have access to it."),
    408: ("timeout", "The request timed out."),
    413: ("request_too_large", "The request is too large."),
    429: (
        "rate_limit_exceeded",
        "Rate limit reached for requests per min (RPM). Please try again later.",
    ),
    500: ("server_error", "The server had an error while processing your request."),
    503: ("server_error", "The engine is currently overloaded, please try again later."),
}


def render_models(ids: tuple[str, ...]) -> bytes:
    """The body of `GET /v1/models`."""
    data = [
        {"id": model, "object": "model", "created": 1_743_811_200, "owned_by": "evalharness"}
        for model in ids
    ]
    return orjson.dumps({"object": "list", "data": data})


def _error_type(api_error: ApiError) -> str:
    if api_error.code == "insufficient_quota":
        return "insufficient_quota"
    if api_error.status == 429:
        return "requests"
    return "server_error" if api_error.status >= 500 else "invalid_request_error"


def _parse_message(message: Any, place: str) -> Turn:
    if not isinstance(message, dict):
        raise wrong_type(place, "an object", message)
    role = check_enum(message.get("role"), ROLES, f"{place}.role")
    return _parse_content(message, role, place)._replace(
        **tools.parse_turn_tools(message, role, place)
    )


def _parse_content(message: dict[str, Any], role: str, place: str) -> Turn:
    content = message.get("content")
    if content is None and role != "assistant":
        raise missing_parameter(f"{place}.content")
    if content is None or isinstance(content, str):
        return Turn(role, content or "")
    if not isinstance(content, list):
        raise wrong_type(f"{place}.content", "one of a string or array of objects", content)
    return _parse_parts(role, content, f"{place}.content")


def _parse_parts(role: str, parts: list[Any], place: str) -> Turn:
    texts: list[str] = []
    images: list[bytes] = []
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url":
            source = part.get("image_url")
            if not isinstance(source, dict):
                raise wrong_type(f"{place}[{index}].image_url", "an object", source)
            images.append(
                decode_data_uri(required_string(source, "url", f"{place}[{index}].image_url"))
            )
        else:
            raise invalid_request(
                f"Invalid value for '{place}[{index}].type': '{kind}'.",
                f"{place}[{index}].type",
                "invalid_value",
            )
    return Turn(role, "\n".join(texts), tuple(images))


def _parse_sampling(body: dict[str, Any], stops: tuple[str, ...]) -> Sampling:
    temperature = body.get("temperature")
    top_k = body.get("top_k")
    return Sampling(
        temperature=DEFAULT_TEMPERATURE if temperature is None else float(temperature),
        top_k=top_k if isinstance(top_k, int) and top_k > 0 else None,
        top_p=body.get("top_p"),
        seed=body.get("seed"),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=stops,
        min_p=body.get("min_p"),
        frequency_penalty=body.get("frequency_penalty") or 0.0,
        presence_penalty=body.get("presence_penalty") or 0.0,
        repetition_penalty=body.get("repetition_penalty") or 1.0,
    )


def _parse_logprobs(body: dict[str, Any]) -> int | None:
    """How many alternatives to report for each token; None without log probabilities."""
    asked, most = body.get("logprobs"), body.get("top_logprobs")
    if asked is not None and not isinstance(asked, bool):
        raise wrong_type("logprobs", "a boolean", asked)
    if most is not None and not asked:
        raise invalid_request(
            "'top_logprobs' is only allowed when 'logprobs' is enabled.",
            "top_logprobs",
            "invalid_value",
        )
    return (most or 0) if asked else None


def _wants_reasoning(body: dict[str, Any]) -> bool:
    effort = body.get("reasoning_effort")
    return effort is not None and check_enum(effort, EFFORTS, "reasoning_effort") != "none"


def _parse_stops(stop: Any, most: int | None) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else stop or []
    known = isinstance(stops, list) and all(isinstance(item, str) and item for item in stops)
    if not known or (most is not None and len(stops) > most):
        bound = f"up to {most} " if most else ""
        raise invalid_request(
            f"Invalid 'stop': expected a string or an array of {bound}strings.",
            "stop",
            "invalid_type",
        )
    return tuple(stops)


def _response_schema(body: dict[str, Any], strict: bool) -> dict[str, Any] | None:
    response_format = body.get("response_format")
    if response_format is None or (
        isinstance(response_format, dict) and response_format.get("type") == "text"
    ):
        return None
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if kind == "json_object":
        return {}
    check_enum(kind, ("json_object", "json_schema", "text"), "response_format.type")
    json_schema = response_format.get("json_schema")
    if not isinstance(json_schema, dict) or not json_schema.get("name"):
        raise missing_parameter("response_format.json_schema.name")
    schema = optional_object(json_schema, "schema", "response_format.json_schema.")
    if strict and json_schema.get("strict"):
        check_strict(
            schema,
            f"response_format '{json_schema['name']}'",
            "response_format",
            "invalid_json_schema",
        )
    return schema
