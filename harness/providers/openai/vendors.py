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
from harness.providers.openai.chat_completions import ChatDialect, OpenAIDecoder, encode_chat_completion

_USUAL = ChatDialect(output_limit_field="max_tokens")
_OF_OPENAI = ChatDialect(output_limit_field="max_completion_tokens")


@dataclass(frozen=True, slots=True)
class ChatVendor:
    """A provider of chat completions; without an address of its own, a target must give one."""

    name: str
    default_address: str | None
    default_api_key_env: str | None = None
    dialect: ChatDialect = _USUAL
    default_max_tokens: int | None = None

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /chat/completions`. Raises ValueError for what this vendor's format cannot carry."""
        return encode_chat_completion(target, request, "/chat/completions", request.sampling, self.dialect)

    def make_decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A fresh decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


@dataclass(frozen=True, slots=True)
class AzureVendor:
    """OpenAI's models at Azure: a model is a deployment in the path, the key has a header of its own, the version is a query.

    The version `v1` is the newer API without a query, where the deployment is the `model` of the body.
    """

    name: str = "azure"
    default_address: str | None = "${AZURE_OPENAI_ENDPOINT}"
    default_api_key_env: str | None = "AZURE_OPENAI_API_KEY"
    default_max_tokens: int | None = None
    api_versions: tuple[str, ...] = ("v1", "20??-??-??", "20??-??-??-preview")
    default_api_version: str | None = "2024-10-21"
    dialect: ChatDialect = _OF_OPENAI

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /openai/…/chat/completions`. Raises ValueError for a raw prompt."""
        version = target.api_version or self.default_api_version or "v1"
        deployment = "v1" if version == "v1" else f"deployments/{quote(target.model, safe='')}"
        query = "" if version == "v1" else f"?api-version={version}"
        sent = encode_chat_completion(
            target, request, f"/openai/{deployment}/chat/completions{query}", request.sampling, self.dialect
        )
        return replace(sent, auth=chat_format.api_key_auth(target, "api-key", ""))

    def make_decoder(self, target: Target, request: Request) -> OpenAIDecoder:
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


azure = AzureVendor()
deepseek = ChatVendor(
    name="deepseek",
    default_address="https://api.deepseek.com",
    default_api_key_env="DEEPSEEK_API_KEY",
    # A turn that called tools is refused without what was thought before it, be it nothing.
    dialect=ChatDialect(output_limit_field="max_tokens", echo_reasoning=True),
)
groq = ChatVendor(
    name="groq",
    default_address="https://api.groq.com/openai/v1",
    default_api_key_env="GROQ_API_KEY",
    dialect=_OF_OPENAI,
)
llamacpp = ChatVendor(
    name="llamacpp",
    default_address="http://127.0.0.1:8080/v1",
    dialect=ChatDialect(
        output_limit_field="max_tokens",
        parameter_names={"repetition_penalty": "repeat_penalty"},
        encode_response_format=_llamacpp_format,
        encode_guided_json=_json_schema,
        # A prompt that is already in the server's cache makes every repeat faster than the first.
        extra_fields={"cache_prompt": False},
    ),
)
mistral = ChatVendor(
    name="mistral",
    default_address="https://api.mistral.ai/v1",
    default_api_key_env="MISTRAL_API_KEY",
    dialect=ChatDialect(
        output_limit_field="max_tokens",
        parameter_names={"seed": "random_seed"},
        required_tool_choice="any",
        encode_tool_call_id=chat_format.nine_character_id,
        stream_options=False,  # refused as unknown; the usage comes anyway
    ),
)
ollama = ChatVendor(name="ollama", default_address="http://127.0.0.1:11434/v1")
openrouter = ChatVendor(
    name="openrouter",
    default_address="https://openrouter.ai/api/v1",
    default_api_key_env="OPENROUTER_API_KEY",
    dialect=ChatDialect(
        output_limit_field="max_tokens",
        parameter_names={"reasoning_effort": "reasoning.effort"},
        extra_fields={"usage": {"include": True}},  # what it cost
    ),
)
together = ChatVendor(name="together", default_address="https://api.together.xyz/v1", default_api_key_env="TOGETHER_API_KEY")
vllm = ChatVendor(
    name="vllm",
    default_address="http://127.0.0.1:8000/v1",
    dialect=ChatDialect(output_limit_field="max_tokens", encode_guided_json=_structured_outputs),
)
