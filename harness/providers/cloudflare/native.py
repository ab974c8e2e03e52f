"""Workers AI's native format: `POST /ai/run/{model}`, the API that serves Llama 4 Scout.

What surprises: the default output limit is 256 tokens, so the limit is always sent; the native
answer has no finish reason, so that is inferred; an answer comes in one of two families, native
(`response`) or OpenAI-shaped (`choices`), whatever the model; a stream of the second family ends
with a frame of the first; and a 200 may be empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from harness.model import EncodedRequest, FinishReason, Request, ResponseFormat, Target, Tool, Usage
from harness.providers import errors, usage
from harness.providers.base import Signal
from harness.providers.decoder import ChatDecoder
from harness.providers.json_text import dumps
from harness.providers.openai import chat_format
from harness.vendors.cloudflare import DEFAULT_MAX_TOKENS, OPENAI_SHAPED_MODELS

_OPENAI_SHAPED = tuple(pattern.removesuffix("*") for pattern in OPENAI_SHAPED_MODELS)

_JSON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
}


def encode_native(target: Target, request: Request, path: str) -> EncodedRequest:
    """`request` in the native format at `path`. Raises ValueError for what the schema does not take
    together."""
    if request.prompt is not None and request.messages:
        raise ValueError(
            f"target {target.name}: Workers AI takes either a prompt or messages, not both"
        )
    if request.prompt is not None and request.tools:
        raise ValueError(
            f"target {target.name}: Workers AI takes tools only with messages, not with a plain"
            " prompt"
        )
    return EncodedRequest(
        path=path,
        headers=chat_format.json_headers(target, request),
        body=dumps(_build_body(target, request)),
        auth=chat_format.api_key_auth(target),
    )


def make_decoder(target: Target, request: Request) -> CloudflareDecoder:
    """A decoder for `request`, which was sent with its own output limit, the target's, or the
    default."""
    limit = target.extra_body.get("max_tokens", effective_max_tokens(request))
    return CloudflareDecoder(request, limit if isinstance(limit, int) else None)


class CloudflareDecoder(ChatDecoder):
    """Decodes both families, whole (in Cloudflare's envelope) or streamed (without).

    `max_tokens` is the limit that was sent: an answer that used it up was cut off by it.
    """

    def __init__(self, request: Request, max_tokens: int | None) -> None:
        super().__init__(request)
        self._max_tokens = max_tokens
        self._reported_usage: list[tuple[dict[str, Any], str]] = []

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        if "result" in chunk:  # a whole answer with the content type of a stream
            self._is_whole = True
            self._read_body(chunk)
            return Signal.NOTHING if self._answer.is_blank else Signal.ANSWER
        choices = chunk.get("choices")
        reported = chunk.get("usage")
        if reported and type(reported) is dict:
            self._reported_usage.append(
                (reported, "total" if choices is None else "chunk" if choices else "closing")
            )
        if choices is None:
            return self._read_native(chunk)
        if self._model is None:
            self._read_model(chunk)
        return self._read_choice(choices) if choices and type(choices) is list else Signal.NOTHING

    def _read_body(self, body: dict[str, Any]) -> None:
        result = body.get("result") if "result" in body else body
        if not result or not isinstance(result, dict):
            self._fail(errors.empty_error("with an empty result"))
        else:
            self._read_result(result)

    def _read_result(self, result: dict[str, Any]) -> None:
        reported = result.get("usage")
        if isinstance(reported, dict):
            self._reported_usage.append((reported, "total"))
        self._read_model(result)
        choices = result.get("choices")
        if choices and isinstance(choices, list):
            self._read_choice(choices)
        if self._answer.is_blank:
            self._read_native(result)

    def _read_native(self, frame: Mapping[str, Any]) -> Signal:
        signal = self._answer.add_text(frame.get("response"))
        calls = frame.get("tool_calls")
        if calls and self._answer.add_tool_calls(calls) is Signal.ANSWER:
            signal = Signal.ANSWER
        self._set_stop_reason(frame.get("finish_reason"))
        return signal

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        return usage.add_neurons(
            usage.read_usage(usage.select_chunk_usage(self._reported_usage)), headers
        )

    def _is_missing(self) -> bool:
        """The native format has no finish reason: there an empty `response` is an answer, and only
        a missing one is none."""
        return self._answer.is_blank and not self._answer.has_content

    def _finish_reason(self) -> FinishReason:
        """As reported, else inferred: the native format reports none (§ *Responses* of
        docs/providers.md)."""
        if self._stop_reason is not None:
            return super()._finish_reason()
        used = usage.read_usage(usage.select_chunk_usage(self._reported_usage))
        output = used.output_tokens if used else None
        if output is not None and self._max_tokens is not None and output >= self._max_tokens:
            return "length"
        return "tool_calls" if self._answer.has_calls else "stop"


def effective_max_tokens(request: Request) -> Any:
    """The output limit to send: the request's, else the service's silent default."""
    limit = request.sampling.get("max_tokens")
    return DEFAULT_MAX_TOKENS if limit is None else limit


def _build_body(target: Target, request: Request) -> dict[str, Any]:
    body: dict[str, Any] = (
        {
            "messages": [
                chat_format.encode_message(turn, chat_format.nine_character_id, "system")
                for turn in request.messages
            ]
        }
        if request.prompt is None
        else {"prompt": request.prompt}
    )
    body.update(chat_format.encode_sampling(request.sampling))
    body["max_tokens"] = effective_max_tokens(request)
    if request.raw:
        body["raw"] = True
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = [_encode_tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = chat_format.encode_tool_choice(request.tool_choice)
    if request.response_format is not None:
        body.update(_response_format_field(target.model, request.response_format))
    body.update(target.extra_body)
    return body


def _response_format_field(model: str, wanted: ResponseFormat) -> dict[str, Any]:
    """The field for structured output; `guided_json` is a field of its own,
    with the bare schema."""
    if wanted.type == "guided_json":
        return {"guided_json": wanted.schema or {}}
    if wanted.type == "json_object" or model.startswith(_OPENAI_SHAPED):
        return {"response_format": chat_format.encode_response_format(wanted)}
    return {"response_format": {"type": "json_schema", "json_schema": wanted.schema or {}}}


def _encode_tool(tool: Tool) -> dict[str, Any]:
    """`tool` with what Workers AI requires of its parameters: a type, and of each property a type
    and a description.

    What is filled in is a hint to the model: nothing checks its calls against it.
    """
    encoded = chat_format.encode_tool(tool)
    # `$schema` inside a tool's parameters made Scout answer nothing at all.
    parameters = _without_schema_uri(tool.parameters)
    properties = {
        name: _complete_property(name, each)
        for name, each in (parameters.get("properties") or {}).items()
    }
    encoded["function"]["parameters"] = {"type": "object", **parameters, "properties": properties}
    return encoded


def _complete_property(name: str, schema: Any) -> dict[str, Any]:
    given = schema if isinstance(schema, dict) else {}
    return {
        **given,
        "type": given.get("type") or _infer_type(given),
        "description": given.get("description") or name,
    }


def _infer_type(schema: Mapping[str, Any]) -> Any:
    """The type that a schema without one implies: that of its values or branches, where they agree;
    else a string."""
    values = [schema["const"]] if "const" in schema else schema.get("enum") or []
    branches = [
        branch
        for key in ("anyOf", "oneOf", "allOf")
        for branch in schema.get(key) or ()
        if isinstance(branch, dict)
    ]
    kinds = {_JSON_TYPES.get(type(value), "string") for value in values}
    kinds |= {branch["type"] for branch in branches if isinstance(branch.get("type"), str)} - {
        "null"
    }
    if len(kinds) == 1:
        return kinds.pop()
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _without_schema_uri(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        kept = {
            key: value
            for key, value in schema.items()
            if not (key == "$schema" and isinstance(value, str))
        }
        return {key: _without_schema_uri(value) for key, value in kept.items()}
    return (
        [_without_schema_uri(item) for item in schema]
        if isinstance(schema, list | tuple)
        else schema
    )


@lru_cache
def model_path(prefix: str, model: str) -> str:
    """The path of `model`; its `@` and `/` are literal."""
    return prefix + quote(model, safe="@/:")
