"""OpenAI chat completions, and every server that speaks them; those with ways of their own are in
`harness.providers.openai.vendors`.

OpenAI itself wants the output limit as `max_completion_tokens` and refuses what it does not know; the others know `max_tokens`.
For the provider `openai`, which one is spoken to is read from the target's declared address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from harness.model import EncodedRequest, Message, Request, ResponseFormat, Target, Usage
from harness.providers import message_rules, usage
from harness.providers.base import Signal
from harness.providers.decoder import ChatDecoder
from harness.providers.json_text import dumps
from harness.providers.openai import chat_format

ADDRESS = "https://api.openai.com/v1"
OPENAI_HOST = "api.openai.com"
GATEWAY_HOST = "gateway.ai.cloudflare.com"


@dataclass(frozen=True, slots=True)
class ChatDialect:
    """What a server of the format wants differently.

    `limit` is its name for the output limit (None: told by the address), `names` those of other parameters (dotted: nested),
    `required` its word for a tool that must be called, `identifier` maps tool call ids to what it accepts, `form` writes a
    `response_format` and `guided` the fields of a guided schema (None: it has none), `extras` go into every body.
    """

    output_limit_field: str | None = None
    parameter_names: Mapping[str, str] = field(default_factory=dict)
    required_tool_choice: str = "required"
    encode_tool_call_id: Callable[[str], str] = chat_format.keep_identifier
    encode_response_format: Callable[[ResponseFormat], dict[str, Any]] = chat_format.encode_response_format
    encode_guided_json: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    stream_options: bool = True
    echo_reasoning: bool = False


DEFAULT_DIALECT = ChatDialect()


class OpenAI:
    """The provider `openai`."""

    name = "openai"
    default_address: str | None = ADDRESS
    default_api_key_env: str | None = "OPENAI_API_KEY"
    default_max_tokens: int | None = None

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /chat/completions`. Raises ValueError for a raw prompt, which this format cannot carry."""
        return encode_chat_completion(target, request, "/chat/completions", request.sampling)

    def make_decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A fresh decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


def encode_chat_completion(
    target: Target, request: Request, path: str, sampling: Mapping[str, Any], dialect: ChatDialect = DEFAULT_DIALECT
) -> EncodedRequest:
    """`request` as a chat completion at `path`, drawn with `sampling`. Raises ValueError for what this format cannot carry."""
    message_rules.reject_raw_prompt(target, request, "the format of chat completions")
    guided = request.response_format is not None and request.response_format.type == "guided_json"
    if guided and dialect.encode_guided_json is None:
        raise ValueError(f"target {target.name}: chat completions have no guided_json; ask for the type json_schema")
    return EncodedRequest(
        path=path,
        headers=chat_format.json_headers(target, request),
        body=dumps(_build_body(target, request, sampling, dialect)),
        auth=chat_format.api_key_auth(target),
    )


class OpenAIDecoder(ChatDecoder):
    """Reads a `chat.completion` or a stream of `chat.completion.chunk`."""

    _reported: Any = None

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        if self._model is None:
            self._read_model(chunk)
        reported = chunk.get("usage") or ("x_groq" in chunk and _groq_usage(chunk))
        if reported:
            self._reported = reported
        choices = chunk.get("choices")
        return self._read_choice(choices) if choices and type(choices) is list else Signal.NOTHING

    def _read_body(self, body: dict[str, Any]) -> None:
        self._read_model(body)
        self._reported = body.get("usage")
        choices = body.get("choices")
        if choices and isinstance(choices, list):
            self._read_choice(choices)

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        # Cloudflare's OpenAI-compatible route bills neurons, too.
        return usage.add_neurons(usage.read_usage(self._reported), headers)


def _groq_usage(chunk: dict[str, Any]) -> Any:
    """Groq reports a stream's usage in a field of its own."""
    extra = chunk.get("x_groq")
    return extra.get("usage") if type(extra) is dict else None


def _build_body(target: Target, request: Request, sampling: Mapping[str, Any], dialect: ChatDialect) -> dict[str, Any]:
    body: dict[str, Any] = {"model": target.model, "messages": [_encode_message(turn, dialect) for turn in request.messages]}
    limit = dialect.output_limit_field or ("max_completion_tokens" if is_openai_address(target.address) else "max_tokens")
    sent = chat_format.encode_sampling(sampling, limit)
    body.update(_rename_parameters(sent, dialect.parameter_names) if dialect.parameter_names else sent)
    if request.stream:
        body["stream"] = True
        if dialect.stream_options:
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [chat_format.encode_tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = (
            dialect.required_tool_choice
            if request.tool_choice == "required"
            else chat_format.encode_tool_choice(request.tool_choice)
        )
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body.update(_response_format_fields(request.response_format, dialect))
    if dialect.extra_fields:
        body.update(dialect.extra_fields)
    body.update(target.extra_body)
    return body


@lru_cache
def is_openai_address(address: str) -> bool:
    """Whether OpenAI itself is spoken to: at its host, one of its regions' (`eu.…`), or through Cloudflare's AI Gateway."""
    place = urlsplit(address)
    host = place.hostname or ""
    return (
        host == OPENAI_HOST
        or host.endswith(f".{OPENAI_HOST}")
        or (host == GATEWAY_HOST and place.path.rstrip("/").endswith("/openai"))
    )


def _encode_message(turn: Message, dialect: ChatDialect) -> dict[str, Any]:
    encoded = chat_format.encode_message(turn, dialect.encode_tool_call_id)
    if dialect.echo_reasoning and turn.tool_calls:
        encoded["reasoning_content"] = turn.reasoning or ""
    return encoded


def _rename_parameters(sent: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Parameters under a server's own names; a dotted one is a field within a field."""
    body: dict[str, Any] = {}
    for name, value in sent.items():
        outer, _, inner = names.get(name, name).partition(".")
        body[outer] = {inner: value} if inner else value
    return body


def _response_format_fields(wanted: ResponseFormat, dialect: ChatDialect) -> dict[str, Any]:
    if wanted.type == "guided_json" and dialect.encode_guided_json is not None:
        return dialect.encode_guided_json(wanted.schema or {})
    return {"response_format": dialect.encode_response_format(wanted)}


provider = OpenAI()
