"""What models take, from the table that ships, and that the encoders agree with it."""

from __future__ import annotations

import json
import math
from functools import reduce
from typing import Any

import pytest

from harness import registry
from harness.model import Message, Request, Target
from harness.providers.capabilities import (
    CapabilityTable,
    built_in_table,
    check_sampling,
    seed_range,
)
from harness.vendors import PROVIDERS
from harness.vendors.facts import Capabilities, Parameter, integer, number, parameters

TABLE = built_in_table()
SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


@pytest.mark.parametrize(
    ("sampling", "wrong"),
    [
        (
            {
                "temperature": 0,
                "top_p": 1,
                "top_k": 50,
                "seed": 1,
                "max_tokens": 64,
                "repetition_penalty": 1.1,
            },
            [],
        ),
        ({"temperature": 5}, []),
        ({"temperature": 5.01}, ["temperature"]),
        ({"temperature": math.nan}, ["temperature"]),
        ({"temperature": math.inf}, ["temperature"]),
        ({"temperature": "hot"}, ["temperature"]),
        ({"temperature": True}, ["temperature"]),
        ({"top_k": 0}, ["top_k"]),
        ({"top_k": -1}, ["top_k"]),
        ({"top_k": 20.5}, ["top_k"]),
        ({"seed": 0}, ["seed"]),
        ({"seed": 9_999_999_999}, []),
        ({"seed": 10_000_000_000}, ["seed"]),
        (
            {"frequency_penalty": -0.5, "presence_penalty": 2.5},
            ["frequency_penalty", "presence_penalty"],
        ),
        ({"max_tokens": 0}, ["max_tokens"]),
        ({"temperature": None, "stop": None}, []),
    ],
)
def test_scouts_schema(sampling: dict[str, Any], wrong: list[str]) -> None:
    violations = check_sampling(TABLE, "cloudflare", SCOUT, sampling)
    assert [each.parameter for each in violations] == wrong
    assert not any(each.unsupported for each in violations)


def test_the_message_says_what_would_be_right() -> None:
    (violation,) = check_sampling(TABLE, "cloudflare", SCOUT, {"seed": 0})
    assert (
        violation.message
        == f"seed must be a whole number from 1 to 9999999999 for {SCOUT} on cloudflare, not 0"
    )


def test_what_is_not_supported_at_all_may_be_dropped() -> None:
    sampling = {"temperature": 9, "stop": ["\n"], "min_p": 0.1}
    violations = check_sampling(TABLE, "cloudflare", SCOUT, sampling)
    assert [(each.parameter, each.unsupported) for each in violations] == [
        ("temperature", False),
        ("stop", True),
        ("min_p", True),
    ]


