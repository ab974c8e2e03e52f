"""Cloudflare Workers AI: the native API, the OpenAI-compatible endpoint, and an AI Gateway."""

from __future__ import annotations

from msgspec.structs import replace

from harness.vendors.facts import (
    Capabilities,
    ProviderFacts,
    flag_or_count,
    integer,
    number,
    parameters,
    strings,
    words,
)

DEFAULT_MAX_TOKENS = 256
"""What the service assumes for an unset `max_tokens`."""

_ACCOUNT = "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}"
_GATEWAY = "https://gateway.ai.cloudflare.com/v1/${CLOUDFLARE_ACCOUNT_ID}/${CLOUDFLARE_GATEWAY_ID}/workers-ai"
_API_KEY_ENV = "CLOUDFLARE_AUTH_TOKEN"
_GATEWAY_PAGE = "developers.cloudflare.com/ai-gateway/usage/providers/workersai"

_ACCOUNT_ENDPOINTS = r"ai(/run(/.+)?|/v1(/(chat/completions|responses|models))?)?"

_SCOUT_NAMES = ("@cf/meta/llama-4-scout-17b-16e-instruct", "llama-4-scout")
OPENAI_SHAPED_MODELS = (
    "@cf/openai/*",
    "@cf/google/gemma-4*",
    "@cf/zai-org/*",
    "@cf/moonshotai/*",
    "@cf/nvidia/*",
    "@cf/qwen/qwen3*",
    "@cf/deepseek-ai/deepseek-v4*",
)
"""Models with OpenAI's request and response shapes behind the native path."""

_SEED = integer(1, 9_999_999_999)

_NATIVE = parameters(
    temperature=number(0, 5),
    top_p=number(0, 2),
    top_k=integer(1, 50),
    max_tokens=integer(1),
    seed=_SEED,
    repetition_penalty=number(0, 2),
    frequency_penalty=number(0, 2),
    presence_penalty=number(0, 2),
)

_OPENAI_SHAPED = parameters(
    temperature=number(0, 5),
    top_p=number(0, 2),
    max_tokens=integer(1),
    stop=strings(4),
    seed=_SEED,
    frequency_penalty=number(-2, 2),
    presence_penalty=number(-2, 2),
    n=integer(1, 128),
    logprobs=flag_or_count(0, 20),
    reasoning_effort=words("low", "medium", "high"),
)

# Which of the endpoint's fields Scout honours is not documented: only what both formats allow.
_SCOUT_CHAT = parameters(
    temperature=number(0, 2),
    top_p=number(0, 1),
    max_tokens=integer(1),
    stop=strings(4),
    seed=_SEED,
    frequency_penalty=number(0, 2),
    presence_penalty=number(0, 2),
)

_SCOUT_ENTRY = Capabilities(
    _SCOUT_NAMES,
    _NATIVE,
    "developers.cloudflare.com/workers-ai/models/llama-4-scout-17b-16e-instruct",
    streaming=True,
    vision=True,
    tools=True,
    json_schema=True,
    context=131_000,
    prompt=True,
    guided_json=True,
    batch=True,
)
_OPENAI_SHAPED_ENTRY = Capabilities(
    OPENAI_SHAPED_MODELS,
    _OPENAI_SHAPED,
    "github.com/cloudflare/workerd types/defines/ai.d.ts",
    streaming=True,
    tools=True,
    json_schema=True,
)
_OTHER_ENTRY = Capabilities(
    ("*",),
    _NATIVE,
    "developers.cloudflare.com/workers-ai/models (the native schema that Llama models share)",
    streaming=True,
    prompt=True,
    guided_json=True,
)

PROVIDERS = (
    ProviderFacts(
        name="cloudflare",
        summary="Workers AI, native API",
        implementation="harness.providers.cloudflare.endpoints:Cloudflare",
        address=_ACCOUNT,
        api_key_env=_API_KEY_ENV,
        default_max_tokens=DEFAULT_MAX_TOKENS,
        simulator_path="/client/v4/accounts/simulated",
        takes_functions=True,
        endpoints=_ACCOUNT_ENDPOINTS,
        models=(
            _SCOUT_ENTRY,
            Capabilities(
                ("@cf/google/gemma-4-26b-a4b-it", "@cf/qwen/qwen3-30b-a3b-fp8"),
                _OPENAI_SHAPED,
                "developers.cloudflare.com/workers-ai/models (both are listed as supporting"
                " batches)",
                streaming=True,
                tools=True,
                json_schema=True,
                batch=True,
            ),
            _OPENAI_SHAPED_ENTRY,
            Capabilities(
                (
                    "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
                    "@cf/aisingapore/gemma-sea-lion-v4-27b-it",
                ),
                _NATIVE,
                "developers.cloudflare.com/workers-ai/models (both are listed as supporting"
                " batches)",
                streaming=True,
                prompt=True,
                guided_json=True,
                batch=True,
            ),
            _OTHER_ENTRY,
        ),
    ),
    ProviderFacts(
        name="cloudflare-gateway",
        summary="Workers AI through an AI Gateway",
        implementation="harness.providers.cloudflare.endpoints:CloudflareGateway",
        address=_GATEWAY,
        api_key_env=_API_KEY_ENV,
        default_max_tokens=DEFAULT_MAX_TOKENS,
        price_vendor="cloudflare",
        simulator_path="/v1/simulated/gateway/workers-ai",
        takes_functions=True,
        endpoints=r"@\w+/.+|v1(/chat/completions)?",
        models=(
            replace(_SCOUT_ENTRY, batch=False, source=_GATEWAY_PAGE),
            replace(_OPENAI_SHAPED_ENTRY, source=_GATEWAY_PAGE),
            replace(_OTHER_ENTRY, source=_GATEWAY_PAGE),
        ),
    ),
    ProviderFacts(
        name="cloudflare-chat",
        summary="Workers AI, OpenAI-compatible",
        implementation="harness.providers.cloudflare.endpoints:CloudflareChat",
        address=_ACCOUNT,
        api_key_env=_API_KEY_ENV,
        default_max_tokens=DEFAULT_MAX_TOKENS,
        price_vendor="cloudflare",
        simulator_path="/client/v4/accounts/simulated",
        endpoints=_ACCOUNT_ENDPOINTS,
        models=(
            Capabilities(
                _SCOUT_NAMES,
                _SCOUT_CHAT,
                "developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
                streaming=True,
                vision=True,
                tools=True,
                json_schema=True,
                context=131_000,
            ),
            replace(_OPENAI_SHAPED_ENTRY, models=("*",)),
        ),
    ),
)
