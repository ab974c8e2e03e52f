"""API adapters, and `ROUTES`: the table of the APIs that the simulator serves, by path.

An adapter is a thin layer over its API's modules: it parses a request into a `Prompt`, renders the
reply, and words errors as the API does. A path that is not served gets the 404 of the API it
resembles.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs

import orjson

from harness.simulator.apis import mistral, ollama
from harness.simulator.apis.anthropic import requests as anthropic
from harness.simulator.apis.anthropic import responses as anthropic_rendering
from harness.simulator.apis.cloudflare import native as cloudflare
from harness.simulator.apis.gemini import checks as gemini_checks
from harness.simulator.apis.gemini import requests as gemini
from harness.simulator.apis.gemini import responses as gemini_rendering
from harness.simulator.apis.http import ApiError, ApiRequest, ApiResponse
from harness.simulator.apis.openai import requests as openai
from harness.simulator.apis.openai import responses as openai_rendering
from harness.simulator.apis.openai_responses import requests as openai_responses
from harness.simulator.apis.openai_responses import responses as responses_rendering
from harness.simulator.model.types import Prompt, Reply


class ParsedRequest(NamedTuple):
    """A valid request for `choices` completions; `render` turns the reply into bytes and may raise
    `ApiError`."""

    prompt: Prompt
    choices: int
    render: Callable[[Reply], ApiResponse]


class ApiAdapter(Protocol):
    """The wire format of one API."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        """Validate a request; raises `ApiError`."""

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        """An error response."""

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        """The error that the API sends with a status if nothing more specific is known."""

    def render_empty(self) -> bytes:
        """The body of a success without an answer."""


class OpenAiChat:
    """OpenAI's chat completions."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        return self._with_renderer(openai.parse_request(request.body, strict=True))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return openai.render_error(api_error, request_id)

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return openai.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return orjson.dumps({"object": "chat.completion", "choices": []})

    @staticmethod
    def _with_renderer(request: openai.Request) -> ParsedRequest:
        render = (
            openai_rendering.render_stream if request.stream else openai_rendering.render_response
        )
        return ParsedRequest(request.prompt, request.choices, partial(render, request))


class VllmChat(OpenAiChat):
    """vLLM's chat completions, and those of any server that ignores unknown keys."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        return self._with_renderer(openai.parse_vllm_request(request.body))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        kind = "BadRequestError" if api_error.status < 500 else "InternalServerError"
        error = {
            "message": api_error.message,
            "type": kind,
            "param": api_error.param,
            "code": api_error.status,
        }
        return ApiResponse(api_error.status, (), orjson.dumps({"error": error}))


class LlamaCppChat(OpenAiChat):
    """llama-server's chat completions."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        return self._with_renderer(openai.parse_llamacpp_request(request.body))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        kind = "invalid_request_error" if api_error.status < 500 else "server_error"
        error = {"code": api_error.status, "message": api_error.message, "type": kind}
        return ApiResponse(api_error.status, (), orjson.dumps({"error": error}))


class CloudflareChat(OpenAiChat):
    """Workers AI with OpenAI's bodies; errors of routing and authentication come in Cloudflare's
    envelope."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        parsed = self._with_renderer(openai.parse_request(request.body, strict=False))
        return parsed._replace(render=partial(self._render_reply, parsed))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        if isinstance(api_error.code, int):
            return cloudflare.render_error(api_error, request_id)
        response = openai.render_error(api_error, request_id)
        return replace(response, headers=cloudflare.edge_headers(request_id))

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return cloudflare.error_for_status(status, code, message)

    @staticmethod
    def _render_reply(parsed: ParsedRequest, reply: Reply) -> ApiResponse:
        return replace(
            parsed.render(reply), headers=cloudflare.response_headers(parsed.prompt.model, reply)
        )


class WorkersAi:
    """Workers AI's native format."""

    def __init__(self, model: str = "") -> None:
        self.model = model

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        native = cloudflare.parse_request(request.body, self.model)
        render = cloudflare.render_stream if native.stream else cloudflare.render_response
        return ParsedRequest(native.prompt, 1, partial(render, native))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return cloudflare.render_error(api_error, request_id)

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return cloudflare.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return cloudflare.wrap_result({})


class OpenAiResponses(OpenAiChat):
    """OpenAI's Responses API; its errors are those of chat completions, except within a stream."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        parsed = openai_responses.parse_request(request.body)
        streams = parsed.stream
        render = (
            responses_rendering.render_stream if streams else responses_rendering.render_response
        )
        return ParsedRequest(parsed.prompt, 1, partial(render, parsed))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        event = {
            "type": "error",
            "code": api_error.code,
            "message": api_error.message,
            "param": api_error.param,
        }
        response = openai.render_error(api_error, request_id)
        return replace(
            response, event_prefix=b"event: error\ndata: ", event_data=orjson.dumps(event)
        )

    def render_empty(self) -> bytes:
        return orjson.dumps({"object": "response", "output": []})


class AnthropicMessages:
    """Anthropic's Messages API."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        parsed = anthropic.parse_request(request.body, request.get_header(b"anthropic-version"))
        render = (
            anthropic_rendering.render_stream
            if parsed.stream
            else anthropic_rendering.render_response
        )
        return ParsedRequest(parsed.prompt, 1, partial(render, parsed.prompt.model))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return anthropic_rendering.render_error(api_error, request_id)

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return anthropic_rendering.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return orjson.dumps(
            {"type": "message", "role": "assistant", "content": [], "stop_reason": None}
        )


