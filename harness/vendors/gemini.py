"""Google's Gemini API."""

from __future__ import annotations

from msgspec.structs import replace

from harness.vendors.facts import (
    Capabilities,
    ImageLimits,
    Parameter,
    ProviderFacts,
    flag_or_count,
    integer,
    number,
    parameters,
    strings,
    words,
)

_SOURCE = "ai.google.dev/api/generate-content and ai.google.dev/gemini-api/docs/thinking"
_THINKING = "generationConfig.thinkingConfig"

_SAMPLING = parameters(
    temperature=number(0, 2, field="generationConfig.temperature"),
    top_p=number(0, 1, field="generationConfig.topP"),
    top_k=integer(1, field="generationConfig.topK"),
    max_tokens=integer(1, field="generationConfig.maxOutputTokens"),
    stop=strings(5, field="generationConfig.stopSequences"),
    seed=integer(-(2**31), 2**31 - 1, field="generationConfig.seed"),
    frequency_penalty=number(-2, below=2, field="generationConfig.frequencyPenalty"),
    presence_penalty=number(-2, below=2, field="generationConfig.presencePenalty"),
    n=integer(1, 8, field="generationConfig.candidateCount"),
    logprobs=flag_or_count(0, 20, field="generationConfig.responseLogprobs"),
)


def _thinking(effort: Parameter) -> dict[str, Parameter]:
    return {**_SAMPLING, **parameters(reasoning_effort=effort)}


_LEVELS = _thinking(
    words("minimal", "low", "medium", "high", "xhigh", field=f"{_THINKING}.thinkingLevel")
)

_GEMINI = Capabilities(
    ("gemini-*",),
    _LEVELS,
    _SOURCE,
    streaming=True,
    vision=True,
    tools=True,
    json_schema=True,
    late_system=False,
    images=ImageLimits(("image/png", "image/jpeg", "image/webp")),
)

PROVIDERS = (
    ProviderFacts(
        name="gemini",
        summary="Gemini generateContent",
        failures_are_free=True,  # ai.google.dev/gemini-api/docs/billing, on failed requests
        implementation="harness.providers.gemini.generate_content:Gemini",
        address="https://generativelanguage.googleapis.com",
        api_key_env="GEMINI_API_KEY",
        api_versions=("v1beta", "v1"),
        default_api_version="v1beta",
        hosts=("generativelanguage.googleapis.com",),
        endpoints=r"(?P<version>v1beta|v1)(/openai(/chat/completions)?|/models(/[^/]+)?)?",
        simulator_path="",
        notes="`api_version` (`v1beta` by default, or `v1`) follows the address",
        models=(
            # Thinking has a budget here, and a level from Gemini 3 on; this model's budget cannot
            # be 0.
            replace(
                _GEMINI,
                models=("gemini-2.5-pro*",),
                parameters=_thinking(
                    words("low", "medium", "high", field=f"{_THINKING}.thinkingBudget")
                ),
                context=1_048_576,
            ),
            replace(
                _GEMINI,
                models=("gemini-2.5*",),
                parameters=_thinking(
                    words("none", "low", "medium", "high", field=f"{_THINKING}.thinkingBudget")
                ),
                context=1_048_576,
            ),
            replace(
                _GEMINI,
                models=("gemini-1*", "gemini-2.0*"),
                parameters=_SAMPLING,
                source="ai.google.dev/api/generate-content (models without thinking)",
            ),
            _GEMINI,
            # Gemma, and tuned models.
            Capabilities(("*",), _LEVELS, _SOURCE, streaming=True, late_system=False),
        ),
    ),
)
