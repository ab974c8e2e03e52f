"""Anthropic: the Messages API in both of its versions."""

from __future__ import annotations

from msgspec.structs import replace

from harness.vendors.facts import (
    Capabilities,
    ImageLimits,
    ProviderFacts,
    integer,
    number,
    parameters,
    strings,
    words,
)

DEFAULT_MAX_TOKENS = 4096
"""Sent where a suite sets none: the API has no default, and this is the most that its oldest models
can write."""

_SOURCE = "docs.anthropic.com/en/api/messages (version 2023-06-01)"
_IMAGES = ImageLimits(
    ("image/png", "image/jpeg", "image/gif", "image/webp"),
    max_bytes=5_242_880,
    max_side=8000,
    max_count=100,
)

_MAX_TOKENS = integer(1)
_STOP = strings(field="stop_sequences", blank=False)
_EFFORT = words("low", "medium", "high", "xhigh", "max", "none", field="output_config.effort")

_SAMPLING = parameters(
    temperature=number(0, 1),
    top_p=number(0, 1),
    top_k=integer(0),
    max_tokens=_MAX_TOKENS,
    stop=_STOP,
)

# Models with a thinking budget instead of an effort take
# `extra_body: {thinking: {type: enabled, budget_tokens: …}}`.
_CLAUDE_3 = Capabilities(
    ("claude-3*", "claude-*-4-0*", "claude-*-4-20*"),
    _SAMPLING,
    _SOURCE,
    streaming=True,
    vision=True,
    tools=True,
    json_object=False,
    late_system=False,
    images=_IMAGES,
)

PROVIDERS = (
    ProviderFacts(
        name="anthropic",
        summary="Anthropic Messages",
        implementation="harness.providers.anthropic:Anthropic",
        address="https://api.anthropic.com/v1",
        api_key_env="ANTHROPIC_API_KEY",
        default_max_tokens=DEFAULT_MAX_TOKENS,
        api_versions=("2023-06-01", "2026-10-21"),
        default_api_version="2023-06-01",
        hosts=("api.anthropic.com",),
        endpoints=r"messages(/batches|/count_tokens)?|complete|models",
        sdk_path="/v1",
        simulator_path="/v1",
        models=(
            # The newer version refuses sampling parameters, whatever the value.
            replace(
                _CLAUDE_3,
                models=("*",),
                api_versions=("2026-10-21",),
                parameters=parameters(max_tokens=_MAX_TOKENS, stop=_STOP, reasoning_effort=_EFFORT),
                source="docs.anthropic.com/en/api/versioning and /messages",
                json_schema=True,
            ),
            _CLAUDE_3,
            # From 4.1 on, temperature and top_p exclude each other.
            replace(
                _CLAUDE_3,
                models=("claude-*-4-1*", "claude-*-4-5*"),
                parameters={
                    **_SAMPLING,
                    **parameters(temperature=number(0, 1, not_with=("top_p",))),
                },
            ),
            replace(
                _CLAUDE_3,
                models=("claude-*-4-6*",),
                parameters=parameters(
                    temperature=number(0, 1, not_with=("top_p", "reasoning_effort")),
                    top_p=number(0, 1, not_with=("reasoning_effort",)),
                    top_k=integer(0, not_with=("reasoning_effort",)),
                    max_tokens=_MAX_TOKENS,
                    stop=_STOP,
                    reasoning_effort=_EFFORT,
                ),
                json_schema=True,
            ),
            # Newer models refuse any sampling but the default, in the older version too.
            replace(
                _CLAUDE_3,
                models=("claude-*",),
                parameters=parameters(
                    temperature=number(1, 1),
                    max_tokens=_MAX_TOKENS,
                    stop=_STOP,
                    reasoning_effort=_EFFORT,
                ),
                json_schema=True,
            ),
            # Other models behind a server that speaks the format.
            Capabilities(
                ("*",),
                {**_SAMPLING, **parameters(reasoning_effort=_EFFORT)},
                _SOURCE,
                streaming=True,
                json_object=False,
                late_system=False,
            ),
        ),
    ),
)
