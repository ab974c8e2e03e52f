"""Cloudflare's own Python SDK against the simulator: what it reads is what the ledger says was
answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cloudflare import APIStatusError, Cloudflare

from tests.sdk.asked import OSLO, QUESTION, WEATHER, billed
from tests.support import Simulated

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


@pytest.fixture
def sdk(simulator: Simulated) -> Iterator[Cloudflare]:
    with Cloudflare(
        api_token="any", base_url=f"{simulator.base_url}/client/v4", max_retries=0
    ) as client:
        yield client


def test_an_answer_and_its_usage(sdk: Cloudflare, simulator: Simulated) -> None:
    answer: Any = sdk.ai.run(SCOUT, account_id="a", messages=QUESTION, temperature=0, max_tokens=16)
    assert answer["response"] == "42"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == billed(
        simulator
    )


def test_a_stream_as_far_as_the_sdk_reads_one(sdk: Cloudflare, simulator: Simulated) -> None:
    """It has no reader of events: what it hands over is the body, line by line."""
    asked = sdk.ai.with_streaming_response.run(
        SCOUT, account_id="a", messages=QUESTION, temperature=0, max_tokens=16, stream=True
    )
    with asked as response:
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    frames = [json.loads(line) for line in lines]
    assert "".join(frame["response"] for frame in frames) == "42"
    usage = frames[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == billed(simulator)


def test_a_prompt_without_a_chat(sdk: Cloudflare, simulator: Simulated) -> None:
    answer: Any = sdk.ai.run(SCOUT, account_id="a", prompt="What is 6 * 7?", temperature=0)
    assert "42" in answer["response"]
    assert answer["usage"]["completion_tokens"] == billed(simulator)[1]


def test_tool_calls(sdk: Cloudflare, simulator: Simulated) -> None:
    asked: Any = [{"role": "user", "content": OSLO}]
    answer: Any = sdk.ai.run(SCOUT, account_id="a", messages=asked, tools=[WEATHER], temperature=0)
    (call,) = answer["tool_calls"]
    assert "response" not in answer
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert answer["usage"]["completion_tokens"] == billed(simulator)[1]


def test_a_refusal(sdk: Cloudflare) -> None:
    with pytest.raises(APIStatusError) as refused:
        sdk.ai.run(SCOUT, account_id="a", messages=QUESTION, temperature=6)
    assert refused.value.status_code == 400
    assert refused.value.errors[0].code == 5006
