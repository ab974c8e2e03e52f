"""OpenAI chat completions, and every server that speaks them; vendors with deviations are in
`harness.providers.openai.dialects`.

OpenAI itself expects the output limit as `max_completion_tokens` and refuses unknown parameters;
other servers know `max_tokens`. For the provider `openai`, the target's declared address decides
which of the two is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field
from msgspec.structs import replace

from harness.model import EncodedRequest, Request, ResponseFormat, Role, Target, Tool, Usage
from harness.providers import usage
from harness.providers.base import BuiltInProvider, Signal, reject_raw_prompt
from harness.providers.decoder import ChatDecoder
from harness.providers.json_text import dumps
from harness.providers.openai import chat_format
from harness.providers.openai.strict_schema import is_strict_tool

OPENAI_HOST = "api.openai.com"
GATEWAY_HOST = "gateway.ai.cloudflare.com"


class ChatDialect(Struct, frozen=True):
    """How a server's requests deviate from OpenAI's.

    `parameter_names` are its names for sampling parameters (dotted: nested), `encode_guided_json`
    the fields of a guided schema (None: not supported), `extra_fields` go into every body.
    """

    parameter_names: Mapping[str, str] = field(default_factory=dict)
    required_tool_choice: str = "required"
    encode_tool_call_id: Callable[[str], str] = chat_format.keep_identifier
    encode_response_format: Callable[[ResponseFormat], dict[str, Any]] = (
        chat_format.encode_response_format
    )
    encode_guided_json: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    stream_options: bool = True
    says_strict: bool = False
    """Whether a function says that calls are held to its parameters: vLLM does so only if told."""
    echo_reasoning: bool = False
    """Whether a turn that called tools is sent back with its reasoning."""
    developer_role: Role = "system"
    """What the role `developer` is called."""


DEFAULT_DIALECT = ChatDialect()
OPENAI_DIALECT = ChatDialect(
    parameter_names={"max_tokens": "max_completion_tokens"}, developer_role="developer"
)


class OpenAI(BuiltInProvider):
    """The provider `openai`."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /chat/completions`. Raises ValueError for a raw prompt, which this format cannot
        carry."""
        dialect = OPENAI_DIALECT if is_openai_address(target.address) else DEFAULT_DIALECT
        return encode_chat_completion(
            target, request, "/chat/completions", request.sampling, dialect
        )

    def make_decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A new decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


def encode_chat_completion(
    target: Target,
    request: Request,
    path: str,
    sampling: Mapping[str, Any],
    dialect: ChatDialect = DEFAULT_DIALECT,
) -> EncodedRequest:
    """`request` as a chat completion at `path`, with `sampling`. Raises ValueError for what this
    format cannot carry."""
    if request.prompt is not None or request.raw:
        reject_raw_prompt(target, request, "the format of chat completions")
    return EncodedRequest(
        path=path,
        headers=chat_format.json_headers(target, request),
        body=dumps(_build_body(target, request, sampling, dialect)),
        auth=chat_format.api_key_auth(target),
    )


def _build_body(
    target: Target, request: Request, sampling: Mapping[str, Any], dialect: ChatDialect
) -> dict[str, Any]:
    encode_id = dialect.encode_tool_call_id
    messages = [
        chat_format.encode_message(turn, encode_id, dialect.developer_role)
        for turn in request.messages
    ]
    if dialect.echo_reasoning:
        for turn, message in zip(request.messages, messages, strict=True):
            if turn.tool_calls:
                message["reasoning_content"] = turn.reasoning or ""
    body: dict[str, Any] = {"model": target.model, "messages": messages}
    sent = chat_format.encode_sampling(sampling)
    body.update(
        _rename_parameters(sent, dialect.parameter_names) if dialect.parameter_names else sent
    )
    if request.stream:
        body["stream"] = True
        if dialect.stream_options:
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [_encode_tool(tool, dialect) for tool in request.tools]
    if request.tool_choice == "required":
        body["tool_choice"] = dialect.required_tool_choice
    elif request.tool_choice is not None:
        body["tool_choice"] = chat_format.encode_tool_choice(request.tool_choice)
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body.update(_response_format_fields(target, request.response_format, dialect))
    if dialect.extra_fields:
        body.update(dialect.extra_fields)
    body.update(target.extra_body)
    return body


def _encode_tool(tool: Tool, dialect: ChatDialect) -> dict[str, Any]:
    if dialect.says_strict:
        tool = replace(tool, strict=is_strict_tool(tool) or None)
    return chat_format.encode_tool(tool)


@lru_cache
def is_openai_address(address: str) -> bool:
    """Whether OpenAI itself is at `address`: its host, one of its regions' (`eu.…`), or behind
    Cloudflare's AI Gateway."""
    place = urlsplit(address)
    host = place.hostname or ""
    if host == GATEWAY_HOST:
        return place.path.rstrip("/").endswith("/openai")
    return host == OPENAI_HOST or host.endswith(f".{OPENAI_HOST}")


def _rename_parameters(sent: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Parameters under a server's own names; a dotted one is a field within a field."""
    body: dict[str, Any] = {}
    for name, value in sent.items():
        outer, _, inner = names.get(name, name).partition(".")
        body[outer] = {inner: value} if inner else value
    return body


def _response_format_fields(
    target: Target, wanted: ResponseFormat, dialect: ChatDialect
) -> dict[str, Any]:
    if wanted.type != "guided_json":
        return {"response_format": dialect.encode_response_format(wanted)}
    if dialect.encode_guided_json is None:
        raise ValueError(
            f"target {target.name}: chat completions do not support guided_json; use the type"
            " json_schema"
        )
    return dialect.encode_guided_json(wanted.schema or {})


class OpenAIDecoder(ChatDecoder):
    """Decodes a `chat.completion` or a stream of `chat.completion.chunk`."""

    _reported_usage: Any = None

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        if self._model is None:
            self._read_model(chunk)
        reported = chunk.get("usage") or ("x_groq" in chunk and _groq_usage(chunk))
        if reported:
            self._reported_usage = reported
        choices = chunk.get("choices")
        return self._read_choice(choices) if choices and type(choices) is list else Signal.NOTHING

    def _read_body(self, body: dict[str, Any]) -> None:
        self._read_model(body)
        self._reported_usage = body.get("usage")
        choices = body.get("choices")
        if choices and isinstance(choices, list):
            self._read_choice(choices)

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        # Cloudflare's OpenAI-compatible endpoint bills neurons, too.
        return usage.add_neurons(usage.read_usage(self._reported_usage), headers)


def _groq_usage(chunk: dict[str, Any]) -> Any:
    """Groq reports a stream's usage in a field of its own."""
    extra = chunk.get("x_groq")
    return extra.get("usage") if type(extra) is dict else None
