"""Cloudflare Workers AI, natively: `POST /ai/run/{model}`, the API Llama 4 Scout is served on.

What surprises: the default output limit is 256 tokens, so it is always sent; the native answer names no reason for its end, so
that is inferred; an answer comes in one of two families, native (`response`) or OpenAI-shaped (`choices`), whatever the model;
a stream of the second family ends with a frame of the first; and a 200 may hold nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from harness.model import EncodedRequest, FinishReason, Request, ResponseFormat, Target, Tool, Usage
from harness.providers import errors, usage
from harness.providers.base import Decoder, Signal
from harness.providers.cloudflare.batch_api import CloudflareBatches
from harness.providers.decoder import ChatDecoder
from harness.providers.json_text import dumps
from harness.providers.openai import chat_format

DEFAULT_MAX_TOKENS = 256
"""What the service takes for an unset `max_tokens`."""

# Models that take and return OpenAI's shapes behind the native path; they want its envelope around a JSON Schema.
OPENAI_SHAPED = (
    "@cf/openai/",
    "@cf/google/gemma-4",
    "@cf/zai-org/",
    "@cf/moonshotai/",
    "@cf/nvidia/",
    "@cf/qwen/qwen3",
    "@cf/deepseek-ai/deepseek-v4",
)

RUN = "/ai/run/"

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


class Cloudflare:
    """The provider `cloudflare`."""

    name = "cloudflare"
    default_address: str | None = "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}"
    default_api_key_env: str | None = "CLOUDFLARE_AUTH_TOKEN"
    default_max_tokens: int | None = DEFAULT_MAX_TOKENS

    def __init__(self) -> None:
        self.batches = CloudflareBatches(decoder)

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /ai/run/{model}`. Raises ValueError where a prompt and messages are given together: the schema takes one."""
        return wire(target, request, path(RUN, target.model))

    def decoder(self, target: Target, request: Request) -> Decoder:
        """A fresh decoder for one attempt at `request`."""
        return decoder(target, request)


def wire(target: Target, request: Request, where: str) -> EncodedRequest:
    """`request` in the native format at the path `where`. Raises ValueError for what the schema does not take together."""
    if request.prompt is not None and request.messages:
        raise ValueError(f"target {target.name}: Workers AI takes either a prompt or messages, not both")
    if request.prompt is not None and request.tools:
        raise ValueError(f"target {target.name}: Workers AI takes tools only beside messages, not beside a plain prompt")
    return EncodedRequest(
        path=where,
        headers=chat_format.headers(target, request),
        body=dumps(_body(target, request)),
        auth=chat_format.auth(target),
    )


def decoder(target: Target, request: Request) -> CloudflareDecoder:
    """Reads an answer to `request`, which was sent with an output limit of its own, the target's, or the default."""
    limit = target.extra_body.get("max_tokens", max_tokens(request))
    return CloudflareDecoder(request, limit if isinstance(limit, int) else None)


class CloudflareDecoder(ChatDecoder):
    """Reads both families, whole (in Cloudflare's envelope) or streamed (without).

    `max_tokens` is what was sent: an answer that used it up was cut by it.
    """

    def __init__(self, request: Request, max_tokens: int | None) -> None:
        super().__init__(request)
        self._max_tokens = max_tokens
        self._reported: list[tuple[dict[str, Any], str]] = []

    def _frame(self, chunk: dict[str, Any]) -> Signal:
        if "result" in chunk:  # a whole answer that calls itself a stream
            self._is_whole = True
            self._whole(chunk)
            return Signal.NOTHING if self._answer.blank else Signal.ANSWER
        choices = chunk.get("choices")
        reported = chunk.get("usage")
        if reported and type(reported) is dict:
            self._reported.append((reported, "total" if choices is None else "chunk" if choices else "closing"))
        if choices is None:
            return self._native(chunk)
        if self._model is None:
            self._identify(chunk)
        return self._choice(choices) if choices and type(choices) is list else Signal.NOTHING

    def _whole(self, body: dict[str, Any]) -> None:
        result = body.get("result") if "result" in body else body
        if not result or not isinstance(result, dict):
            self._fail(errors.empty("with an empty result"))
        else:
            self._result(result)

    def _result(self, result: dict[str, Any]) -> None:
        reported = result.get("usage")
        if isinstance(reported, dict):
            self._reported.append((reported, "total"))
        self._identify(result)
        choices = result.get("choices")
        if choices and isinstance(choices, list):
            self._choice(choices)
        if self._answer.blank:
            self._native(result)

    def _native(self, frame: Mapping[str, Any]) -> Signal:
        signal = self._answer.say(frame.get("response"))
        calls = frame.get("tool_calls")
        if calls and self._answer.call(calls) is Signal.ANSWER:
            signal = Signal.ANSWER
        self._stop(frame.get("finish_reason"))
        return signal

    def _usage(self, headers: Mapping[str, str]) -> Usage | None:
        return usage.with_neurons(usage.read(usage.of_frames(self._reported)), headers)

    def _says_nothing(self) -> bool:
        """The native format never states a reason: there an empty `response` is an answer, and only a missing one is not."""
        return self._answer.blank and not self._answer.given

    def _reason(self) -> FinishReason:
        """As stated; else inferred, because the native format names none (§ *What is read* of docs/providers.md)."""
        if self._finish is not None:
            return super()._reason()
        used = usage.read(usage.of_frames(self._reported))
        output = used.output_tokens if used else None
        if output is not None and self._max_tokens is not None and output >= self._max_tokens:
            return "length"
        return "tool_calls" if self._answer.calls else "stop"


