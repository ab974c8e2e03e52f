"""Chat completions, and Cloudflare's endpoint of the same shape."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from harness.simulator.model.tokenizer import tokenize

CHAT = "/v1/chat/completions"
CLOUDFLARE_CHAT = "/client/v4/accounts/0123abcd/ai/v1/chat/completions"


def ask(client: httpx.Client, path: str = CHAT, **change: Any) -> httpx.Response:
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "What is 6 * 7?"}],
        "temperature": 0,
        **change,
    }
    return client.post(path, json=body)


def chunks(response: httpx.Response) -> list[Any]:
    events = response.text.split("\n\n")
    assert events.pop() == ""
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_an_answer_has_a_choice_a_finish_reason_and_usage(client: httpx.Client) -> None:
    response = ask(client)
    body = response.json()
    assert (body["object"], body["model"]) == ("chat.completion", "tiny")
    assert body["choices"][0]["finish_reason"] == "stop"
    assert "42" in body["choices"][0]["message"]["content"]
    assert (
        body["usage"]["total_tokens"]
        == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    )
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["x-simulated"] == "evalharness"


def test_a_stream_opens_with_a_role_and_closes_with_a_reason(client: httpx.Client) -> None:
    first, *pieces, last = chunks(ask(client, stream=True))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert (
        "".join(chunk["choices"][0]["delta"]["content"] for chunk in pieces)
        == (ask(client).json()["choices"][0]["message"]["content"])
    )
    assert last["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert all("usage" not in chunk for chunk in [first, *pieces, last])


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(client: httpx.Client) -> None:
    *others, last = chunks(ask(client, stream=True, stream_options={"include_usage": True}))
    assert all(chunk["usage"] is None for chunk in others)
    assert last["choices"] == []
    assert last["usage"] == ask(client).json()["usage"]


def test_obfuscation_can_be_switched_off(client: httpx.Client) -> None:
    assert all("obfuscation" in chunk for chunk in chunks(ask(client, stream=True)))
    bare = chunks(ask(client, stream=True, stream_options={"include_obfuscation": False}))
    assert not any("obfuscation" in chunk for chunk in bare)


def test_a_token_limit_shows_in_the_finish_reason(client: httpx.Client) -> None:
    body = ask(client, max_completion_tokens=2).json()
    assert (body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]) == (
        "length",
        2,
    )


def test_a_stop_sequence_is_left_out(client: httpx.Client) -> None:
    choice = ask(client, stop=[" is"]).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("The answer", "stop")


def test_choices_are_drawn_apart_and_stream_side_by_side(client: httpx.Client) -> None:
    asked = {
        "n": 3,
        "temperature": 1.5,
        "seed": 4,
        "messages": [{"role": "user", "content": "Tell me something."}],
    }
    whole = [choice["message"]["content"] for choice in ask(client, **asked).json()["choices"]]
    streamed = ["", "", ""]
    for chunk in chunks(ask(client, stream=True, **asked)):
        for choice in chunk["choices"]:
            streamed[choice["index"]] += choice["delta"].get("content", "")
    assert len(set(whole)) == 3
    assert streamed == whole


def test_thoughts_come_before_the_answer_and_are_billed_apart(client: httpx.Client) -> None:
    body = ask(client, reasoning_effort="low").json()
    message, plain = body["choices"][0]["message"], ask(client).json()["choices"][0]["message"]
    assert message["content"] == plain["content"]
    assert "reasoning_content" not in plain
    used = body["usage"]
    assert (
        used["completion_tokens_details"]["reasoning_tokens"]
        == len(tokenize(message["reasoning_content"]))
        > 10
    )
    assert used["completion_tokens"] == len(tokenize(message["reasoning_content"])) + len(
        tokenize(message["content"])
    )
    deltas = [
        chunk["choices"][0]["delta"]
        for chunk in chunks(ask(client, reasoning_effort="low", stream=True))
    ]
    assert (
        "".join(delta.get("reasoning_content", "") for delta in deltas)
        == message["reasoning_content"]
    )
    assert "".join(delta.get("content", "") for delta in deltas) == message["content"]


def test_a_token_limit_cuts_thoughts_first(client: httpx.Client) -> None:
    choice = ask(client, reasoning_effort="low", max_tokens=3).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert len(tokenize(choice["message"]["reasoning_content"])) == 3


def test_log_probabilities_stand_beside_their_tokens_whole_and_streamed(
    client: httpx.Client,
) -> None:
    whole = ask(client, logprobs=True, top_logprobs=2).json()["choices"][0]
    content = whole["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == whole["message"]["content"]
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) <= 2 for entry in content)
    assert content[0]["bytes"] == list(content[0]["token"].encode())
    streamed = chunks(ask(client, logprobs=True, top_logprobs=2, stream=True))
    told = [chunk["choices"][0]["logprobs"] for chunk in streamed]
    assert [entry for likely in told if likely for entry in likely["content"]] == content
    assert ask(client).json()["choices"][0] == whole | {"logprobs": None}


def test_json_schema_is_followed(client: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    form = {"type": "json_schema", "json_schema": {"name": "order", "schema": schema}}
    messages = [{"role": "user", "content": "The total was $12.50."}]
    body = ask(client, messages=messages, response_format=form).json()
    assert json.loads(body["choices"][0]["message"]["content"]) == {"total": 12.5}


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"top_k": 3}, "unknown_parameter", "top_k"),
        ({"messages": None}, "missing_required_parameter", "messages"),
        ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
        ({"frequency_penalty": -3}, "decimal_below_min_value", "frequency_penalty"),
        ({"n": 0}, "integer_below_min_value", "n"),
        ({"max_tokens": "9"}, "invalid_type", "max_tokens"),
        ({"logit_bias": {"1": 5}}, "unsupported_parameter", "logit_bias"),
        ({"logprobs": 2}, "invalid_type", "logprobs"),
        ({"top_logprobs": 2}, "invalid_value", "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "integer_above_max_value", "top_logprobs"),
        ({"reasoning_effort": "much"}, "invalid_value", "reasoning_effort"),
        ({"stream_options": {"include_usage": True}}, "invalid_value", "stream_options"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "invalid_type", "messages[0].content"),
        ({"response_format": {"type": "xml"}}, "invalid_value", "response_format.type"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}},
                }
            },
            "invalid_json_schema",
            "response_format",
        ),
        ({"max_tokens": 131_000}, "context_length_exceeded", "messages"),
    ],
)
def test_what_breaks_the_contract_is_named(
    client: httpx.Client, change: dict[str, Any], code: str, param: str
) -> None:
    response = ask(client, **change)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["code"], error["param"]) == (code, param)


def test_cloudflares_endpoint_takes_unknown_keys_and_answers_with_its_headers(
    client: httpx.Client,
) -> None:
    response = ask(
        client,
        CLOUDFLARE_CHAT,
        model="@cf/meta/llama-4-scout-17b-16e-instruct",
        top_k=3,
        options={},
    )
    assert "42" in response.json()["choices"][0]["message"]["content"]
    assert "cf-ai-req-id" in response.headers
    assert "cf-ai-neurons" in response.headers


def test_models_are_listed(client: httpx.Client) -> None:
    listed = client.get("/v1/models").json()
    assert "@cf/meta/llama-4-scout-17b-16e-instruct" in [model["id"] for model in listed["data"]]


def test_an_unknown_address_answers_like_openai(client: httpx.Client) -> None:
    response = client.post("/v1/nothing", json={})
    assert response.status_code == 404
    assert "error" in response.json()


def test_min_p_is_an_extension_that_only_cloudflares_endpoint_takes(client: httpx.Client) -> None:
    def answers(**extra: Any) -> set[str]:
        choices = ask(client, CLOUDFLARE_CHAT, temperature=2, n=40, **extra).json()["choices"]
        return {choice["message"]["content"] for choice in choices}

    assert len(answers()) > 3
    assert len(answers(min_p=1)) == 1
    assert ask(client, CHAT, min_p=0.1).json()["error"]["code"] == "unknown_parameter"
    assert ask(client, CLOUDFLARE_CHAT, min_p="much").json()["error"]["code"] == "invalid_type"


def test_penalties_reach_the_sampler_by_either_endpoint(client: httpx.Client) -> None:
    def variety(path: str, **extra: Any) -> float:
        answer = ask(
            client, path, messages=[{"role": "user", "content": "Tell me a long story."}], **extra
        )
        words = answer.json()["choices"][0]["message"]["content"].split()
        return len(set(words)) / len(words)

    plain = variety(CHAT)
    assert variety(CHAT, frequency_penalty=2) > plain + 0.05
    assert variety(CHAT, presence_penalty=2) > plain + 0.05
    assert variety(CLOUDFLARE_CHAT, repetition_penalty=2) > plain + 0.05
