"""The doors of the simulator behind one shape: read a body, word an error.

Each is a thin layer over its format's modules. `CloudflareChat` is Cloudflare's address with OpenAI's bodies, where errors of
routing and authentication come in Cloudflare's envelope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable
from urllib.parse import parse_qs

import orjson

from harness.simulator.apis import mistral, ollama
from harness.simulator.apis.anthropic import requests as anthropic
from harness.simulator.apis.anthropic import responses as anthropic_responses
from harness.simulator.apis.cloudflare import native as cloudflare
from harness.simulator.apis.gemini import checks as gemini_checks
from harness.simulator.apis.gemini import requests as gemini
from harness.simulator.apis.gemini import responses as gemini_responses
from harness.simulator.apis.http import ApiError, ApiResponse
from harness.simulator.apis.openai import requests as openai
from harness.simulator.apis.openai import responses as openai_responses
from harness.simulator.apis.openai_responses import requests as responses
from harness.simulator.apis.openai_responses import responses as responses_responses
from harness.simulator.model.types import Prompt, Reply


class ParsedRequest(NamedTuple):
    """A request that has been read: `render` turns the reply into bytes and may raise `ApiError`."""

    prompt: Prompt
    choices: int
    render: Callable[[Reply], ApiResponse]


class ApiAdapter(Protocol):
    """One wire format at one address."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        """Check a body; raises `ApiError`."""

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        """An error answer."""

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        """The error a bare status stands for."""

    def render_empty(self) -> bytes:
        """A success with nothing in it."""


@runtime_checkable
class HeaderAwareAdapter(Protocol):
    """A adapter that depends on the request's headers."""

    def read_headers(self, header: Callable[[bytes], str | None]) -> None:
        """Read them, before the body: `header` finds one by its name in lower case."""


class WorkersAi:
    """`POST /client/v4/accounts/{account}/ai/run/{model}`."""

    def __init__(self, model: str) -> None:
        self.model = model

    def parse_request(self, content: bytes) -> ParsedRequest:
        request = cloudflare.parse_request(content, self.model)
        render = cloudflare.render_stream if request.stream else cloudflare.render_response
        return ParsedRequest(request.prompt, 1, partial(render, request))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return cloudflare.render_error(api_error, request_id)

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return cloudflare.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return cloudflare.wrap_result({})


class OpenAiChat:
    """`POST /v1/chat/completions`."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        return self._parsed(openai.parse_request(content, strict=True))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return openai.render_error(api_error, request_id)

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return openai.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return orjson.dumps({"object": "chat.completion", "choices": []})

    def _parsed(self, request: openai.Request) -> ParsedRequest:
        render = openai_responses.render_stream if request.stream else openai_responses.render_response
        return ParsedRequest(request.prompt, request.choices, partial(render, request))


class VllmChat(OpenAiChat):
    """`POST /vllm/v1/chat/completions`: any server that lets pass what it does not know."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        return self._parsed(openai.parse_vllm_request(content))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        kind = "BadRequestError" if api_error.status < 500 else "InternalServerError"
        error = {"message": api_error.message, "type": kind, "param": api_error.param, "code": api_error.status}
        return ApiResponse(api_error.status, (), orjson.dumps({"error": error}))


class CloudflareChat(OpenAiChat):
    """`POST /client/v4/accounts/{account}/ai/v1/chat/completions`."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        asked = self._parsed(openai.parse_request(content, strict=False))
        return asked._replace(render=partial(self._render, asked))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        if isinstance(api_error.code, int):
            return cloudflare.render_error(api_error, request_id)
        body = openai.render_error(api_error, request_id)
        return replace(body, headers=cloudflare.edge_headers(request_id))

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return cloudflare.error_for_status(status, code, message)

    @staticmethod
    def _render(asked: ParsedRequest, reply: Reply) -> ApiResponse:
        return replace(asked.render(reply), headers=cloudflare.response_headers(asked.prompt.model, reply))


class OpenAiResponses(OpenAiChat):
    """`POST /v1/responses`; errors are those of chat completions, but for the event that breaks a stream off."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        request = responses.parse_request(content)
        render = responses_responses.render_stream if request.stream else responses_responses.render_response
        return ParsedRequest(request.prompt, 1, partial(render, request))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        event = {"type": "error", "code": api_error.code, "message": api_error.message, "param": api_error.param}
        refused = openai.render_error(api_error, request_id)
        return replace(refused, opening=b"event: error\ndata: ", broken_off=orjson.dumps(event))

    def render_empty(self) -> bytes:
        return orjson.dumps({"object": "response", "output": []})


class AnthropicMessages:
    """`POST /v1/messages`."""

    def __init__(self) -> None:
        self._version: str | None = None

    def read_headers(self, header: Callable[[bytes], str | None]) -> None:
        self._version = header(b"anthropic-version")

    def parse_request(self, content: bytes) -> ParsedRequest:
        request = anthropic.parse_request(content, self._version)
        render = anthropic_responses.render_stream if request.stream else anthropic_responses.render_response
        return ParsedRequest(request.prompt, 1, partial(render, request.prompt.model))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return anthropic_responses.render_error(api_error, request_id)

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return anthropic_responses.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return orjson.dumps({"type": "message", "role": "assistant", "content": [], "stop_reason": None})


class Gemini:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    def __init__(self, model: str = "", form: gemini.ResponseForm = "whole") -> None:
        self._model = model
        self._form = form

    @classmethod
    def from_address(cls, path: str, query: str) -> Gemini | None:
        """The adapter at an address that names a model and a method; None for any other."""
        found = gemini.ADDRESS.fullmatch(path)
        if found is None:
            return None
        streamed: gemini.ResponseForm = "events" if "sse" in parse_qs(query).get("alt", ()) else "array"
        return cls(found["model"], streamed if found["method"] == "streamGenerateContent" else "whole")

    def parse_request(self, content: bytes) -> ParsedRequest:
        request = gemini.parse_request(content, self._model, self._form)
        return ParsedRequest(request.prompt, request.choices, partial(gemini_responses.RENDERERS[self._form], request))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return gemini_checks.render_error(api_error)

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return gemini_checks.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return b"{}\n"


class MistralChat:
    """`POST /mistral/v1/chat/completions`."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        request = mistral.parse_request(content)
        return ParsedRequest(
            request.prompt,
            request.choices,
            partial(mistral.render_stream if request.stream else mistral.render_response, request),
        )

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return mistral.render_error(api_error)

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return mistral.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return orjson.dumps({"object": "chat.completion", "choices": []})


class OllamaChat:
    """`POST /api/chat`."""

    def parse_request(self, content: bytes) -> ParsedRequest:
        request = ollama.parse_request(content)
        return ParsedRequest(
            request.prompt, 1, partial(ollama.render_stream if request.stream else ollama.render_response, request)
        )

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return ollama.render_error(api_error)

    def error_for_status(self, status: int, code: str | None = None, message: str | None = None) -> ApiError:
        return ollama.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return b"{}\n"


FIXED_PATHS: dict[str, Callable[[], ApiAdapter]] = {
    "/api/chat": OllamaChat,
    "/mistral/v1/chat/completions": MistralChat,
    "/v1/chat/completions": OpenAiChat,
    "/v1/messages": AnthropicMessages,
    "/v1/responses": OpenAiResponses,
    "/vllm/v1/chat/completions": VllmChat,
}
"""The adapters at fixed addresses, one a line."""