@pytest.mark.parametrize(
    ("model", "sampling", "wrong"),
    [
        ("gpt-4.1", {"temperature": 2, "frequency_penalty": -2, "stop": "x", "logprobs": True}, []),
        (
            "gpt-4.1",
            {"temperature": 2.5, "top_k": 3, "stop": list("abcde"), "logprobs": 21},
            ["temperature", "top_k", "stop", "logprobs"],
        ),
        ("gpt-5.6-sol", {"temperature": 1, "reasoning_effort": "low"}, []),
        (
            "gpt-5.6-sol",
            {"temperature": 0, "top_p": 0.9, "reasoning_effort": "huge"},
            ["temperature", "top_p", "reasoning_effort"],
        ),
        ("gpt-4.1", {"logprobs": 20}, []),
        ("gpt-5.1", {"temperature": 0, "reasoning_effort": "none"}, []),
        ("gpt-5.2", {"temperature": 0, "top_p": 0.5, "logprobs": 5}, []),
        ("gpt-5.1", {"temperature": 0, "reasoning_effort": "low"}, ["temperature"]),
        (
            "gpt-5.2",
            {"top_p": 0.5, "logprobs": 5, "reasoning_effort": "high"},
            ["top_p", "logprobs"],
        ),
        ("gpt-5.1", {"temperature": 1, "reasoning_effort": "low"}, []),
        ("gpt-5.1-codex", {"temperature": 0}, ["temperature"]),
        ("gpt-5", {"temperature": 0, "reasoning_effort": "minimal"}, ["temperature"]),
        ("gpt-5.2-chat-latest", {"temperature": 0, "stop": "x"}, []),
        ("ft:o4-mini-2025-04-16:acme::1", {"temperature": 0}, ["temperature"]),
        ("ft:gpt-4.1-mini:acme::1", {"temperature": 0, "top_k": 3}, ["top_k"]),
        ("tiny", {"top_k": 0, "min_p": 0.05, "repetition_penalty": 1.2, "top_p": 1}, []),
        (
            "tiny",
            {"top_p": 0, "repetition_penalty": 0, "stop": []},
            ["top_p", "repetition_penalty", "stop"],
        ),
        ("openai/gpt-oss-20b", {"temperature": 0.5, "top_k": 40}, []),
    ],
)
def test_openai_and_its_kin(model: str, sampling: dict[str, Any], wrong: list[str]) -> None:
    assert [each.parameter for each in check_sampling(TABLE, "openai", model, sampling)] == wrong


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "azure"])
def test_sampling_of_a_model_whose_reasoning_is_off(provider: str) -> None:
    given = {"temperature": 0, "top_p": 0.5, "logprobs": 2}
    assert check_sampling(TABLE, provider, "gpt-5.1", given | {"reasoning_effort": "none"}) == []
    refused = check_sampling(TABLE, provider, "gpt-5.1", given | {"reasoning_effort": "low"})
    assert [(each.parameter, each.unsupported) for each in refused] == [
        (name, True) for name in given
    ]
    assert refused[0].message == (
        f"gpt-5.1 on {provider} takes temperature only with reasoning_effort none, not low; remove"
        " one of them, set `unsupported: drop`, or declare it as supported in a capabilities.yaml"
        " next to the suite"
    )
    (fixed,) = check_sampling(TABLE, provider, "gpt-5", {"temperature": 0})
    assert fixed.unsupported and "supports temperature only at 1, not 0" in fixed.message


def test_a_provider_the_table_does_not_know_is_not_checked() -> None:
    assert check_sampling(TABLE, "mine", "m", {"anything": 1}) == []


@pytest.mark.parametrize(
    ("model", "version", "sampling", "wrong"),
    [
        (
            "claude-sonnet-4-6",
            "2023-06-01",
            {"temperature": 0, "top_k": 5, "stop": "x", "max_tokens": 9},
            [],
        ),
        ("claude-sonnet-4-6", "2023-06-01", {"temperature": 1.1}, ["temperature"]),
        ("claude-sonnet-4-6", "2023-06-01", {"stop": ["x", "\n"]}, ["stop"]),
        ("claude-sonnet-4-6", "2023-06-01", {"temperature": 0, "top_p": 0.9}, ["temperature"]),
        ("claude-sonnet-4-6", "2023-06-01", {"top_k": 5, "reasoning_effort": "low"}, ["top_k"]),
        (
            "claude-sonnet-4-6",
            "2026-10-21",
            {"temperature": 1, "top_p": 1, "top_k": 0},
            ["temperature", "top_p", "top_k"],
        ),
        ("claude-sonnet-4-6", "2026-10-21", {"reasoning_effort": "xhigh", "max_tokens": 9}, []),
        (
            "claude-haiku-4-5-20251001",
            "2023-06-01",
            {"reasoning_effort": "low"},
            ["reasoning_effort"],
        ),
        ("claude-3-5-haiku-20241022", "2023-06-01", {"temperature": 0, "top_p": 0.9}, []),
        ("claude-sonnet-4-20250514", "2023-06-01", {"temperature": 0, "top_p": 0.9}, []),
        (
            "claude-opus-4-1-20250805",
            "2023-06-01",
            {"temperature": 0, "top_p": 0.9},
            ["temperature"],
        ),
        ("claude-opus-5", "2023-06-01", {"temperature": 1}, []),
        ("claude-opus-5", "2023-06-01", {"temperature": 0, "top_p": 1}, ["temperature", "top_p"]),
        (
            "claude-opus-5",
            "2023-06-01",
            {"seed": 1, "n": 2, "frequency_penalty": 0},
            ["seed", "n", "frequency_penalty"],
        ),
        ("mine", "2023-06-01", {"temperature": 0.5, "top_p": 0.9}, []),
    ],
)
def test_claude_by_the_version_of_its_api(
    model: str, version: str, sampling: dict[str, Any], wrong: list[str]
) -> None:
    assert [
        each.parameter for each in check_sampling(TABLE, "anthropic", model, sampling, version)
    ] == wrong