def max_tokens(request: Request) -> Any:
    """The output limit to send: the request's, else the one the service would take without a word."""
    asked = request.sampling.get("max_tokens")
    return DEFAULT_MAX_TOKENS if asked is None else asked


def _body(target: Target, request: Request) -> dict[str, Any]:
    body = _prompt(request)
    body.update(chat_format.sampling(request.sampling))
    body["max_tokens"] = max_tokens(request)
    if request.raw:
        body["raw"] = True
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = [_tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = chat_format.tool_choice(request.tool_choice)
    body.update(_form(target.model, request.response_format))
    body.update(target.extra_body)
    return body


def _prompt(request: Request) -> dict[str, Any]:
    if request.prompt is not None:
        return {"prompt": request.prompt}
    return {"messages": [chat_format.message(turn, chat_format.nine_alphanumerics) for turn in request.messages]}


def _form(model: str, wanted: ResponseFormat | None) -> dict[str, Any]:
    """The field that asks for the answer's form: `guided_json` is a field of its own, with nothing around the schema."""
    if wanted is None:
        return {}
    if wanted.type == "guided_json":
        return {"guided_json": wanted.schema or {}}
    if wanted.type == "json_object" or model.startswith(OPENAI_SHAPED):
        return {"response_format": chat_format.response_format(wanted)}
    return {"response_format": {"type": "json_schema", "json_schema": wanted.schema or {}}}


def _tool(function: Tool) -> dict[str, Any]:
    encoded = chat_format.tool(function)
    # A JSON Schema dialect inside a tool's parameters made Scout answer nothing at all.
    encoded["function"]["parameters"] = _complete(_without_dialect(function.parameters))
    return encoded


def _complete(parameters: dict[str, Any]) -> dict[str, Any]:
    """`parameters` with what the schema requires: a type, properties, and of each property a type and a description.

    What is filled in is a hint to the model: nothing checks its calls against it.
    """
    properties = {name: _described(name, each) for name, each in (parameters.get("properties") or {}).items()}
    return {"type": "object", **parameters, "properties": properties}


def _described(name: str, schema: Any) -> dict[str, Any]:
    given = schema if isinstance(schema, dict) else {}
    return {**given, "type": given.get("type") or _type_of(given), "description": given.get("description") or name}


def _type_of(schema: Mapping[str, Any]) -> Any:
    """The type that a schema without one implies: its values' or its branches', where that is one; else a string."""
    values = [schema["const"]] if "const" in schema else schema.get("enum") or []
    branches = [branch for key in ("anyOf", "oneOf", "allOf") for branch in schema.get(key) or () if isinstance(branch, dict)]
    kinds = {_JSON_TYPES.get(type(value), "string") for value in values}
    kinds |= {branch["type"] for branch in branches if isinstance(branch.get("type"), str)} - {"null"}
    if len(kinds) == 1:
        return kinds.pop()
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _without_dialect(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        kept = {key: value for key, value in schema.items() if not (key == "$schema" and isinstance(value, str))}
        return {key: _without_dialect(value) for key, value in kept.items()}
    return [_without_dialect(item) for item in schema] if isinstance(schema, list | tuple) else schema


@lru_cache
def path(before: str, model: str) -> str:
    """The path of `model`, whose `@` and `/` are literal."""
    return before + quote(model, safe="@/:")


provider = Cloudflare()
