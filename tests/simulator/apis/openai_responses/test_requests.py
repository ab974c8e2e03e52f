"""The simulated Responses API: its errors, and the order of its events."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from harness.simulator.apis.openai_responses.items import seal_reasoning

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}
USER = {"role": "user", "content": "Weather in Oslo?"}
CALL = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city":"Oslo"}',
}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "4"}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "encrypted_content": seal_reasoning("Hm."),
}


def ask(client: httpx.Client, **change: Any) -> httpx.Response:
    return client.post(
        "/v1/responses",
        json={"model": "tiny", "input": "What is 6 * 7?", "temperature": 0, **change},
    )


def events(response: httpx.Response) -> list[dict[str, Any]]:
    found = []
    for event in response.text.removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def test_an_answer_echoes_what_was_asked(client: httpx.Client) -> None:
    body = ask(client, instructions="Be brief.", max_output_tokens=64, metadata={"a": "b"}).json()
    assert (body["object"], body["status"], body["error"], body["incomplete_details"]) == (
        "response",
        "completed",
        None,
        None,
    )
    assert (body["instructions"], body["max_output_tokens"], body["metadata"]) == (
        "Be brief.",
        64,
        {"a": "b"},
    )
    (message,) = body["output"]
    assert (message["type"], message["role"], message["status"]) == (
        "message",
        "assistant",
        "completed",
    )
    assert "42" in message["content"][0]["text"]
    assert (
        body["usage"]["total_tokens"]
        == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    )


def test_it_answers_as_chat_completions_do(client: httpx.Client) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 6 * 7?"},
    ]
    chat = client.post(
        "/v1/chat/completions", json={"model": "tiny", "messages": messages, "temperature": 0}
    ).json()
    answer = ask(client, instructions="Be brief.").json()
    assert answer["output"][0]["content"][0]["text"] == chat["choices"][0]["message"]["content"]
    assert answer["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"]


def test_a_stream_takes_each_item_apart_in_order_and_ends_with_all_of_it(
    client: httpx.Client,
) -> None:
    asked = {
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 1,
    }
    told = events(ask(client, stream=True, **asked))
    kinds = [event["type"].removeprefix("response.") for event in told]
    assert list(dict.fromkeys(kinds)) == [
        "created", "in_progress", "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done", "content_part.added",
        "output_text.delta", "output_text.done", "content_part.done", "completed",
    ]  # fmt: skip
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    whole = told[-1]["response"]
    assert [
        event["item"] for event in told if event["type"] == "response.output_item.done"
    ] == whole["output"]
    thought, message = whole["output"]
    deltas = [event for event in told if event["type"] == "response.output_text.delta"]
    assert "".join(event["delta"] for event in deltas) == message["content"][0]["text"]
    assert [one for event in deltas for one in event["logprobs"]] == message["content"][0][
        "logprobs"
    ]
    assert all("obfuscation" in event for event in deltas)
    assert thought["summary"][0]["text"]
    again = ask(client, **asked).json()
    assert again["usage"] == whole["usage"]
    assert again["output"][1]["content"] == message["content"]


def test_calls_stream_their_arguments(client: httpx.Client) -> None:
    told = events(ask(client, input=[USER], tools=[WEATHER], tool_choice="required", stream=True))
    added = next(event["item"] for event in told if event["type"] == "response.output_item.added")
    assert (added["name"], added["arguments"]) == ("get_weather", "")
    (item,) = told[-1]["response"]["output"]
    pieces = [
        event["delta"]
        for event in told
        if event["type"] == "response.function_call_arguments.delta"
    ]
    assert "".join(pieces) == item["arguments"]
    assert json.loads(item["arguments"]) == {"city": "Oslo"}


def test_a_token_limit_leaves_the_response_incomplete(client: httpx.Client) -> None:
    told = events(ask(client, input="Tell me a long story.", max_output_tokens=16, stream=True))
    assert told[-1]["type"] == "response.incomplete"
    response = told[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert (response["output"][0]["status"], response["usage"]["output_tokens"]) == (
        "incomplete",
        16,
    )


def test_reasoning_is_accepted_unaltered(client: httpx.Client) -> None:
    response = ask(client, input=[USER, THOUGHT, CALL, OUTPUT], tools=[WEATHER])
    assert response.status_code == 200, response.text


def strict(**change: Any) -> list[dict[str, Any]]:
    return [{**WEATHER, "parameters": {**CITY, **change}}]


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"input": None}, "input", "Missing required parameter: 'input'."),
        ({"messages": []}, "messages", "Unknown parameter: 'messages'."),
        ({"n": 2}, "n", "Unknown parameter"),
        ({"stop": "x"}, "stop", "Unknown parameter"),
        ({"seed": 1}, "seed", "Unknown parameter"),
        (
            {"max_output_tokens": 5},
            "max_output_tokens",
            "Expected a value >= 16, but got 5 instead.",
        ),
        ({"temperature": 3}, "temperature", "Expected a value <= 2"),
        ({"include": ["thoughts"]}, "include[0]", "Invalid value: 'thoughts'."),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort", "Invalid value: 'much'."),
        ({"reasoning": {"summary": "long"}}, "reasoning.summary", "Invalid value: 'long'."),
        (
            {"previous_response_id": "resp_1"},
            "previous_response_id",
            "Previous response with id 'resp_1' not found.",
        ),
        ({"input": []}, "input", "Invalid type for 'input'"),
        ({"input": [{"type": "picture"}]}, "input[0].type", "Invalid value: 'picture'."),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "Invalid value: 'tool'."),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            "input[0].content[0].type",
            "Supported values are: 'input_text' and 'input_image'.",
        ),
        (
            {"input": [USER, OUTPUT]},
            "input",
            "No tool call found for function call output with call_id call_1.",
        ),
        ({"input": [USER, CALL]}, "input", "No tool output found for function call call_1."),
        (
            {"input": [USER, THOUGHT]},
            "input",
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        ),
        (
            {"input": [USER, THOUGHT, USER]},
            "input",
            "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        ),
        (
            {"input": [{**THOUGHT, "encrypted_content": None}, CALL, OUTPUT]},
            "input",
            "Item with id 'rs_1' not found.",
        ),
        (
            {"input": [{**THOUGHT, "encrypted_content": "gAAA"}, CALL, OUTPUT]},
            None,
            "could not be verified",
        ),
        (
            {"tools": [{"type": "function", "function": {}}]},
            "tools[0].name",
            "Missing required parameter: 'tools[0].name'.",
        ),
        (
            {"tools": strict(additionalProperties=True)},
            "tools[0].parameters",
            "'additionalProperties' is required to be supplied",
        ),
        ({"tools": strict(required=[])}, "tools[0].parameters", "Missing 'city'."),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "f"}},
            "tool_choice",
            "Tool choice 'f' not found",
        ),
        ({"tool_choice": "required"}, "tool_choice", "must be specified with 'tools'"),
        (
            {"text": {"format": {"type": "json_schema"}}},
            "text.format.name",
            "Missing required parameter",
        ),
        (
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "a",
                        "strict": True,
                        "schema": {"type": "object"},
                    }
                }
            },
            "text.format.schema",
            "Invalid schema for response_format 'a'",
        ),
    ],
)
def test_what_breaks_the_contract_is_named(
    client: httpx.Client, change: dict[str, Any], param: str | None, words: str
) -> None:
    response = ask(client, **change)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (
        400,
        "invalid_request_error",
        param,
    )
    assert words in error["message"]


def test_functions_that_are_not_strict_may_be_open(client: httpx.Client) -> None:
    open_ = {**WEATHER, "strict": False, "parameters": {"type": "object", "properties": {}}}
    assert ask(client, tools=[open_]).status_code == 200


def test_a_stream_that_breaks_off_says_so_in_an_event_of_its_own_shape(
    client: httpx.Client,
) -> None:
    """Not the object that errors have elsewhere: an event's fields are its own."""
    client.put(
        "/faults", json=[{"kind": "error_event", "status": 500, "after": 2}]
    ).raise_for_status()
    *_, last = events(ask(client, stream=True))
    message = "The server had an error while processing your request."
    assert last == {"type": "error", "code": "server_error", "message": message, "param": None}