def test_what_does_not_go_together_is_named() -> None:
    (violation,) = check_sampling(
        TABLE, "anthropic", "claude-sonnet-4-6", {"temperature": 0, "top_p": 1}, "2023-06-01"
    )
    said = "claude-sonnet-4-6 on anthropic does not support temperature together with top_p; remove one of them"
    assert (violation.message, violation.unsupported) == (said, False)


VERSIONED = CapabilityTable(
    {
        "p": (
            Capabilities(("*",), parameters(max_tokens=integer()), "s", api_versions=("2026-*",)),
            Capabilities(("*",), parameters(temperature=number()), "s"),
        )
    }
)


@pytest.mark.parametrize(
    ("version", "wrong"), [("2026-10-21", ["temperature"]), ("2023-06-01", []), (None, [])]
)
def test_an_entry_may_be_about_some_versions_of_the_api_only(
    version: str | None, wrong: list[str]
) -> None:
    violations = check_sampling(VERSIONED, "p", "m", {"temperature": 1}, version)
    assert [each.parameter for each in violations] == wrong
    assert all("p in its API version 2026-*" in each.message for each in violations)


def test_facts() -> None:
    scout = TABLE.find("cloudflare", SCOUT)
    assert scout is TABLE.find("cloudflare", "llama-4-scout")
    assert scout is not None
    assert (scout.streaming, scout.vision, scout.tools, scout.json_schema, scout.context) == (
        True,
        True,
        True,
        True,
        131_000,
    )


def test_seed_ranges() -> None:
    assert seed_range(TABLE, "cloudflare", SCOUT) == (1, 9_999_999_999)
    assert seed_range(TABLE, "openai", "tiny") == (-(2**63), 2**63 - 1)
    assert seed_range(TABLE, "mine", "m") is None


def example(parameter: Parameter) -> Any:
    """A value the parameter takes."""
    if parameter.field == "top_logprobs":
        return 1  # the field of the count alone
    if parameter.type in ("flag_or_count", "word", "strings"):
        return {"flag_or_count": True, "word": (*parameter.values, "word")[0], "strings": ["x"]}[
            parameter.type
        ]
    return next(value for value in (1, 0.5, 16) if not check_one(parameter, value))


def check_one(parameter: Parameter, value: Any) -> bool:
    entry = Capabilities(("*",), {parameter.name: parameter}, "")
    return bool(check_sampling(CapabilityTable({"p": (entry,)}), "p", "m", {parameter.name: value}))


def at(body: Any, field: str) -> Any:
    """What the body has at a dotted path."""
    return reduce(lambda within, key: within[key], field.split("."), body)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        pytest.param(name, entry, id=f"{name}-{entry.models[0]}")
        for name, facts in PROVIDERS.items()
        for entry in facts.models
    ],
)
def test_encoders_write_each_parameter_under_the_field_the_facts_name(
    name: str, entry: Capabilities
) -> None:
    provider = registry.load_plugin("providers", name)
    hosted = any(
        parameter.field == "max_completion_tokens" for parameter in entry.parameters.values()
    )
    address = provider.default_address if hosted else "http://127.0.0.1:8000/v1"
    target = Target("t", name, entry.models[0], address, address)
    sampling = {each.name: example(each) for each in entry.parameters.values()}
    body = json.loads(
        provider.encode(target, Request(messages=(Message("user", "Hi"),), sampling=sampling)).body
    )
    fields = {
        each.name: each.field
        for each in entry.parameters.values()
        if "thinkingConfig" not in each.field
    }
    assert {field: at(body, field) for field in fields.values()} == {
        field: sampling[parameter] for parameter, field in fields.items()
    }
