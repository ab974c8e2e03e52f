"""Vendors and servers of OpenAI's chat completions. Adding one is one entry here (and its row in
the table of proofs).

What a request says differently is derived from the `field`s of the parameters; other deviations are
a dialect in `harness.providers.openai.dialects`. Vendors' own fields in answers (Groq's and
DeepSeek's usage, OpenRouter's cost, Mistral's thinking) are decoded whoever sends them.
"""

from __future__ import annotations

from harness.vendors.facts import (
    CHAT_ENDPOINTS,
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
from harness.vendors.openai import COMPATIBLE, VLLM_SOURCE

PROVIDERS = (
    ProviderFacts(
        name="vllm",
        summary="vLLM",
        address="http://127.0.0.1:8000/v1",
        simulator_path="/vllm/v1",
        notes=(
            "`guided_json` is sent as `structured_outputs: {json}`; `strict: true` in functions"
            " whose schema is closed, because vLLM does not otherwise enforce the schema of forced"
            " calls"
        ),
        models=(
            Capabilities(
                ("*",), COMPATIBLE, VLLM_SOURCE, streaming=True, json_schema=True, guided_json=True
            ),
        ),
    ),
    ProviderFacts(
        name="llamacpp",
        summary="llama.cpp's llama-server",
        address="http://127.0.0.1:8080/v1",
        simulator_path="/llamacpp/v1",
        endpoints=rf"{CHAT_ENDPOINTS}|completion",
        notes=(
            "`cache_prompt: false`, so that repeats take as long as the first; a schema is sent as"
            " `{type: json_object, schema}`, `guided_json` as `json_schema`"
        ),
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0),
                    top_p=number(0, 1),
                    top_k=integer(0),
                    min_p=number(0, 1),
                    max_tokens=integer(1),
                    stop=strings(),
                    seed=integer(0, 2**32 - 1),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    repetition_penalty=number(above=0, field="repeat_penalty"),
                    logprobs=flag_or_count(0),
                ),
                "github.com/ggml-org/llama.cpp tools/server/README.md",
                streaming=True,
                json_schema=True,
                guided_json=True,
            ),
        ),
    ),
    ProviderFacts(
        name="ollama",
        summary="Ollama",
        address="http://127.0.0.1:11434/v1",
        endpoints=rf"{CHAT_ENDPOINTS}|(?P<other>api(/(chat|generate|tags))?)",
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0),
                    top_p=number(0, 1),
                    max_tokens=integer(1),
                    stop=strings(),
                    seed=integer(0, 2**31 - 1),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    logprobs=flag_or_count(0, 20),
                    reasoning_effort=words(),
                ),
                "docs.ollama.com/api/openai-compatibility",
                streaming=True,
                json_schema=True,
            ),
        ),
    ),
    ProviderFacts(
        name="groq",
        summary="Groq",
        address="https://api.groq.com/openai/v1",
        api_key_env="GROQ_API_KEY",
        hosts=("api.groq.com",),
        notes="a stream's usage is read from `x_groq`",
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0, 2),
                    top_p=number(0, 1),
                    max_tokens=integer(1, field="max_completion_tokens"),
                    stop=strings(4),
                    seed=integer(*INT64),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    n=integer(1, 1),
                    reasoning_effort=words("none", "default", "low", "medium", "high"),
                ),
                "console.groq.com/docs/api-reference",
                streaming=True,
            ),
        ),
    ),
    ProviderFacts(
        name="mistral",
        summary="Mistral",
        address="https://api.mistral.ai/v1",
        api_key_env="MISTRAL_API_KEY",
        hosts=("api.mistral.ai",),
        simulator_path="/mistral/v1",
        notes=(
            "`tool_choice: any` for required; call ids of nine letters and digits; no"
            " `stream_options`; its thinking chunks are read as reasoning"
        ),
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0, 1.5),
                    top_p=number(0, 1),
                    top_k=integer(1),
                    max_tokens=integer(1),
                    stop=strings(),
                    seed=integer(0, 2**63 - 1, field="random_seed"),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    repetition_penalty=number(above=0),
                    n=integer(1),
                    logprobs=flag_or_count(0),
                    reasoning_effort=words(
                        "none", "minimal", "low", "medium", "high", "xhigh", "max"
                    ),
                ),
                "mistralai 3.7 SDK, ChatCompletionRequest",
                streaming=True,
                tools=True,
                json_schema=True,
            ),
        ),
    ),
    ProviderFacts(
        name="deepseek",
        summary="DeepSeek",
        address="https://api.deepseek.com",
        api_key_env="DEEPSEEK_API_KEY",
        hosts=("api.deepseek.com",),
        notes=(
            "a turn that called tools is sent back with its `reasoning_content`, as the API"
            " demands; no JSON Schema"
        ),
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0, 2),
                    top_p=number(0, 1),
                    max_tokens=integer(1),
                    stop=strings(16),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    logprobs=flag_or_count(0, 20),
                    reasoning_effort=words("minimal", "low", "medium", "high", "xhigh", "max"),
                ),
                "api-docs.deepseek.com/api/create-chat-completion",
                streaming=True,
                vision=False,
                tools=True,
                json_schema=False,
            ),
        ),
    ),
    ProviderFacts(
        name="openrouter",
        summary="OpenRouter",
        address="https://openrouter.ai/api/v1",
        api_key_env="OPENROUTER_API_KEY",
        hosts=("openrouter.ai",),
        notes="`usage: {include: true}` asks for the cost",
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0, 2),
                    top_p=number(above=0, maximum=1),
                    top_k=integer(0),
                    min_p=number(0, 1),
                    max_tokens=integer(1),
                    stop=strings(),
                    seed=integer(*INT64),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    repetition_penalty=number(above=0, maximum=2),
                    logprobs=flag_or_count(0, 20),
                    reasoning_effort=words(
                        "none",
                        "minimal",
                        "low",
                        "medium",
                        "high",
                        "xhigh",
                        "max",
                        field="reasoning.effort",
                    ),
                ),
                "openrouter.ai/docs/api_reference/parameters",
                streaming=True,
            ),
        ),
    ),
    ProviderFacts(
        name="together",
        summary="Together",
        address="https://api.together.xyz/v1",
        api_key_env="TOGETHER_API_KEY",
        hosts=("api.together.xyz",),
        models=(
            # Its log probabilities are requested as a number and come in a form of their own: not
            # supported.
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0, 2),
                    top_p=number(0, 1),
                    top_k=integer(1),
                    min_p=number(0, 1),
                    max_tokens=integer(1),
                    stop=strings(),
                    seed=integer(*INT64),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    repetition_penalty=number(above=0),
                    n=integer(1, 128),
                    reasoning_effort=words("low", "medium", "high"),
                ),
                "docs.together.ai/reference/chat-completions",
                streaming=True,
            ),
        ),
    ),
    ProviderFacts(
        name="fireworks",
        summary="Fireworks",
        address="https://api.fireworks.ai/inference/v1",
        api_key_env="FIREWORKS_API_KEY",
        default_max_tokens=2000,
        hosts=("api.fireworks.ai",),
        models=(
            Capabilities(
                ("*",),
                parameters(
                    temperature=number(0, 2),
                    top_p=number(0, 1),
                    top_k=integer(0, 100),
                    min_p=number(0, 1),
                    max_tokens=integer(1),
                    stop=strings(4),
                    frequency_penalty=number(-2, 2),
                    presence_penalty=number(-2, 2),
                    repetition_penalty=number(0, 2),
                    n=integer(1, 128),
                    logprobs=flag_or_count(0, 5),
                    reasoning_effort=words("none", "low", "medium", "high"),
                ),
                "docs.fireworks.ai/api-reference/post-chatcompletions",
                streaming=True,
            ),
        ),
    ),
)
