"""Reads the token counts that providers report, into disjoint buckets.

OpenAI-shaped usage includes cached tokens in the prompt and reasoning in the completion;
`read_usage` separates them. xAI counts reasoning outside of the completion, which shows in the
total. An impossible count (negative, fractional, 0 + 0 for an answer) is unknown, not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from harness.model import Usage

NEURONS_HEADER = "cf-ai-neurons"

_NO_DETAILS: Mapping[str, Any] = {}


def read_usage(raw: Any) -> Usage | None:
    """The usage in an OpenAI-shaped `usage` object, None where it is missing or empty."""
    if not isinstance(raw, dict):
        return None
    prompt, completion = (
        token_count(raw.get("prompt_tokens")),
        token_count(raw.get("completion_tokens")),
    )
    neurons = finite_amount(raw["neurons"]) if "neurons" in raw else None
    cost = _billed_cost(raw) if "cost" in raw or "is_byok" in raw else None
    if not prompt and not completion and not neurons and not cost:
        return None
    cached = written = reasoning = 0
    if within := _nested_object(raw, "prompt_tokens_details"):
        cached = token_count(within.get("cached_tokens")) or 0
        # OpenAI's name, vLLM's name
        written = (
            token_count(within.get("cache_write_tokens"))
            or token_count(within.get("created_cache_tokens"))
            or 0
        )
    if not cached:  # DeepSeek's name; Moonshot's
        hits = raw.get("prompt_cache_hit_tokens", raw.get("cached_tokens"))
        cached = token_count(hits) or 0
    if within := _nested_object(raw, "completion_tokens_details"):
        reasoning = token_count(within.get("reasoning_tokens")) or 0
        if reasoning and completion is not None:
            is_outside = raw.get("total_tokens") == (prompt or 0) + completion + reasoning
            completion = completion if is_outside else max(0, completion - reasoning)
    return Usage(
        input=None if prompt is None else max(0, prompt - cached - written),
        output=completion,
        cache_read=cached,
        cache_write=written,
        reasoning=reasoning,
        neurons=neurons,
        cost=cost,
    )


def read_responses_usage(raw: Any) -> Usage | None:
    """The usage of OpenAI's Responses API: the same counts under other names."""
    if not isinstance(raw, dict):
        return None
    return read_usage(
        {
            "prompt_tokens": raw.get("input_tokens"),
            "prompt_tokens_details": raw.get("input_tokens_details"),
            "completion_tokens": raw.get("output_tokens"),
            "completion_tokens_details": raw.get("output_tokens_details"),
            "total_tokens": raw.get("total_tokens"),
            "cost": _billed_cost(raw),
        }
    )


def add_neurons(usage: Usage | None, headers: Mapping[str, str]) -> Usage | None:
    """`usage` with the neurons of Cloudflare's response header, where the body reported none."""
    if usage is not None and usage.neurons is not None:
        return usage
    neurons = finite_amount(headers[NEURONS_HEADER]) if NEURONS_HEADER in headers else None
    return usage if neurons is None else replace(usage or Usage(), neurons=neurons)


def select_chunk_usage(frames: list[tuple[dict[str, Any], str]]) -> dict[str, Any] | None:
    """The effective `usage` object of a Cloudflare stream whose frames may all carry one.

    Each usage comes with its frame's kind: `total` (without `choices`), `closing` (`choices` is
    empty) or `chunk`. The last total counts; else the last closing one; else chunk usages that
    repeat the prompt are cumulative, so the last counts, and others are increments and summed.
    """
    for kind in ("total", "closing"):
        if of_kind := [usage for usage, is_a in frames if is_a == kind]:
            return of_kind[-1]
    chunks = [usage for usage, _ in frames]
    if not chunks:
        return None
    prompts = [token_count(usage.get("prompt_tokens")) or 0 for usage in chunks]
    if len(chunks) == 1 or prompts[-1] >= max(prompts):
        return chunks[-1]
    completions = [token_count(usage.get("completion_tokens")) or 0 for usage in chunks]
    return {
        **chunks[0],
        "prompt_tokens": sum(prompts),
        "completion_tokens": sum(completions),
        "neurons": None,
    }


def token_count(value: Any) -> int | None:
    """`value` as a number of tokens, None where it is not one."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 1 << 53 else None


def finite_amount(value: Any) -> float | None:
    """`value` as a finite number of neurons or dollars, None where it is not one."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _billed_cost(raw: Mapping[str, Any]) -> float | None:
    """US dollars; for a user's own key behind OpenRouter (BYOK), the upstream vendor's bill plus
    OpenRouter's fee."""
    fee = finite_amount(raw.get("cost"))
    upstream = (
        finite_amount(_nested_object(raw, "cost_details").get("upstream_inference_cost"))
        if raw.get("is_byok") is True
        else None
    )
    return fee if upstream is None else (fee or 0.0) + upstream


def _nested_object(raw: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    details = raw.get(group)
    return details if isinstance(details, dict) else _NO_DETAILS
