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
from harness.simulator.apis.anthropic import answers as anthropic_answers
from harness.simulator.apis.anthropic import requests as anthropic
from harness.simulator.apis.cloudflare import native as cloudflare
from harness.simulator.apis.gemini import answers as gemini_answers
from harness.simulator.apis.gemini import checks as gemini_checks
from harness.simulator.apis.gemini import requests as gemini
from harness.simulator.apis.openai import answers as openai_answers
from harness.simulator.apis.openai import requests as openai
from harness.simulator.apis.openai_responses import answers as responses_answers
from harness.simulator.apis.openai_responses import requests as responses
from harness.simulator.model.requests import Body, Prompt, Refusal, Reply


class Asked(NamedTuple):
    """A request that has been read: `render` turns the reply into bytes and may raise `Refusal`."""

    prompt: Prompt
    choices: int
    render: Callable[[Reply], Body]


class Dialect(Protocol):
    """One wire format at one address."""

    def read(self, content: bytes) -> Asked:
        """Check a body; raises `Refusal`."""

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        """An error answer."""

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        """The error a bare status stands for."""

    def empty(self) -> bytes:
        """A success with nothing in it."""


@runtime_checkable
class Headed(Protocol):
    """A dialect that depends on the request's headers."""

    def head(self, header: Callable[[bytes], str | None]) -> None:
        """Read them, before the body: `header` finds one by its name in lower case."""


class Native:
    """`POST /client/v4/accounts/{account}/ai/run/{model}`."""

    def __init__(self, model: str) -> None:
        self.model = model

    def read(self, content: bytes) -> Asked:
        request = cloudflare.read(content, self.model)
        render = cloudflare.streamed if request.stream else cloudflare.whole
        return Asked(request.prompt, 1, partial(render, request))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        return cloudflare.refused(refusal, request_id)

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return cloudflare.failure(status, code, message)

    def empty(self) -> bytes:
        return cloudflare.envelope({})


class Chat:
    """`POST /v1/chat/completions`."""

    def read(self, content: bytes) -> Asked:
        return self._asked(openai.read(content, strict=True))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        return openai.refused(refusal, request_id)

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return openai.failure(status, code, message)

    def empty(self) -> bytes:
        return orjson.dumps({"object": "chat.completion", "choices": []})

    def _asked(self, request: openai.Request) -> Asked:
        render = openai_answers.streamed if request.stream else openai_answers.whole
        return Asked(request.prompt, request.choices, partial(render, request))


class VLLM(Chat):
    """`POST /vllm/v1/chat/completions`: any server that lets pass what it does not know."""

    def read(self, content: bytes) -> Asked:
        return self._asked(openai.read_vllm(content))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        kind = "BadRequestError" if refusal.status < 500 else "InternalServerError"
        error = {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.status}
        return Body(refusal.status, (), orjson.dumps({"error": error}))


class CloudflareChat(Chat):
    """`POST /client/v4/accounts/{account}/ai/v1/chat/completions`."""

    def read(self, content: bytes) -> Asked:
        asked = self._asked(openai.read(content, strict=False))
        return asked._replace(render=partial(self._render, asked))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        if isinstance(refusal.code, int):
            return cloudflare.refused(refusal, request_id)
        body = openai.refused(refusal, request_id)
        return replace(body, headers=cloudflare.edge_headers(request_id))

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return cloudflare.failure(status, code, message)

    @staticmethod
    def _render(asked: Asked, reply: Reply) -> Body:
        return replace(asked.render(reply), headers=cloudflare.headers(asked.prompt.model, reply))


class Responses(Chat):
    """`POST /v1/responses`; errors are those of chat completions, but for the event that breaks a stream off."""

    def read(self, content: bytes) -> Asked:
        request = responses.read(content)
        render = responses_answers.streamed if request.stream else responses_answers.whole
        return Asked(request.prompt, 1, partial(render, request))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        event = {"type": "error", "code": refusal.code, "message": refusal.message, "param": refusal.param}
        refused = openai.refused(refusal, request_id)
        return replace(refused, opening=b"event: error\ndata: ", broken_off=orjson.dumps(event))

    def empty(self) -> bytes:
        return orjson.dumps({"object": "response", "output": []})


class Messages:
    """`POST /v1/messages`."""

    def __init__(self) -> None:
        self._version: str | None = None

    def head(self, header: Callable[[bytes], str | None]) -> None:
        self._version = header(b"anthropic-version")

    def read(self, content: bytes) -> Asked:
        request = anthropic.read(content, self._version)
        render = anthropic_answers.streamed if request.stream else anthropic_answers.whole
        return Asked(request.prompt, 1, partial(render, request.prompt.model))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        return anthropic_answers.refused(refusal, request_id)

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return anthropic_answers.failure(status, code, message)

    def empty(self) -> bytes:
        return orjson.dumps({"type": "message", "role": "assistant", "content": [], "stop_reason": None})


class Gemini:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    def __init__(self, model: str = "", form: gemini.Form = "whole") -> None:
        self._model = model
        self._form = form

    @classmethod
    def at(cls, path: str, query: str) -> Gemini | None:
        """The dialect at an address that names a model and a method; None for any other."""
        found = gemini.ADDRESS.fullmatch(path)
        if found is None:
            return None
        streamed: gemini.Form = "events" if "sse" in parse_qs(query).get("alt", ()) else "array"
        return cls(found["model"], streamed if found["method"] == "streamGenerateContent" else "whole")

    def read(self, content: bytes) -> Asked:
        request = gemini.read(content, self._model, self._form)
        return Asked(request.prompt, request.choices, partial(gemini_answers.RENDERERS[self._form], request))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        return gemini_checks.refused(refusal)

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return gemini_checks.failure(status, code, message)

    def empty(self) -> bytes:
        return b"{}\n"


class Mistral:
    """`POST /mistral/v1/chat/completions`."""

    def read(self, content: bytes) -> Asked:
        request = mistral.read(content)
        return Asked(request.prompt, request.choices, partial(mistral.streamed if request.stream else mistral.whole, request))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        return mistral.refused(refusal)

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return mistral.failure(status, code, message)

    def empty(self) -> bytes:
        return orjson.dumps({"object": "chat.completion", "choices": []})


class Ollama:
    """`POST /api/chat`."""

    def read(self, content: bytes) -> Asked:
        request = ollama.read(content)
        return Asked(request.prompt, 1, partial(ollama.streamed if request.stream else ollama.whole, request))

    def refused(self, refusal: Refusal, request_id: str) -> Body:
        return ollama.refused(refusal)

    def failure(self, status: int, code: str | None = None, message: str | None = None) -> Refusal:
        return ollama.failure(status, code, message)

    def empty(self) -> bytes:
        return b"{}\n"


DOORS: dict[str, Callable[[], Dialect]] = {
    "/api/chat": Ollama,
    "/mistral/v1/chat/completions": Mistral,
    "/v1/chat/completions": Chat,
    "/v1/messages": Messages,
    "/v1/responses": Responses,
    "/vllm/v1/chat/completions": VLLM,
}
"""The dialects at fixed addresses, one a line."""
