"""Mistral's own Python SDK against the simulator: what it reads is what the ledger says was
answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from tests.sdk.asked import OSLO, QUESTION, WEATHER, billed
from tests.support import Simulated

MODEL = "mistral-large-latest"
ASKED: Any = {"model": MODEL, "temperature": 0}


@pytest.fixture
def sdk(simulator: Simulated) -> Iterator[Mistral]:
    with Mistral(api_key="any", server_url=f"{simulator.base_url}/mistral") as client:
        yield client


def streamed(sdk: Mistral, **asked: Any) -> tuple[list[Any], Any]:
    """The deltas, and the chunk that ends the stream."""
    with sdk.chat.stream(**ASKED, **asked) as events:
        chunks = [event.data for event in events]
    return [chunk.choices[0].delta for chunk in chunks], chunks[-1]


def test_an_answer_and_its_usage(sdk: Mistral, simulator: Simulated) -> None:
    answer = sdk.chat.complete(**ASKED, messages=QUESTION, random_seed=3)
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("42", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == billed(simulator)


def test_a_stream(sdk: Mistral, simulator: Simulated) -> None:
    deltas, last = streamed(sdk, messages=QUESTION)
    assert "".join(delta.content or "" for delta in deltas) == "42"
    assert last.choices[0].finish_reason == "stop"
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == billed(simulator)


def test_thinking(sdk: Mistral) -> None:
    thinking, text = (
        sdk.chat.complete(**ASKED, messages=QUESTION, reasoning_effort="high")
        .choices[0]
        .message.content
    )
    assert (thinking.type, text.text) == ("thinking", "42")
    deltas, _ = streamed(sdk, messages=QUESTION, reasoning_effort="high")
    pieces = [
        delta.content[0].thinking[0].text for delta in deltas if isinstance(delta.content, list)
    ]
    assert "".join(pieces) == thinking.thinking[0].text != ""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_loop_of_tools(sdk: Mistral, stream: bool) -> None:
    turns: Any = [{"role": "user", "content": OSLO}]
    asked: Any = {"messages": turns, "tools": [WEATHER], "tool_choice": "any"}
    if stream:
        deltas, last = streamed(sdk, **asked)
        (call,) = [call for delta in deltas for call in delta.tool_calls or ()]
        finish = last.choices[0].finish_reason
    else:
        (choice,) = sdk.chat.complete(**ASKED, **asked).choices
        (call,), finish = choice.message.tool_calls, choice.finish_reason
    assert (call.function.name, json.loads(call.function.arguments), finish) == (
        "get_weather",
        {"city": "Oslo"},
        "tool_calls",
    )
    assert len(call.id) == 9
    turns += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {
            "role": "tool",
            "tool_call_id": call.id,
            "name": "get_weather",
            "content": '{"temperature": 17, "unit": "C"}',
        },
    ]
    assert (
        "17"
        in sdk.chat.complete(**ASKED, messages=turns, tools=[WEATHER]).choices[0].message.content
    )


def test_a_schema(sdk: Mistral) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "order", "schema": schema}}
    told: Any = [{"role": "user", "content": "The total was $12.50."}]
    answer = sdk.chat.complete(**ASKED, messages=told, response_format=form)
    assert json.loads(answer.choices[0].message.content) == {"total": 12.5}


def test_errors(sdk: Mistral, simulator: Simulated) -> None:
    with pytest.raises(Exception, match=r"less than or equal to 1\.5") as refused:
        sdk.chat.complete(model=MODEL, messages=QUESTION, temperature=1.8)
    assert refused.value.status_code == 422  # type: ignore[attr-defined]
    simulator.faults({"kind": "status", "status": 429})
    with pytest.raises(SDKError, match="Rate limit exceeded"):
        sdk.chat.complete(**ASKED, messages=QUESTION)
