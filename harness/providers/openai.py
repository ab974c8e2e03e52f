"""OpenAI chat completions, and every server that speaks them: vLLM, llama.cpp, OpenRouter, Groq, Mistral, DeepSeek and others.

OpenAI itself wants the output limit as `max_completion_tokens` and refuses what it does not know; the others know `max_tokens`.
Which one is spoken to is read from the target's declared address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Auth, Request, Target, Usage, Wire
from harness.providers import chat, usage
from harness.providers.base import Signal
from harness.providers.decoding import ChatDecoder
from harness.providers.jsontext import dumps

ADDRESS = "https://api.openai.com/v1"


class OpenAI:
    """The provider `openai`."""

    name = "openai"
    default_address: str | None = ADDRESS
    default_api_key_env: str | None = "OPENAI_API_KEY"
    default_max_tokens: int | None = None

    def encode(self, target: Target, request: Request) -> Wire:
        """`POST /chat/completions`. Raises ValueError for a raw prompt, which this format cannot carry."""
        return wire(target, request, "/chat/completions", request.sampling)

    def decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A fresh decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


def wire(target: Target, request: Request, path: str, sampling: Mapping[str, Any]) -> Wire:
    """`request` as a chat completion at `path`, drawn with `sampling`. Raises ValueError for what this format cannot carry."""
    if request.prompt is not None or request.raw:
        raise ValueError(f"target {target.name}: chat completions take messages; a raw prompt needs another provider")
    if request.response_format is not None and request.response_format.type == "guided_json":
        raise ValueError(f"target {target.name}: chat completions have no guided_json; ask for the type json_schema")
    return Wire(
        path=path,
        headers=chat.headers(target, request),
        body=dumps(_body(target, request, sampling)),
        auth=Auth(target.api_key_env) if target.api_key_env else None,
    )


class OpenAIDecoder(ChatDecoder):
    """Reads a `chat.completion` or a stream of `chat.completion.chunk`."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._reported: Any = None

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


def _body(target: Target, request: Request, sampling: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"model": target.model, "messages": [chat.message(turn) for turn in request.messages]}
    limit = "max_completion_tokens" if target.address.rstrip("/") == ADDRESS else "max_tokens"
    body.update(chat.sampling(sampling, limit))
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [chat.tool(function) for function in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = chat.tool_choice(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = chat.response_format(request.response_format)
    body.update(target.extra_body)
    return body


provider = OpenAI()
