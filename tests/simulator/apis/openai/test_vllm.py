"""The simulated vLLM server."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest


def ask(client: httpx.Client, content: str, **change: Any) -> httpx.Response:
    body = {
        "model": "70b",
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        **change,
    }
    return client.post("/vllm/v1/chat/completions", json=body)


def test_unknown_keys_are_ignored(client: httpx.Client) -> None:
    assert (
        "42"
        in ask(client, "What is 6 * 7?", top_k=5, ignore_eos=False).json()["choices"][0]["message"][
            "content"
        ]
    )


def test_a_schema_may_stand_in_structured_outputs(client: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    answer = ask(client, "The total was $12.50.", structured_outputs={"json": schema}).json()
    assert json.loads(answer["choices"][0]["message"]["content"]) == {"total": 12.5}


def test_the_code_of_an_error_is_its_status(client: httpx.Client) -> None:
    response = ask(client, "Hi", temperature=3)
    assert response.json()["error"]["code"] == response.status_code == 400


@pytest.mark.parametrize("change", [{"top_p": 0}, {"repetition_penalty": 0}])
def test_zero_is_no_valid_top_p_or_repetition_penalty(
    client: httpx.Client, change: dict[str, Any]
) -> None:
    """Each is above 0."""
    assert ask(client, "Hi", **change).status_code == 400


def test_any_number_of_stops(client: httpx.Client) -> None:
    assert ask(client, "What is 6 * 7?", stop=["a!", "b!", "c!", "d!", "e!"]).status_code == 200


def test_thoughts_are_in_the_field_reasoning(client: httpx.Client) -> None:
    message = ask(client, "What is 6 * 7?", reasoning_effort="low").json()["choices"][0]["message"]
    assert message["reasoning"]
    assert "reasoning_content" not in message
