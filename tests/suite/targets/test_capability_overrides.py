"""The user's own capability table: what it may say, what is wrong with one, and that it goes before
the one that ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.app.prepare import prepare
from harness.errors import SuiteError
from harness.providers.capabilities import CapabilityTable, built_in_table
from harness.suite import Suite

Write = Callable[..., Path]
Load = Callable[..., Suite]

OPENAI = "targets: [{name: mine, provider: openai, base_url: 'http://127.0.0.1:1/v1', model: my-model}]\n"


@pytest.fixture
def table(write: Write, suite: Load) -> Callable[[str], CapabilityTable]:
    """The table as a suite beside this capabilities.yaml has it."""

    def table(text: str) -> CapabilityTable:
        write("suites/capabilities.yaml", text)
        return built_in_table().with_overrides(suite().capability_overrides)

    return table


def test_what_an_entry_says_goes_before_what_ships_and_the_rest_stays(
    table: Callable[[str], CapabilityTable],
) -> None:
    facts = (
        "vision: true, context: 8k, parameters: {temperature: {type: number, max: 1}, top_k: null}"
    )
    found = table(f"- {{provider: openai, models: my-*, {facts}}}")
    mine, other = found.find("openai", "my-model"), found.find("openai", "your-model")
    shipped = built_in_table().find("openai", "my-model")
    assert mine is not None and shipped is not None
    assert (mine.vision, mine.context, mine.tools) == (True, 8000, shipped.tools)
    assert (mine.parameters["temperature"].min, mine.parameters["temperature"].max) == (None, 1)
    assert "top_k" not in mine.parameters
    assert mine.parameters["min_p"] == shipped.parameters["min_p"]
    assert other == built_in_table().find("openai", "your-model")


def test_the_first_of_the_users_entries_counts(table: Callable[[str], CapabilityTable]) -> None:
    found = table(
        "- {provider: openai, models: [my-one], tools: false}\n- {provider: openai, models: [my-*], tools: true}\n"
    )
    assert [
        entry.tools for name in ("my-one", "my-two") if (entry := found.find("openai", name))
    ] == [False, True]


def test_of_a_model_nobody_knows_only_what_is_listed_is_taken(
    table: Callable[[str], CapabilityTable],
) -> None:
    entry = table("- {provider: python, models: ['*'], parameters: {seed: {type: integer}}}").find(
        "python", "app.py:answer"
    )
    assert entry is not None and list(entry.parameters) == ["seed"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("provider: openai", "1:1: a capability table is a list of entries"),
        ("- {provider: openai}", "1:3: `models` is missing"),
        (
            "- {provider: opnai, models: m}",
            "1:14: `provider`: should name a provider, not 'opnai'; did you mean `openai`?",
        ),
        (
            "- {provider: openai, models: m, visoin: true}",
            "1:33: unknown key `visoin`; did you mean `vision`?",
        ),
        ("- {provider: openai, models: m, context: lots}", "1:42: `context`"),
        (
            "- provider: openai\n  models: m\n  parameters: {temprature: {type: number}}",
            "3:15: `parameters`: there is no",
        ),
        (
            "- provider: openai\n  models: m\n  parameters:\n    top_k: {type: colour}",
            "4:19: `type`",
        ),
        (
            "- provider: openai\n  models: m\n  parameters: {top_k: {min: 1}}",
            "3:23: `type` is missing",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    write: Write, suite: Load, text: str, why: str
) -> None:
    path = write("suites/capabilities.yaml", text)
    with pytest.raises(SuiteError) as caught:
        suite()
    (problem,) = caught.value.problems
    assert str(problem).removeprefix(f"{path}:").startswith(why)


@pytest.mark.parametrize(
    ("facts", "more", "why"),
    [
        (
            "json_schema: false",
            "response_format: {type: json_schema, schema: {type: object}}\n",
            "does not support JSON Schema",
        ),
        (
            "json_object: false",
            "response_format: json_object\n",
            "has no JSON mode without a schema",
        ),
        ("streaming: false", "", "my-model on openai cannot stream; set `run: {stream: false}`"),
        (
            "max_output: 100",
            "sampling: {max_tokens: 101}\n",
            "max_tokens may be at most 100 for my-model on openai, not 101",
        ),
        (
            "parameters: {top_k: null}",
            "sampling: {top_k: 3}\n",
            "my-model on openai does not support top_k",
        ),
        ("context: 20", "sampling: {max_tokens: 16}\n", "more than the 20 that fit"),
    ],
)
def test_a_run_is_checked_by_it(
    write: Write, suite: Load, small: str, facts: str, more: str, why: str
) -> None:
    text = small.replace("targets: scout-sim\n", OPENAI) + more
    with prepare(suite(text), {}, live=False):
        pass
    write("suites/capabilities.yaml", f"- {{provider: openai, models: my-*, {facts}}}\n")
    with pytest.raises(SuiteError, match=why), prepare(suite(text), {}, live=False):
        pass
