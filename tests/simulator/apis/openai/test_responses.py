"""Rendering of calls, with a given completion."""

from __future__ import annotations

import json
from typing import Any

from harness.simulator.apis.openai import requests
from harness.simulator.apis.openai.responses import render_response, render_stream
from harness.simulator.model.types import Call, Completion, Reply

CALLS = (Call("get_weather", ('{"city"', ":", '"Oslo"}')), Call("now", ("{}",)))
ANSWER = Completion((), "tool_calls", thoughts=("Let", " me", " look."), calls=CALLS)
REPLY = Reply("0f0e0d0c-0b0a-4908-8706-050403020100", 1_790_000_000, 12, (ANSWER,))


def asked(**change: Any) -> requests.Request:
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Weather in Oslo?"}],
        **change,
    }
    return requests.parse_request(json.dumps(body).encode(), strict=True)


def test_calls_of_a_whole_answer() -> None:
    body = json.loads(render_response(asked(), REPLY).content)
    choice = body["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    first, second = choice["message"]["tool_calls"]
    assert first["function"] == {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    assert (first["type"], second["function"]["arguments"]) == ("function", "{}")
    assert first["id"] != second["id"]
    assert first["id"].startswith("call_")
    assert body["usage"]["completion_tokens"] == 3 + 4 + 2


def test_calls_of_a_stream_open_with_a_name_and_go_on_with_pieces_of_arguments() -> None:
    frames = render_stream(asked(stream=True), REPLY).frames
    assert frames is not None
    chunks = [json.loads(frame.data.removeprefix(b"data: ")) for frame in frames[:-1]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    identifiers = [
        call["id"]
        for call in json.loads(render_response(asked(), REPLY).content)["choices"][0]["message"][
            "tool_calls"
        ]
    ]
    assert deltas == [
        {"role": "assistant", "content": None, "refusal": None},
        *({"reasoning_content": piece} for piece in ANSWER.thoughts),
        {"tool_calls": [{"index": 0, "id": identifiers[0], "type": "function",
                         "function": {"name": "get_weather", "arguments": ""}}]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in CALLS[0].pieces),
        {"tool_calls": [{"index": 1, "id": identifiers[1], "type": "function",
                         "function": {"name": "now", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]  # fmt: skip
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert [frame.step for frame in frames] == [0, *range(1, 10), 9, 9]