class Gemini:
    """The Gemini API; `method` is `generateContent` or `streamGenerateContent`."""

    def __init__(self, model: str = "", method: str = "generateContent") -> None:
        self._model = model
        self._streams = method == "streamGenerateContent"

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        form: gemini.ResponseForm = "whole"
        if self._streams:
            form = "events" if "sse" in parse_qs(request.query).get("alt", ()) else "array"
        parsed = gemini.parse_request(request.body, self._model, form)
        return ParsedRequest(
            parsed.prompt, parsed.choices, partial(gemini_rendering.RENDERERS[form], parsed)
        )

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return gemini_checks.render_error(api_error)

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return gemini_checks.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return b"{}\n"


class MistralChat:
    """Mistral's chat completions."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        parsed = mistral.parse_request(request.body)
        render = mistral.render_stream if parsed.stream else mistral.render_response
        return ParsedRequest(parsed.prompt, parsed.choices, partial(render, parsed))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return mistral.render_error(api_error)

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return mistral.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return orjson.dumps({"object": "chat.completion", "choices": []})


class OllamaChat:
    """Ollama's native chat."""

    def parse_request(self, request: ApiRequest) -> ParsedRequest:
        parsed = ollama.parse_request(request.body)
        render = ollama.render_stream if parsed.stream else ollama.render_response
        return ParsedRequest(parsed.prompt, 1, partial(render, parsed))

    def render_error(self, api_error: ApiError, request_id: str) -> ApiResponse:
        return ollama.render_error(api_error)

    def error_for_status(
        self, status: int, code: str | None = None, message: str | None = None
    ) -> ApiError:
        return ollama.error_for_status(status, code, message)

    def render_empty(self) -> bytes:
        return b"{}\n"


class Route(NamedTuple):
    """The paths of an API, as a regular expression whose named groups are
    the adapter's arguments."""

    path: re.Pattern[str]
    adapter: Callable[..., ApiAdapter]
    behind_gateway: bool = False
    """Whether an AI Gateway stands in front: its cache answers first."""


class Served(NamedTuple):
    """The adapter for a request; `route` is None where the path is not served."""

    adapter: ApiAdapter
    route: Route | None


_WORKERS_AI = "/client/v4/accounts/[^/]+/ai"
_GATEWAY = "/v1/[^/]+/[^/]+/workers-ai"
_GEMINI = (
    "/v1(?:beta)?/(?:models|tunedModels)/(?P<model>[^:]+)"
    ":(?P<method>generateContent|streamGenerateContent)"
)

ROUTES: tuple[Route, ...] = tuple(
    Route(re.compile(path, re.DOTALL), adapter, behind_gateway)
    for path, adapter, behind_gateway in (
        ("/v1/chat/completions", OpenAiChat, False),
        ("/v1/responses", OpenAiResponses, False),
        ("/v1/messages", AnthropicMessages, False),
        (_GEMINI, Gemini, False),
        ("/vllm/v1/chat/completions", VllmChat, False),
        ("/llamacpp/v1/chat/completions", LlamaCppChat, False),
        ("/mistral/v1/chat/completions", MistralChat, False),
        ("/api/chat", OllamaChat, False),
        (f"{_WORKERS_AI}/v1/chat/completions", CloudflareChat, False),
        (f"{_WORKERS_AI}/run/(?P<model>.+)", WorkersAi, False),
        (f"{_GATEWAY}/v1/chat/completions", CloudflareChat, True),
        (f"{_GATEWAY}/run/(?P<model>.*)", WorkersAi, True),
        (f"{_GATEWAY}/(?P<model>.+)", WorkersAi, True),
    )
)
"""Every API that is served, all by POST; the first route that matches the path answers."""

UNSERVED: tuple[tuple[str, Callable[[], ApiAdapter]], ...] = (
    ("/v1beta/", Gemini),
    ("/client/v4/", WorkersAi),
    ("", OpenAiChat),
)
"""The API in whose format a path that is not served is answered, by its prefix."""


def find_adapter(path: str) -> Served:
    """The adapter for a path; one that is not served has an adapter too, for its error."""
    for route in ROUTES:
        if match := route.path.fullmatch(path):
            return Served(route.adapter(**match.groupdict()), route)
    return Served(next(adapter() for prefix, adapter in UNSERVED if path.startswith(prefix)), None)
