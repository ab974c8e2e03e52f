"""OpenAI: chat completions, the Responses API, and the same models at Azure."""

from __future__ import annotations

from msgspec.structs import replace

from harness.vendors.facts import (
    INT64,
    Capabilities,
    ProviderFacts,
    flag_or_count,
    integer,
    number,
    parameters,
    strings,
    words,
)

# What vLLM and llama.cpp take: the widest of the compatible servers.
COMPATIBLE = parameters(
    temperature=number(0, 2),
    top_p=number(above=0, maximum=1),
    top_k=integer(-1),
    min_p=number(0, 1),
    max_tokens=integer(1),
    stop=strings(),
    seed=integer(*INT64),
    frequency_penalty=number(-2, 2),
    presence_penalty=number(-2, 2),
    repetition_penalty=number(above=0),
    n=integer(1),
    logprobs=flag_or_count(0),
    reasoning_effort=words(),
)
VLLM_SOURCE = "vLLM 0.33 chat completion protocol"

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_OFF = ("none",)
_CHAT_NAMES = ("gpt-5*-chat*",)
"""Models of ChatGPT, which do not reason."""
_ALWAYS_REASONING_NAMES = ("gpt-5*-codex*", "gpt-5*-pro*")
_SWITCHABLE_NAMES = tuple(f"{tuned}gpt-5.{minor}*" for tuned in ("", "ft:") for minor in "1234")
"""Models whose reasoning is off unless asked for; while it is, they take sampling parameters."""
_REASONING_NAMES = tuple(
    f"{tuned}{name}*" for tuned in ("", "ft:") for name in ("gpt-5", "gpt-6", "o1", "o3", "o4")
)

_REASONING = Capabilities(
    _REASONING_NAMES,
    parameters(
        temperature=number(1, 1),
        top_p=number(1, 1),
        max_tokens=integer(1, field="max_completion_tokens"),
        seed=integer(*INT64),
        n=integer(1, 8),
        reasoning_effort=words(*_EFFORTS),
    ),
    "platform.openai.com/docs/api-reference/chat (reasoning models refuse sampling parameters)",
    streaming=True,
    vision=True,
    tools=True,
    json_schema=True,
)
_ALWAYS_REASONING = replace(_REASONING, models=_ALWAYS_REASONING_NAMES)
_SWITCHABLE = replace(
    _REASONING,
    models=_SWITCHABLE_NAMES,
    parameters={
        **_REASONING.parameters,
        **parameters(
            temperature=number(0, 2, efforts=_OFF),
            top_p=number(0, 1, efforts=_OFF),
            logprobs=flag_or_count(0, 20, efforts=_OFF),
        ),
    },
    source="platform.openai.com/docs/guides/latest-model (parameters with reasoning effort none)",
)
_PLAIN = Capabilities(
    ("gpt-*", "chatgpt-*", "ft:gpt-*"),
    parameters(
        temperature=number(0, 2),
        top_p=number(0, 1),
        max_tokens=integer(1, field="max_completion_tokens"),
        stop=strings(4),
        seed=integer(*INT64),
        frequency_penalty=number(-2, 2),
        presence_penalty=number(-2, 2),
        n=integer(1, 128),
        logprobs=flag_or_count(0, 20),
    ),
    "platform.openai.com/docs/api-reference/chat",
    streaming=True,
    vision=True,
    tools=True,
    json_schema=True,
)

_CHAT = replace(_PLAIN, models=_CHAT_NAMES)

_RESPONSES_SOURCE = "platform.openai.com/docs/api-reference/responses"
_RESPONSES_PARAMETERS = parameters(
    temperature=number(0, 2),
    top_p=number(0, 1),
    max_tokens=integer(16, field="max_output_tokens"),
    logprobs=flag_or_count(0, 20, field="top_logprobs"),
)

