"""OpenAI's reasoning models refuse sampling parameters, as was measured on GPT-5.6."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

HI = [{"role": "user", "content": "Hi"}]


def chat(client: httpx.Client, model: str = "gpt-5.6-terra", **change: Any) -> httpx.Response:
    return client.post(
        "/v1/chat/completions",
        json={"model": model, "messages": HI, "max_completion_tokens": 9, **change},
    )


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"max_tokens": 5}, "max_tokens", "unsupported_parameter"),
        ({"temperature": 0.2}, "temperature", "unsupported_value"),
        ({"temperature": 0}, "temperature", "unsupported_value"),
        ({"top_p": 0.9}, "top_p", "unsupported_parameter"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "unsupported_parameter"),
        ({"presence_penalty": 0.5}, "presence_penalty", "unsupported_parameter"),
        ({"stop": ["x"]}, "stop", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"n": 9}, "n", "integer_above_max_value"),
    ],
)
@pytest.mark.parametrize("model", ["gpt-5.6-terra", "gpt-6-sol", "o3", "o4-mini"])
def test_what_reasoning_models_refuse(
    client: httpx.Client, model: str, change: dict[str, Any], param: str, code: str
) -> None:
    response = chat(client, model, **change)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"], error["code"]) == (
        400,
        "invalid_request_error",
        param,
        code,
    )


@pytest.mark.parametrize(
    "change",
    [{}, {"temperature": 1, "top_p": 1}, {"seed": 7}, {"n": 8}, {"reasoning_effort": "low"}],
)
def test_what_reasoning_models_accept(client: httpx.Client, change: dict[str, Any]) -> None:
    assert chat(client, **change).status_code == 200


def test_without_reasoning_penalties_and_log_probabilities_are_taken(client: httpx.Client) -> None:
    assert (
        chat(client, reasoning_effort="none", logprobs=True, presence_penalty=0.5).status_code
        == 200
    )


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4o-mini", "gpt-oss-20b", "olmo-3"])
def test_other_models_accept_sampling_parameters(client: httpx.Client, model: str) -> None:
    assert (
        chat(client, model, temperature=0.2, top_p=0.9, stop=["x"], logprobs=True).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": 0.2}, "temperature"),
        ({"top_p": 1}, "top_p"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
)
def test_the_responses_api_refuses_alike_and_any_top_p(
    client: httpx.Client, change: dict[str, Any], param: str
) -> None:
    response = client.post(
        "/v1/responses", json={"model": "gpt-5.6-terra", "input": "Hi", **change}
    )
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "more",
    [
        {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
        {"moderation": {}},
        {"web_search_options": {}},
    ],
)
def test_keys_of_the_newest_reference_are_known(client: httpx.Client, more: dict[str, Any]) -> None:
    assert chat(client, **more).status_code == 200
