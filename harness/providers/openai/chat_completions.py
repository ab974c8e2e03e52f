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
HOST = "api.openai.com"
GATEWAY = "gateway.ai.cloudflare.com"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a server of the format wants differently.

    `limit` is its name for the output limit (None: told by the address), `names` those of other parameters (dotted: nested),
    `required` its word for a tool that must be called, `identifier` maps tool call ids to what it accepts, `form` writes a
    `response_format` and `guided` the fields of a guided schema (None: it has none), `extras` go into every body.
    """

    limit: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    required: str = "required"
    identifier: Callable[[str], str] = chat_format.as_sent
    form: Callable[[ResponseFormat], dict[str, Any]] = chat_format.response_format
    guided: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    stream_options: bool = True
    reasoning_of_calls: bool = False


PLAIN = Traits()


class OpenAI:
    """The provider `openai`."""

    name = "openai"
    default_address: str | None = ADDRESS
    default_api_key_env: str | None = "OPENAI_API_KEY"
    default_max_tokens: int | None = None

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /chat/completions`. Raises ValueError for a raw prompt, which this format cannot carry."""
        return wire(target, request, "/chat/completions", request.sampling)

    def decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A fresh decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


def wire(target: Target, request: Request, path: str, sampling: Mapping[str, Any], traits: Traits = PLAIN) -> EncodedRequest:
    """`request` as a chat completion at `path`, drawn with `sampling`. Raises ValueError for what this format cannot carry."""
    message_rules.refuse_prompt(target, request, "the format of chat completions")
    guided = request.response_format is not None and request.response_format.type == "guided_json"
    if guided and traits.guided is None:
        raise ValueError(f"target {target.name}: chat completions have no guided_json; ask for the type json_schema")
    return EncodedRequest(
        path=path,
        headers=chat_format.headers(target, request),
        body=dumps(_body(target, request, sampling, traits)),
        auth=chat_format.auth(target),
    )


class OpenAIDecoder(ChatDecoder):
    """Reads a `chat.completion` or a stream of `chat.completion.chunk`."""

    _reported: Any = None

    def _frame(self, chunk: dict[str, Any]) -> Signal:
        if self._model is None:
            self._identify(chunk)
        reported = chunk.get("usage") or ("x_groq" in chunk and _groq_usage(chunk))
        if reported:
            self._reported = reported
        choices = chunk.get("choices")
        return self._choice(choices) if choices and type(choices) is list else Signal.NOTHING

    def _whole(self, body: dict[str, Any]) -> None:
        self._identify(body)
        self._reported = body.get("usage")
        choices = body.get("choices")
        if choices and isinstance(choices, list):
            self._choice(choices)

    def _usage(self, headers: Mapping[str, str]) -> Usage | None:
        # Cloudflare's OpenAI-compatible route bills neurons, too.
        return usage.with_neurons(usage.read(self._reported), headers)


def _groq_usage(chunk: dict[str, Any]) -> Any:
    """Groq reports a stream's usage in a field of its own."""
    extra = chunk.get("x_groq")
    return extra.get("usage") if type(extra) is dict else None


def _body(target: Target, request: Request, sampling: Mapping[str, Any], traits: Traits) -> dict[str, Any]:
    body: dict[str, Any] = {"model": target.model, "messages": [_message(turn, traits) for turn in request.messages]}
    limit = traits.limit or ("max_completion_tokens" if is_openais(target.address) else "max_tokens")
    sent = chat_format.sampling(sampling, limit)
    body.update(_renamed(sent, traits.names) if traits.names else sent)
    if request.stream:
        body["stream"] = True
        if traits.stream_options:
            body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [chat_format.tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = (
            traits.required if request.tool_choice == "required" else chat_format.tool_choice(request.tool_choice)
        )
    if request.parallel_tool_calls is not None:
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format is not None:
        body.update(_form(request.response_format, traits))
    if traits.extras:
        body.update(traits.extras)
    body.update(target.extra_body)
    return body


@lru_cache
def is_openais(address: str) -> bool:
    """Whether OpenAI itself is spoken to: at its host, one of its regions' (`eu.…`), or through Cloudflare's AI Gateway."""
    place = urlsplit(address)
    host = place.hostname or ""
    return host == HOST or host.endswith(f".{HOST}") or (host == GATEWAY and place.path.rstrip("/").endswith("/openai"))


def _message(turn: Message, traits: Traits) -> dict[str, Any]:
    encoded = chat_format.message(turn, traits.identifier)
    if traits.reasoning_of_calls and turn.tool_calls:
        encoded["reasoning_content"] = turn.reasoning or ""
    return encoded


def _renamed(sent: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Parameters under a server's own names; a dotted one is a field within a field."""
    body: dict[str, Any] = {}
    for name, value in sent.items():
        outer, _, inner = names.get(name, name).partition(".")
        body[outer] = {inner: value} if inner else value
    return body


def _form(wanted: ResponseFormat, traits: Traits) -> dict[str, Any]:
    if wanted.type == "guided_json" and traits.guided is not None:
        return traits.guided(wanted.schema or {})
    return {"response_format": traits.form(wanted)}


provider = OpenAI()
