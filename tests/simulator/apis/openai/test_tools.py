"""Parsing of functions and calls, and their errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.simulator.apis.http import ApiError
from harness.simulator.apis.openai import requests
from harness.simulator.model.types import Call, Function, Prompt, Turn

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Now", "parameters": PARAMETERS},
}
USER = {"role": "user", "content": "Weather in Oslo?"}
CALLING = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": '{"c":4}'}


def read(*, strict: bool = True, **change: Any) -> Prompt:
    body = {"model": "tiny", "messages": [USER], "tools": [WEATHER], **change}
    return requests.parse_request(json.dumps(body).encode(), strict=strict).prompt


def test_functions_and_choices() -> None:
    assert read().functions == (Function("get_weather", "Now", PARAMETERS),)
    assert read().tool_choice == "auto"
    assert read(tool_choice="required").tool_choice == "required"
    assert (
        read(tool_choice={"type": "function", "function": {"name": "get_weather"}}).tool_choice
        == "get_weather"
    )
    bare = {"type": "function", "function": {"name": "now"}}
    assert read(tools=[bare]).functions == (
        Function("now", "", {"type": "object", "properties": {}}),
    )


def test_calls_and_their_results_become_turns() -> None:
    assert read(messages=[USER, CALLING, RESULT]).turns == (
        Turn("user", "Weather in Oslo?"),
        Turn(
            "assistant",
            "",
            calls=(Call("get_weather", ('{"', "city", '":', '"', "Oslo", '"}'), "call_1"),),
        ),
        Turn("tool", '{"c":4}', call_id="call_1"),
    )


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"tools": []}, "tools", "non-empty array"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "Missing required parameter"),
        (
            {"tools": [{"function": {"name": "a b"}}]},
            "tools[0].function.name",
            "does not match pattern",
        ),
        (
            {"tools": [{"function": {"name": "f", "parameters": {"type": "string"}}}]},
            "tools[0].function.parameters",
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'",
        ),
        (
            {"tools": None, "tool_choice": "auto"},
            "tool_choice",
            "only allowed when 'tools' are specified",
        ),
        ({"tool_choice": "any"}, "tool_choice", "'any' is not among 'tools'"),
        ({"messages": [RESULT]}, "messages.[0].role", "must be a response to a preceding message"),
        (
            {"messages": [USER, CALLING]},
            "messages.[2].role",
            "did not have response messages: call_1",
        ),
        (
            {"messages": [USER, CALLING, USER, RESULT]},
            "messages.[2].role",
            "did not have response messages: call_1",
        ),
        (
            {"messages": [USER, {"role": "tool", "content": "4"}]},
            "messages[1].tool_call_id",
            "Missing required parameter",
        ),
    ],
)
def test_what_openai_refuses(change: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ApiError, match=words.replace("(", r"\(").replace("[", r"\[")) as refused:
        read(**change)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_cloudflares_route_does_not_count_calls() -> None:
    assert read(strict=False, messages=[RESULT]).turns[0].call_id == "call_1"
