"""OpenAI's own Python SDK against the simulator, on both of its APIs: what it reads is what the
ledger says was answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.sdk.asked import billed
from tests.support import Simulated

MODEL = "gpt-4.1"
QUESTION = "What is 6 * 7? Answer with the number only."
ASKED: Any = {"model": MODEL, "temperature": 0}
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "City"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOTAL = {
    "type": "object",
    "properties": {"total": {"type": "number"}},
    "required": ["total"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "parameters": CITY,
}
OSLO: Any = [{"role": "user", "content": "What is the current weather in the city Oslo?"}]
RESULT = '{"temperature": 17, "unit": "C"}'


@pytest.fixture
def sdk(simulator: Simulated) -> Iterator[OpenAI]:
    with OpenAI(api_key="any", base_url=simulator.openai, max_retries=0) as client:
        yield client


# ── Chat completions ──────────────────────────────────────────────────────────────────────────────


def chat_of(question: str) -> Any:
    return [{"role": "user", "content": question}]


def test_a_chat_completion_and_its_usage(sdk: OpenAI, simulator: Simulated) -> None:
    answer = sdk.chat.completions.create(
        **ASKED, messages=chat_of(QUESTION), logprobs=True, top_logprobs=2
    )
    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == ("42", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == billed(simulator)
    assert [entry.token for entry in choice.logprobs.content] == ["42"]


def test_a_streamed_chat_completion(sdk: OpenAI, simulator: Simulated) -> None:
    asked = sdk.chat.completions.stream(
        **ASKED, messages=chat_of(QUESTION), stream_options={"include_usage": True}
    )
    with asked as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        answer = stream.get_final_completion()
    assert (text, answer.choices[0].message.content, answer.choices[0].finish_reason) == (
        "42",
        "42",
        "stop",
    )
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == billed(simulator)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tools_in_a_chat(sdk: OpenAI, simulator: Simulated, streamed: bool) -> None:
    turns = list(OSLO)
    asked: Any = {**ASKED, "tools": [{"type": "function", "function": WEATHER}]}

    def ask() -> Any:
        if not streamed:
            return sdk.chat.completions.create(**asked, messages=turns)
        with sdk.chat.completions.stream(
            **asked, messages=turns, stream_options={"include_usage": True}
        ) as stream:
            return stream.get_final_completion()

    answer = ask()
    (call,) = answer.choices[0].message.tool_calls
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == (
        "tool_calls",
        None,
    )
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "get_weather",
        {"city": "Oslo"},
    )
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == billed(simulator)
    turns += [
        answer.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": RESULT},
    ]
    assert "17" in ask().choices[0].message.content


def test_a_schema_in_a_chat(sdk: OpenAI) -> None:
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "order", "schema": TOTAL, "strict": True},
    }
    answer = sdk.chat.completions.create(
        **ASKED, messages=chat_of("The total was $12.50."), response_format=form
    )
    assert json.loads(answer.choices[0].message.content) == {"total": 12.5}


def test_errors_of_a_chat(sdk: OpenAI, simulator: Simulated) -> None:
    with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'top_k'") as refused:
        sdk.chat.completions.create(**ASKED, messages=chat_of("Hi"), extra_body={"top_k": 3})
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "top_k")
    simulator.faults({"kind": "status", "status": 429})
    with pytest.raises(openai.RateLimitError):
        sdk.chat.completions.create(**ASKED, messages=chat_of("Hi"))


# ── Responses ─────────────────────────────────────────────────────────────────────────────────────


def test_a_response_and_its_usage(sdk: OpenAI, simulator: Simulated) -> None:
    answer = sdk.responses.create(
        **ASKED, input=QUESTION, include=["message.output_text.logprobs"], top_logprobs=2
    )
    assert (answer.output_text, answer.status) == ("42", "completed")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == billed(simulator)
    assert [entry.token for entry in answer.output[0].content[0].logprobs] == ["42"]


def test_a_streamed_response(sdk: OpenAI, simulator: Simulated) -> None:
    with sdk.responses.stream(
        **ASKED, input=QUESTION, reasoning={"effort": "low", "summary": "auto"}
    ) as stream:
        events = list(stream)
        answer = stream.get_final_response()
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    thought = "".join(
        event.delta for event in events if event.type == "response.reasoning_summary_text.delta"
    )
    assert (text, answer.output_text, answer.output[0].summary[0].text) == ("42", "42", thought)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == billed(simulator)
    assert answer.usage.output_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tools_and_thoughts_in_responses(sdk: OpenAI, simulator: Simulated, streamed: bool) -> None:
    items: Any = list(OSLO)
    asked: Any = {
        **ASKED,
        "tools": [{"type": "function", "strict": True, **WEATHER}],
        "reasoning": {"effort": "low"},
        "store": False,
    }

    def ask() -> Any:
        if not streamed:
            return sdk.responses.create(**asked, input=items)
        with sdk.responses.stream(**asked, input=items) as stream:
            return stream.get_final_response()

    answer = ask()
    assert [item.type for item in answer.output] == ["reasoning", "function_call"]
    call = answer.output[1]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == billed(simulator)
    items += [
        item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output
    ]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": RESULT})
    assert "17" in ask().output_text


def test_a_schema_in_responses(sdk: OpenAI) -> None:
    form: Any = {
        "format": {"type": "json_schema", "name": "order", "schema": TOTAL, "strict": True}
    }
    answer = sdk.responses.create(**ASKED, input="The total was $12.50.", text=form)
    assert json.loads(answer.output_text) == {"total": 12.5}


def test_a_response_cut_at_its_limit(sdk: OpenAI) -> None:
    answer = sdk.responses.create(**ASKED, input="Tell me a long story.", max_output_tokens=16)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_errors_of_responses(sdk: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Expected a value >= 16") as refused:
        sdk.responses.create(**ASKED, input="Hi", max_output_tokens=5)
    assert refused.value.param == "max_output_tokens"