_RESPONSES_REASONING = Capabilities(
    _REASONING_NAMES,
    parameters(
        temperature=number(1, 1),
        max_tokens=integer(16, field="max_output_tokens"),
        reasoning_effort=words(*_EFFORTS, field="reasoning.effort"),
    ),
    f"{_RESPONSES_SOURCE} (reasoning models refuse sampling parameters)",
    streaming=True,
    vision=True,
    tools=True,
    json_schema=True,
)
_RESPONSES_PLAIN = Capabilities(
    ("gpt-4*", "chatgpt-*", "ft:gpt-*"),
    _RESPONSES_PARAMETERS,
    _RESPONSES_SOURCE,
    streaming=True,
    vision=True,
    tools=True,
    json_schema=True,
)

_AZURE_SOURCE = "learn.microsoft.com/azure/ai-services/openai/reference"

PROVIDERS = (
    ProviderFacts(
        name="openai",
        summary="OpenAI chat completions, and every compatible server",
        implementation="harness.providers.openai.chat_completions:OpenAI",
        address="https://api.openai.com/v1",
        api_key_env="OPENAI_API_KEY",
        hosts=("api.openai.com",),
        unversioned_hosts=("api.perplexity.ai", "models.inference.ai.azure.com"),
        simulator_path="/v1",
        models=(
            # Open weights that others serve under OpenAI's name are not OpenAI's models.
            Capabilities(("gpt-oss*", "*/*"), COMPATIBLE, VLLM_SOURCE, streaming=True),
            _CHAT,
            _ALWAYS_REASONING,
            _SWITCHABLE,
            _REASONING,
            _PLAIN,
            # Any other server of the format.
            Capabilities(("*",), COMPATIBLE, VLLM_SOURCE, streaming=True),
        ),
    ),
    ProviderFacts(
        name="openai-responses",
        summary="OpenAI Responses",
        implementation="harness.providers.openai.responses_api:OpenAIResponses",
        address="https://api.openai.com/v1",
        api_key_env="OPENAI_API_KEY",
        price_vendor="openai",
        hosts=("api.openai.com",),
        simulator_path="/v1",
        models=(
            replace(_RESPONSES_PLAIN, models=_CHAT_NAMES),
            replace(_RESPONSES_REASONING, models=_ALWAYS_REASONING_NAMES),
            replace(
                _RESPONSES_REASONING,
                models=_SWITCHABLE_NAMES,
                parameters={
                    **_RESPONSES_REASONING.parameters,
                    **parameters(
                        temperature=number(0, 2, efforts=_OFF),
                        top_p=number(0, 1, efforts=_OFF),
                        logprobs=flag_or_count(0, 20, field="top_logprobs", efforts=_OFF),
                    ),
                },
            ),
            _RESPONSES_REASONING,
            _RESPONSES_PLAIN,
            # Another server of the format, or an unknown model.
            Capabilities(
                ("*",),
                {
                    **_RESPONSES_PARAMETERS,
                    **parameters(reasoning_effort=words(field="reasoning.effort")),
                },
                _RESPONSES_SOURCE,
                streaming=True,
            ),
        ),
    ),
    ProviderFacts(
        name="azure",
        summary="Azure OpenAI chat completions",
        implementation="harness.providers.openai.dialects:AzureVendor",
        address="${AZURE_OPENAI_ENDPOINT}",
        api_key_env="AZURE_OPENAI_API_KEY",
        api_versions=("v1", "20??-??-??", "20??-??-??-preview"),
        default_api_version="2024-10-21",
        endpoints=(
            r"openai(/(?P<version>v1)|/deployments(/[^/]+)?)?"
            r"(/(chat/completions|completions|responses|models))?"
        ),
        notes=(
            "the key goes in the header `api-key`; the model is the deployment's name;"
            " `api_version` is a query (2024-10-21 by default; `v1` for the API without one)"
        ),
        models=(
            # A model is a deployment, and only its owner knows of what: a name that says so is
            # believed.
            *(
                replace(entry, source=_AZURE_SOURCE)
                for entry in (_CHAT, _ALWAYS_REASONING, _SWITCHABLE, _REASONING)
            ),
            replace(
                _PLAIN,
                models=("*",),
                source=_AZURE_SOURCE,
                vision=None,
                tools=None,
                json_schema=None,
            ),
        ),
    ),
)
