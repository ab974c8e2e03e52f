"""The bytes of the native format, against literal ones from the service's documentation and
recordings."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import httpx
import pytest

from harness.app.prepare import price_catalogue
from harness.simulator.apis.cloudflare.native import PRICED_MODELS, USD_PER_NEURON, compute_neurons

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
RUN = f"/client/v4/accounts/0123abcd/ai/run/{SCOUT}"


def ask(
    client: httpx.Client, text: str = "What is 6 * 7? Answer with the number only.", **extra: Any
) -> httpx.Response:
    return client.post(
        RUN, json={"messages": [{"role": "user", "content": text}], "temperature": 0, **extra}
    )


def frames(response: httpx.Response) -> list[Any]:
    assert response.headers["content-type"] == "text/event-stream"
    events = response.text.split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") for event in events)
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_an_answer_comes_in_the_envelope_without_a_finish_reason(client: httpx.Client) -> None:
    response = ask(client)
    body = response.json()
    assert {key: body[key] for key in ("success", "errors", "messages")} == {
        "success": True,
        "errors": [],
        "messages": [],
    }
    assert set(body["result"]) == {"response", "tool_calls", "usage"}
    assert body["result"]["response"] == "42"


def test_neurons_are_the_published_price_of_the_tokens(client: httpx.Client) -> None:
    response = ask(client)
    usage = response.json()["result"]["usage"]
    expected = (usage["prompt_tokens"] * 24_545 + usage["completion_tokens"] * 77_273) / 1e6
    assert usage["neurons"] == pytest.approx(expected, abs=1e-4)
    assert response.headers["cf-ai-neurons"] == str(usage["neurons"])


def test_headers_say_where_it_came_from_and_that_it_is_simulated(client: httpx.Client) -> None:
    first, second = ask(client), ask(client)
    assert first.headers["x-simulated"] == "evalharness"
    assert first.headers["cf-ray"].endswith("-SIM")
    assert first.headers["cf-ai-req-id"] != second.headers["cf-ai-req-id"]
    assert "retry-after" not in first.headers


def test_a_stream_opens_empty_is_padded_and_ends_with_usage(client: httpx.Client) -> None:
    first, *pieces, last = frames(ask(client, "What is 6 * 7?", stream=True))
    assert first["response"] == ""
    assert first["tool_calls"] == []
    assert len({frame["p"] for frame in [first, *pieces]}) > 1
    assert last["response"] == ""
    assert last["usage"]["completion_tokens"] == len(pieces)
    assert "p" not in last


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.5, "seed": 11}])
def test_streamed_or_not_the_answer_is_the_same(
    client: httpx.Client, sampling: dict[str, Any]
) -> None:
    whole = ask(client, "Tell me about the harbour.", **sampling).json()["result"]
    streamed = frames(ask(client, "Tell me about the harbour.", stream=True, **sampling))
    assert "".join(frame["response"] for frame in streamed) == whole["response"]
    assert streamed[-1]["usage"] == whole["usage"]


def test_256_tokens_are_the_silent_limit(client: httpx.Client) -> None:
    result = ask(client, "Write a long story.").json()["result"]
    assert result["usage"]["completion_tokens"] == 256
    assert (
        ask(client, "Write a long story.", max_tokens=300).json()["result"]["usage"][
            "completion_tokens"
        ]
        == 300
    )


def test_the_last_piece_is_where_max_tokens_says(client: httpx.Client) -> None:
    whole = ask(client, "What is 6 * 7?").json()["result"]["response"]
    cut = ask(client, "What is 6 * 7?", max_tokens=2).json()["result"]
    assert whole.startswith(cut["response"])
    assert cut["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"temperature": 5.1}, "'/temperature' must be <= 5"),
        ({"temperature": -0.1}, "'/temperature' must be >= 0"),
        ({"top_p": 2.1}, "'/top_p' must be <= 2"),
        ({"top_k": 0}, "'/top_k' must be >= 1"),
        ({"top_k": 51}, "'/top_k' must be <= 50"),
        ({"seed": 0}, "'/seed' must be >= 1"),
        ({"seed": 10_000_000_000}, "'/seed' must be <= 9999999999"),
        ({"frequency_penalty": -0.5}, "'/frequency_penalty' must be >= 0"),
        ({"max_tokens": "5"}, "Type mismatch of '/max_tokens', 'string' not in 'integer'"),
        ({"max_tokens": 5.5}, "Type mismatch of '/max_tokens', 'number' not in 'integer'"),
        ({"stream": 1}, "Type mismatch of '/stream', 'integer' not in 'boolean'"),
        ({"messages": "hi"}, "Type mismatch of '/messages', 'string' not in 'array'"),
        (
            {"messages": [{"role": "user", "content": None}]},
            "Type mismatch of '/messages/0/content', 'null' not in 'string'",
        ),
        ({"prompt": "both"}, "oneOf at '/' not met, 2 matches"),
        ({"tools": [{"name": "f"}]}, "oneOf at '/tools/0' not met, 0 matches"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": ""}]},
            "'/messages/0/tool_call_id' does not match pattern '[a-zA-Z0-9]{9}'",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
                    }
                ]
            },
            "'/messages/0/content/0/image_url/url' does not match pattern '^data:*'",
        ),
    ],
)
def test_what_breaks_the_schema_is_5006(
    client: httpx.Client, change: dict[str, Any], text: str
) -> None:
    response = client.post(RUN, json={"messages": [{"role": "user", "content": "Hi"}], **change})
    error = response.json()["errors"][0]
    assert response.status_code == 400
    assert error["code"] == 5006
    assert error["message"].startswith(f"AiError: Bad input: Error: {text}")
    assert error["message"].endswith(f"({response.headers['cf-ai-req-id']})")
    assert response.json()["result"] == {}


def test_a_body_without_prompt_and_messages_gets_the_services_error(client: httpx.Client) -> None:
    message = client.post(RUN, json={}).json()["errors"][0]["message"]
    assert message.startswith(
        "AiError: Bad input: Error: oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt',"
        " required properties at '/' are 'messages'"
    )


def test_a_bare_prompt_is_answered(client: httpx.Client) -> None:
    assert (
        "42"
        in client.post(RUN, json={"prompt": "What is 6 * 7?", "temperature": 0}).json()["result"][
            "response"
        ]
    )


def test_parts_and_data_images_are_taken_and_the_image_is_counted(client: httpx.Client) -> None:
    parts = [
        {"type": "text", "text": "Hi"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    with_image = client.post(RUN, json={"messages": [{"role": "user", "content": parts}]}).json()[
        "result"
    ]["usage"]
    without = client.post(RUN, json={"messages": [{"role": "user", "content": parts[:1]}]}).json()[
        "result"
    ]["usage"]
    assert with_image["prompt_tokens"] - without["prompt_tokens"] == 147


def test_json_mode_answers_with_an_object_and_guided_json_with_text(client: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]}
    text = "Please write to ada@example.org about the order."
    as_object = ask(client, text, response_format={"type": "json_schema", "json_schema": schema})
    as_text = ask(client, text, guided_json=schema)
    assert as_object.json()["result"]["response"] == {"email": "ada@example.org"}
    assert json.loads(as_text.json()["result"]["response"]) == {"email": "ada@example.org"}


def test_json_that_does_not_fit_max_tokens_is_refused(client: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"email": {"type": "string"}}}
    response = ask(
        client,
        "ada@example.org",
        max_tokens=3,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert response.json()["errors"][0]["message"].startswith("AiError: JSON Mode couldn't be met")


def test_input_and_limit_together_have_to_fit_the_context(client: httpx.Client) -> None:
    response = ask(client, max_tokens=131_000)
    assert response.status_code == 413
    assert response.json()["errors"][0]["code"] == 5021


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/client/v4/accounts/a/ai/run/gpt-4o", 400, 5007),
        ("/client/v4/accounts/a/ai/walk/@cf/x/y", 404, 7003),
        ("/client/v4/accounts//ai/run/@cf/x/y", 404, 7003),
    ],
)
def test_a_path_without_a_model_is_a_404(
    client: httpx.Client, path: str, status: int, code: int
) -> None:
    response = client.post(path, json={"prompt": "Hi"})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (status, code)


def test_a_body_that_is_no_json_is_refused(client: httpx.Client) -> None:
    assert client.post(RUN, content=b"{").json()["errors"][0]["code"] == 5006
    assert client.post(RUN, content=b"").json()["errors"][0]["code"] == 3003


@pytest.mark.parametrize("penalty", ["frequency_penalty", "presence_penalty", "repetition_penalty"])
def test_a_penalty_makes_a_story_say_fewer_words_twice(client: httpx.Client, penalty: str) -> None:
    def variety(**extra: Any) -> float:
        words = (
            ask(client, "Tell me a long story.", max_tokens=600, **extra)
            .json()["result"]["response"]
            .split()
        )
        return len(set(words)) / len(words)

    assert variety(**{penalty: 2}) > variety() + 0.05


@pytest.mark.parametrize("model", PRICED_MODELS)
def test_every_model_is_billed_at_its_published_price(model: str) -> None:
    entry = price_catalogue().find("cloudflare", model, date(2026, 11, 22))
    assert entry is not None
    assert entry.price is not None
    neurons = compute_neurons(model, 1_000_000, 2_000_000)
    assert neurons is not None
    assert neurons * USD_PER_NEURON == pytest.approx(
        float(entry.price.input + 2 * entry.price.output), rel=1e-4
    )


def test_an_observed_bill() -> None:
    """Llama 3.3 70B: 388 tokens in and 63 out were billed as 23.2498 neurons; the page's dollars
    are rounded."""
    assert compute_neurons("@cf/meta/llama-3.3-70b-instruct-fp8-fast", 388, 63) == pytest.approx(
        23.2498, rel=1e-3
    )


def test_a_model_without_a_price_has_no_neurons() -> None:
    assert compute_neurons("@cf/nobody/model", 1, 1) is None
