"""Ollama's own Python SDK against the simulator: what it reads is what the ledger says was
answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from ollama import Client

from tests.sdk.asked import OSLO, QUESTION, WEATHER, billed
from tests.support import Simulated

MODEL = "llama4:17b"
GREEDY = {"temperature": 0}


@pytest.fixture
def sdk(simulator: Simulated) -> Iterator[Client]:
    with Client(host=simulator.base_url, trust_env=False) as client:
        yield client


def test_an_answer_and_its_usage(sdk: Client, simulator: Simulated) -> None:
    answer = sdk.chat(MODEL, QUESTION, options=GREEDY, logprobs=True, top_logprobs=2)
    assert (answer.message.content, answer.done_reason, answer.model) == ("42", "stop", MODEL)
    assert (answer.prompt_eval_count, answer.eval_count) == billed(simulator)
    assert [entry.token for entry in answer.logprobs or ()] == ["42"]


def test_a_stream_and_its_thoughts(sdk: Client, simulator: Simulated) -> None:
    *pieces, last = sdk.chat(MODEL, QUESTION, options=GREEDY, think=True, stream=True)
    assert "".join(piece.message.content or "" for piece in pieces) == "42"
    thought = "".join(piece.message.thinking or "" for piece in pieces)
    assert thought == sdk.chat(MODEL, QUESTION, options=GREEDY, think=True).message.thinking != ""
    assert (last.done, last.done_reason) == (True, "stop")
    assert (last.prompt_eval_count, last.eval_count) == billed(simulator)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_loop_of_tools(sdk: Client, streamed: bool) -> None:
    turns: Any = [{"role": "user", "content": OSLO}]
    if streamed:
        parts = list(sdk.chat(MODEL, turns, tools=[WEATHER], options=GREEDY, stream=True))
        calls = [call for part in parts for call in part.message.tool_calls or ()]
        turns.append({"role": "assistant", "content": "", "tool_calls": calls})
    else:
        answer = sdk.chat(MODEL, turns, tools=[WEATHER], options=GREEDY)
        calls = list(answer.message.tool_calls or ())
        turns.append(answer.message)
    (call,) = calls
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Oslo"})
    turns.append(
        {"role": "tool", "tool_name": "get_weather", "content": '{"temperature": 17, "unit": "C"}'}
    )
    assert "17" in (sdk.chat(MODEL, turns, tools=[WEATHER], options=GREEDY).message.content or "")


def test_a_schema_and_a_limit(sdk: Client) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    told: Any = [{"role": "user", "content": "The total was $12.50."}]
    assert json.loads(
        sdk.chat(MODEL, told, format=schema, options=GREEDY).message.content or ""
    ) == {"total": 12.5}
    story: Any = [{"role": "user", "content": "Tell me a long story."}]
    assert sdk.chat(MODEL, story, options={"num_predict": 3}).done_reason == "length"


def test_errors(sdk: Client, simulator: Simulated) -> None:
    with pytest.raises(
        ollama.ResponseError, match='option "temperature" must be of type float32'
    ) as refused:
        sdk.chat(MODEL, QUESTION, options={"temperature": "warm"})
    assert refused.value.status_code == 400
    simulator.faults(
        {"kind": "error_event", "after": 1, "message": "model runner has unexpectedly stopped"}
    )
    with pytest.raises(ollama.ResponseError, match="unexpectedly stopped"):
        list(sdk.chat(MODEL, QUESTION, stream=True))


def test_an_image_is_read_and_billed(sdk: Client) -> None:
    plain = sdk.chat(MODEL, QUESTION, options=GREEDY)
    shown: Any = [{**QUESTION[0], "images": [b"not looked into"]}]
    assert (sdk.chat(MODEL, shown, options=GREEDY).prompt_eval_count or 0) > (
        plain.prompt_eval_count or 0
    )
