"""Anthropic's own Python SDK against the simulator: what it reads is what the ledger says was
answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.sdk.asked import billed
from tests.support import Simulated

MODEL = "claude-sonnet-4-6"
QUESTION: Any = [{"role": "user", "content": "What is 6 * 7? Answer with the number only."}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "City"}},
        "required": ["city"],
    },
}
OLDER = {"anthropic-version": "2023-06-01"}
GREEDY = {"temperature": 0}
"""Not among the SDK's own arguments any more."""


@pytest.fixture
def sdk(simulator: Simulated) -> Iterator[Anthropic]:
    with Anthropic(api_key="any", base_url=simulator.base_url, max_retries=0) as client:
        yield client


def test_an_answer_and_its_usage(sdk: Anthropic, simulator: Simulated) -> None:
    answer = sdk.messages.create(
        model=MODEL, max_tokens=16, messages=QUESTION, extra_headers=OLDER, extra_body=GREEDY
    )
    (block,) = answer.content
    assert (block.type, block.text, answer.stop_reason) == ("text", "42", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == billed(simulator)


def test_a_stream(sdk: Anthropic, simulator: Simulated) -> None:
    asked = sdk.messages.stream(
        model=MODEL, max_tokens=16, messages=QUESTION, extra_headers=OLDER, extra_body=GREEDY
    )
    with asked as stream:
        text = "".join(stream.text_stream)
        answer = stream.get_final_message()
    assert (text, answer.content[0].text, answer.stop_reason) == ("42", "42", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == billed(simulator)


def test_the_sdk_speaks_the_newer_version_by_itself(sdk: Anthropic, simulator: Simulated) -> None:
    sdk.messages.create(model=MODEL, max_tokens=16, messages=QUESTION)
    assert ["anthropic-version", "2026-10-21"] in simulator.requests()[-1]["headers"]
    with pytest.raises(
        anthropic.BadRequestError, match="temperature: Extra inputs are not permitted"
    ):
        sdk.messages.create(model=MODEL, max_tokens=16, messages=QUESTION, extra_body=GREEDY)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_thoughts_and_a_loop_of_tools(sdk: Anthropic, simulator: Simulated, streamed: bool) -> None:
    turns: Any = [{"role": "user", "content": "What is the current weather in the city Oslo?"}]
    asked: Any = {
        "model": MODEL,
        "max_tokens": 500,
        "tools": [WEATHER],
        "thinking": {"type": "adaptive"},
    }

    def ask() -> Any:
        if not streamed:
            return sdk.messages.create(**asked, messages=turns)
        with sdk.messages.stream(**asked, messages=turns) as stream:
            return stream.get_final_message()

    answer = ask()
    thought, call = answer.content
    assert (thought.type, call.type, answer.stop_reason) == ("thinking", "tool_use", "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo"})
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == billed(simulator)
    assert answer.usage.output_tokens_details.thinking_tokens > 0

    result = {
        "type": "tool_result",
        "tool_use_id": call.id,
        "content": '{"temperature": 17, "unit": "C"}',
    }
    turns += [
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result]},
    ]
    last = ask().content[-1]
    assert (last.type, "17" in last.text) == ("text", True)

    turns[1]["content"][0].signature = "forged"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        ask()


def test_a_schema(sdk: Anthropic) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    answer: Any = sdk.messages.create(
        model=MODEL,
        max_tokens=50,
        messages=[{"role": "user", "content": "The total was $12.50."}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
        extra_headers=OLDER,
        extra_body=GREEDY,
    )
    total = json.loads(answer.content[0].text)
    assert list(total) == [
        "total"
    ]  # which number is drawn: this version of the API takes no temperature
    assert isinstance(total["total"], int | float)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError), (401, anthropic.AuthenticationError), (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError), (413, anthropic.APIStatusError), (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError), (529, anthropic.InternalServerError),
    ],
)  # fmt: skip
def test_every_error_is_the_class_the_sdk_has_for_it(
    sdk: Anthropic, simulator: Simulated, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    simulator.faults({"kind": "status", "status": status})
    with pytest.raises(kind) as refused:
        sdk.messages.create(model=MODEL, max_tokens=16, messages=QUESTION)
    body: Any = refused.value.body
    assert (refused.value.status_code, refused.value.request_id) == (status, body["request_id"])


def test_an_error_within_a_stream(sdk: Anthropic, simulator: Simulated) -> None:
    simulator.faults({"kind": "error_event", "status": 529, "after": 4})
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        sdk.messages.stream(model=MODEL, max_tokens=16, messages=QUESTION) as stream,
    ):
        stream.until_done()
