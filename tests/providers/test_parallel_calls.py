"""Whether one answer may call several tools, in each API's own word."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from harness import registry
from harness.model import Message, Request, Target, Tool

TOOL = Tool("f", "", {"type": "object", "properties": {}})


def sent(provider: str, allowed: bool | None, choice: str | None = None) -> Any:
    target = Target(
        "t",
        provider,
        "m",
        "http://h",
        "http://h",
        sampling={"max_tokens": 9},
        api_version="2023-06-01",
    )
    request = Request(
        (Message("user", "hi"),),
        {"max_tokens": 9},
        tools=(TOOL,),
        tool_choice=choice,
        parallel_tool_calls=allowed,
    )
    return orjson.loads(registry.load_plugin("providers", provider).encode(target, request).body)


@pytest.mark.parametrize("provider", ["openai", "openai-responses"])
def test_openai_has_a_parameter_for_it(provider: str) -> None:
    assert [
        sent(provider, allowed).get("parallel_tool_calls") for allowed in (True, False, None)
    ] == [True, False, None]


def test_anthropic_says_it_with_the_choice() -> None:
    assert sent("anthropic", None).get("tool_choice") is None
    assert sent("anthropic", False)["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }
    assert sent("anthropic", True, "f")["tool_choice"] == {
        "type": "tool",
        "name": "f",
        "disable_parallel_tool_use": False,
    }
