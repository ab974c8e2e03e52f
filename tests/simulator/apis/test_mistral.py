"""The simulated Mistral API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

USER = {"role": "user", "content": "Weather in Oslo?"}


def ask(client: httpx.Client, **change: Any) -> httpx.Response:
    return client.post(
        "/mistral/v1/chat/completions",
        json={"model": "70b", "messages": [USER], "temperature": 0, **change},
    )


def calling(identifier: str) -> list[dict[str, Any]]:
    call = {"id": identifier, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": identifier, "content": "4"},
    ]


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"seed": 3}, "seed", "Extra inputs are not permitted"),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            "stream_options",
            "Extra inputs are not permitted",
        ),
        ({"temperature": 1.6}, "temperature", "Input should be less than or equal to 1.5"),
        ({"top_p": 2}, "top_p", "Expected a value <= 1"),
    ],
)
def test_a_validation_error_names_the_field(
    client: httpx.Client, change: dict[str, Any], place: str, words: str
) -> None:
    response = ask(client, **change)
    (wrong,) = response.json()["message"]["detail"]
    assert (response.status_code, wrong["loc"]) == (422, ["body", place])
    assert words in wrong["msg"]


def test_ids_of_calls_are_nine_letters_and_digits(client: httpx.Client) -> None:
    refused = ask(client, messages=calling("call_1"))
    assert refused.status_code == 400
    assert (
        refused.json()["message"]
        == "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
    )
    assert ask(client, messages=calling("D681PevKs")).status_code == 200


def test_a_seed_of_its_own_name_fixes_the_draw(client: httpx.Client) -> None:
    story = {"messages": [{"role": "user", "content": "Tell me something."}], "temperature": 1.2}
    texts = [
        ask(client, **story, random_seed=seed).json()["choices"][0]["message"]["content"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
