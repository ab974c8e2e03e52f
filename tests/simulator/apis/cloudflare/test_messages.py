"""Functions in the native format: parsing, errors, and rendering of calls."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from harness.simulator.apis.cloudflare import native
from harness.simulator.apis.http import ApiError
from harness.simulator.model.types import Call, Completion, Function, Prompt, Reply, Turn

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
RUN = f"/client/v4/accounts/0123abcd/ai/run/{SCOUT}"
CITY = {"type": "string", "description": "City"}
PARAMETERS = {"type": "object", "properties": {"city": CITY}, "required": ["city"]}
FLAT: dict[str, Any] = {
    "name": "get_weather",
    "description": "Current weather",
    "parameters": PARAMETERS,
}
TOOL: dict[str, Any] = {"type": "function", "function": FLAT}
USER = {"role": "user", "content": "What is the current weather in the city Oslo?"}


def read(**change: Any) -> Prompt:
    return native.parse_request(json.dumps({"messages": [USER], **change}).encode(), SCOUT).prompt


@pytest.mark.parametrize("tool", [FLAT, TOOL])
def test_a_tool_is_flat_or_as_openai_has_it(tool: dict[str, Any]) -> None:
    assert read(tools=[tool]).functions == (Function("get_weather", "Current weather", PARAMETERS),)


@pytest.mark.parametrize("arguments", ['{"city":"Oslo"}', {"city": "Oslo"}])
def test_calls_and_their_results_become_turns(arguments: Any) -> None:
    call = {
        "id": "abcdef123",
        "type": "function",
        "function": {"name": "get_weather", "arguments": arguments},
    }
    answered = {
        "role": "tool",
        "tool_call_id": "abcdef123",
        "name": "get_weather",
        "content": '{"c":4}',
    }
    turns = read(
        messages=[USER, {"role": "assistant", "content": "", "tool_calls": [call]}, answered]
    ).turns
    assert turns[1].calls[0].arguments == '{"city":"Oslo"}'
    assert turns[1].calls[0].id == turns[2].call_id == "abcdef123"
    assert turns[2].text == '{"c":4}'


def test_a_raw_prompt_is_read_by_its_template() -> None:
    text = (
        "<|begin_of_text|><|header_start|>system<|header_end|>\n\nBe brief.<|eot|>"
        "<|header_start|>user<|header_end|>\n\nHi<|eot|><|header_start|>assistant<|header_end|>\n\n"
    )
    body = {"prompt": text, "raw": True}
    assert native.parse_request(json.dumps(body).encode(), SCOUT).prompt.turns == (
        Turn("system", "Be brief."),
        Turn("user", "Hi"),
    )
    assert native.parse_request(json.dumps(body | {"raw": False}).encode(), SCOUT).prompt.turns == (
        Turn("user", text),
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"tools": [{**FLAT, "parameters": {"type": "object"}}]},
            "required properties at '/tools/0/parameters' are",
        ),
        (
            {
                "tools": [
                    {
                        **FLAT,
                        "parameters": {
                            "type": "object",
                            "properties": {"city": {"type": "string"}},
                        },
                    }
                ]
            },
            "required properties at '/tools/0/parameters/properties/city' are 'type,description'",
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {**FLAT, "parameters": {**PARAMETERS, "properties": {"a": {}}}},
                    }
                ]
            },
            "required properties at '/tools/0/function/parameters/properties/a' are 'type,description'",
        ),
        ({"tools": [{"function": FLAT}]}, "oneOf at '/tools/0' not met, 0 matches"),
        ({"functions": [{"name": "f"}]}, "required properties at '/functions/0' are 'name,code'"),
        ({"guided_json": "{}"}, "Type mismatch of '/guided_json', 'string' not in 'object'"),
        (
            {"options": {"rejectIfBusy": "yes"}},
            "Type mismatch of '/options/rejectIfBusy', 'string' not in 'boolean'",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": {}}]},
            "Type mismatch of '/messages/0/tool_calls'",
        ),
    ],
)
def test_what_breaks_the_schema(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(**change)
    assert (refused.value.status, refused.value.code) == (400, 5006)
    assert refused.value.message.startswith(f"AiError: Bad input: Error: {text}")


def test_deprecated_functions_and_options_are_taken() -> None:
    assert (
        read(
            functions=[{"name": "f", "code": "return 1"}], options={"rejectIfBusy": True}
        ).functions
        == ()
    )


def test_a_call_comes_whole_with_its_arguments_as_text_and_without_a_response() -> None:
    called = Completion((), "tool_calls", calls=(Call("get_weather", ('{"city": ', '"Oslo"}')),))
    request = native.Request(read(tools=[TOOL]), stream=False, json_as_text=False)
    result = json.loads(native.render_response(request, Reply("r", 0, 160, (called,))).content)[
        "result"
    ]
    (call,) = result["tool_calls"]
    assert "response" not in result
    assert call["function"] == {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    assert call["id"].startswith("chatcmpl-tool-")
    assert len(call["id"]) == len("chatcmpl-tool-") + 32


def test_a_streamed_call_comes_in_pieces_and_is_the_whole_one(client: httpx.Client) -> None:
    body = {"messages": [USER], "tools": [TOOL], "temperature": 0, "seed": 1}
    whole = client.post(RUN, json=body).json()["result"]
    lines = client.post(RUN, json={**body, "stream": True}).text.split("\n\n")[:-2]
    frames = [json.loads(line.removeprefix("data: ")) for line in lines]
    fragments = [
        call
        for frame in frames
        for call in frame.get("tool_calls", ())
        if call["function"].get("arguments")
    ]
    assert [frame["tool_calls"][0]["function"] for frame in frames if frame.get("tool_calls")][
        -1
    ] == {
        "name": None,
        "arguments": None,
    }
    assert len(fragments) > 1
    assert (
        "".join(each["function"]["arguments"] for each in fragments)
        == whole["tool_calls"][0]["function"]["arguments"]
    )
    assert frames[-1]["usage"] == whole["usage"]
