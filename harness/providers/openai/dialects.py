"""Vendors of chat completions, each a provider of its own name: how their requests deviate from
OpenAI's.

Where they are and what they take are facts (`harness.vendors`); the names of their parameters are
derived from these. Here is only what needs code. Vendors' own fields in answers are decoded by
`OpenAIDecoder`, whoever sends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import structs

from harness.model import EncodedRequest, Request, ResponseFormat, Target
from harness.providers.base import BuiltInProvider
from harness.providers.openai import chat_format
from harness.providers.openai.chat_completions import (
    DEFAULT_DIALECT,
    ChatDialect,
    OpenAIDecoder,
    encode_chat_completion,
)
from harness.vendors.facts import ProviderFacts


class ChatVendor(BuiltInProvider):
    """A provider of chat completions."""

    def __init__(self, facts: ProviderFacts) -> None:
        super().__init__(facts)
        parameters = [each for entry in facts.models for each in entry.parameters.values()]
        names = {each.name: each.field for each in parameters if each.field != each.name}
        self._dialect = structs.replace(
            _DIALECTS.get(facts.name, DEFAULT_DIALECT), parameter_names=names
        )

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /chat/completions`. Raises ValueError for what this
        vendor's format cannot carry."""
        return encode_chat_completion(
            target, request, "/chat/completions", request.sampling, self._dialect
        )

    def make_decoder(self, target: Target, request: Request) -> OpenAIDecoder:
        """A new decoder for one attempt at `request`."""
        return OpenAIDecoder(request)


class AzureVendor(ChatVendor):
    """OpenAI's models at Azure: a model is a deployment in the path, the key has its own header,
    the version is a query.

    The version `v1` is the newer API without a query, where the deployment is the `model` of the
    body.
    """

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """`POST /openai/…/chat/completions`. Raises ValueError for a raw prompt."""
        version = target.api_version or self.default_api_version or "v1"
        deployment = "v1" if version == "v1" else f"deployments/{quote(target.model, safe='')}"
        query = "" if version == "v1" else f"?api-version={version}"
        path = f"/openai/{deployment}/chat/completions{query}"
        encoded = encode_chat_completion(target, request, path, request.sampling, self._dialect)
        return structs.replace(encoded, auth=chat_format.api_key_auth(target, "api-key", ""))


def _llamacpp_response_format(wanted: ResponseFormat) -> dict[str, Any]:
    """The schema beside the type `json_object`.

    llama-server's README shows it beside `json_schema` too, which its code does not read; this form
    is also llama-cpp-python's.
    """
    schema = {} if wanted.schema is None else {"schema": wanted.schema}
    return {"type": "json_object", **schema}


def _vllm_guided_json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"structured_outputs": {"json": schema}}


def _llamacpp_guided_json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"json_schema": schema}


_DIALECTS: Mapping[str, ChatDialect] = {
    "azure": ChatDialect(developer_role="developer"),
    # A turn that called tools is refused without its reasoning, even if that is empty.
    "deepseek": ChatDialect(echo_reasoning=True),
    "llamacpp": ChatDialect(
        encode_response_format=_llamacpp_response_format,
        encode_guided_json=_llamacpp_guided_json,
        extra_fields={
            "cache_prompt": False
        },  # a prompt in the server's cache makes every repeat faster than the first
    ),
    "mistral": ChatDialect(
        required_tool_choice="any",
        encode_tool_call_id=chat_format.nine_character_id,
        stream_options=False,  # refused as unknown; the usage is reported anyway
    ),
    "openrouter": ChatDialect(extra_fields={"usage": {"include": True}}),  # the cost
    "vllm": ChatDialect(encode_guided_json=_vllm_guided_json, says_strict=True),
}
"""By provider; the others have none."""
