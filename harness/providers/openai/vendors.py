"""Vendors of chat completions, each a provider of its own name: where it is, and what it says differently.

The format is `harness.providers.openai.chat_completions`'s; what its answers have of a vendor's own (Groq's and DeepSeek's
usage, OpenRouter's cost, Mistral's thinking) that reader knows from whomever they come. What each takes is in
capabilities.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from harness.model import EncodedRequest, Request, ResponseFormat, Target
from harness.providers.openai import chat_format
from harness.providers.openai.chat_completions import OpenAIDecoder, Traits, wire

_USUAL = Traits(limit="max_tokens")
_OF_OPENAI = Traits(limit="max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider of chat completions; without an address of its own, a target must give one."""

    name: str
    default_address: str | None
    default_api_key_env: str | None = None
    traits: Traits = _USUAL
    default_max_tokens: int | None = None

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /chat/completions`. Raises ValueError for what this vendor's format cannot carry."""
        return wire(target, request, "/chat/completions", request.sampling, self.traits)

    def decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A fresh decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


@dataclass(frozen=True, slots=True)
class Azure:
    """OpenAI's models at Azure: a model is a deployment in the path, the key has a header of its own, the version is a query.

    The version `v1` is the newer API without a query, where the deployment is the `model` of the body.
    """

    name: str = "azure"
    default_address: str | None = "${AZURE_OPENAI_ENDPOINT}"
    default_api_key_env: str | None = "AZURE_OPENAI_API_KEY"
    default_max_tokens: int | None = None
    api_versions: tuple[str, ...] = ("v1", "20??-??-??", "20??-??-??-preview")
    default_api_version: str | None = "2024-10-21"
    traits: Traits = _OF_OPENAI

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /openai/…/chat/completions`. Raises ValueError for a raw prompt."""
        version = target.api_version or self.default_api_version or "v1"
        deployment = "v1" if version == "v1" else f"deployments/{quote(target.model, safe='')}"
        query = "" if version == "v1" else f"?api-version={version}"
        sent = wire(target, request, f"/openai/{deployment}/chat/completions{query}", request.sampling, self.traits)
        return replace(sent, auth=chat_format.auth(target, "api-key", ""))

    def decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A fresh decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


def _llamacpp_format(wanted: ResponseFormat) -> dict[str, Any]:
    """The schema stands beside the type, without the envelope."""
    if wanted.schema is None:
        return {"type": wanted.type}
    return {"type": wanted.type, "schema": wanted.schema}


def _structured_outputs(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"structured_outputs": {"json": schema}}


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"json_schema": schema}


azure = Azure()
deepseek = Vendor(
    name="deepseek",
    default_address="https://api.deepseek.com",
    default_api_key_env="DEEPSEEK_API_KEY",
    # A turn that called tools is refused without what was thought before it, be it nothing.
    traits=Traits(limit="max_tokens", reasoning_of_calls=True),
)
groq = Vendor(
    name="groq",
    default_address="https://api.groq.com/openai/v1",
    default_api_key_env="GROQ_API_KEY",
    traits=_OF_OPENAI,
)
llamacpp = Vendor(
    name="llamacpp",
    default_address="http://127.0.0.1:8080/v1",
    traits=Traits(
        limit="max_tokens",
        names={"repetition_penalty": "repeat_penalty"},
        form=_llamacpp_format,
        guided=_json_schema,
        # A prompt that is already in the server's cache makes every repeat faster than the first.
        extras={"cache_prompt": False},
    ),
)
mistral = Vendor(
    name="mistral",
    default_address="https://api.mistral.ai/v1",
    default_api_key_env="MISTRAL_API_KEY",
    traits=Traits(
        limit="max_tokens",
        names={"seed": "random_seed"},
        required="any",
        identifier=chat_format.nine_alphanumerics,
        stream_options=False,  # refused as unknown; the usage comes anyway
    ),
)
ollama = Vendor(name="ollama", default_address="http://127.0.0.1:11434/v1")
openrouter = Vendor(
    name="openrouter",
    default_address="https://openrouter.ai/api/v1",
    default_api_key_env="OPENROUTER_API_KEY",
    traits=Traits(
        limit="max_tokens",
        names={"reasoning_effort": "reasoning.effort"},
        extras={"usage": {"include": True}},  # what it cost
    ),
)
together = Vendor(name="together", default_address="https://api.together.xyz/v1", default_api_key_env="TOGETHER_API_KEY")
vllm = Vendor(
    name="vllm",
    default_address="http://127.0.0.1:8000/v1",
    traits=Traits(limit="max_tokens", guided=_structured_outputs),
)
