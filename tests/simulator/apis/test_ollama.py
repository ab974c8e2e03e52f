"""The simulated Ollama API."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

USER = {"role": "user", "content": "What is 6 * 7?"}


def ask(client: httpx.Client, **change: Any) -> httpx.Response:
    return client.post(
        "/api/chat",
        json={"model": "70b", "messages": [USER], "options": {"temperature": 0}, **change},
    )


def test_it_streams_one_json_object_per_line_by_default(client: httpx.Client) -> None:
    response = ask(client)
    assert response.headers["content-type"] == "application/x-ndjson"
    *pieces, last = map(json.loads, response.text.splitlines())
    whole = ask(client, stream=False).json()
    assert "".join(piece["message"]["content"] for piece in pieces) == whole["message"]["content"]
    assert all(piece["done"] is False for piece in pieces)
    assert {
        name: last[name] for name in ("done", "done_reason", "prompt_eval_count", "eval_count")
    } == {
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": whole["prompt_eval_count"],
        "eval_count": whole["eval_count"],
    }


def test_a_result_belongs_to_the_first_open_call_of_its_function(client: httpx.Client) -> None:
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g")]
    turns = [USER, {"role": "assistant", "content": "", "tool_calls": calls}]
    results = [{"role": "tool", "tool_name": name, "content": "4"} for name in ("g", "f")]
    assert ask(client, messages=[*turns, *results], stream=False).status_code == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": ""}, "model is required"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid role: 'robot'"),
        ({"options": {"top_k": 1.5}}, 'option "top_k" must be of type integer'),
        ({"options": {"temperature": "warm"}}, 'option "temperature" must be of type float32'),
        ({"format": "xml"}, "invalid format: 'xml'"),
        ({"tools": [{"type": "function"}]}, "cannot unmarshal tools.function"),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}],
                    }
                ]
            },
            "into an object",
        ),
    ],
)
def test_an_error_is_a_text(client: httpx.Client, change: dict[str, Any], words: str) -> None:
    response = ask(client, **change)
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_unknown_keys_are_ignored_by_ollama(client: httpx.Client) -> None:
    assert ask(client, nonsense=1).status_code == 200
