"""The provider against the simulator: what it sent arrived in the documented shape, and what it
read is what was answered."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from harness.model import Message, Request, Response, ResponseFormat, Target, Tool
from harness.simulator import Config, start
from tests.providers.over_sockets import exchange, sent
from tests.support import Simulated

HI = (Message("system", "Answer with the number only."), Message("user", "What is 6 * 7?"))
WEATHER = Tool(
    "get_weather",
    "Current weather in a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "City"}},
        "required": ["city"],
    },
)


@pytest.fixture
def claude(simulator: Simulated) -> Target:
    address = f"{simulator.base_url}/v1"
    return Target("claude", "anthropic", "claude-sonnet-4-6", address, address, api_key_env="KEY")


def asked(target: Target, request: Request) -> Response:
    return exchange(target, request, {"KEY": "sk-ant-0123456789"})


def counted(simulator: Simulated) -> tuple[int, int]:
    entry = simulator.requests()[-1]
    return entry["prompt_tokens"], entry["completion_tokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_plain_answer(claude: Target, simulator: Simulated, stream: bool) -> None:
    response = asked(claude, Request(HI, {"temperature": 0, "max_tokens": 20}, stream=stream))
    assert sent(simulator) == {
        "model": "claude-sonnet-4-6",
        "max_tokens": 20,
        "temperature": 0,
        "system": "Answer with the number only.",
        "messages": [{"role": "user", "content": "What is 6 * 7?"}],
        **({"stream": True} if stream else {}),
    }
    headers = dict(simulator.requests()[-1]["headers"])
    assert headers["anthropic-version"] == "2023-06-01"
    assert headers["x-api-key"].startswith("blake2b:")
    assert "authorization" not in headers
    assert (response.text, response.finish_reason, response.model, response.flags) == (
        "42",
        "stop",
        "claude-sonnet-4-6",
        (),
    )
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == counted(simulator)
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["anthropic-ratelimit-requests-limit"] == "4000"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_signed_thoughts_go_back_unchanged_with_the_tools_result(
    claude: Target, simulator: Simulated, stream: bool
) -> None:
    turns = (Message("user", "What is the current weather in the city Oslo?"),)
    request = Request(
        turns, {"max_tokens": 500, "reasoning_effort": "low"}, stream=stream, tools=(WEATHER,)
    )
    first = asked(claude, request)
    answer = first.message
    assert answer is not None
    (call,) = answer.tool_calls
    assert (call.name, call.arguments.replace(" ", ""), first.finish_reason) == (
        "get_weather",
        '{"city":"Oslo"}',
        "tool_calls",
    )
    assert answer.reasoning
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.output_tokens) == counted(simulator)
    assert first.usage.reasoning > 0

    result = Message("tool", '{"temperature": 17, "unit": "C"}', tool_call_id=call.id)
    second = asked(claude, replace(request, messages=(*turns, answer, result)))
    thought, use = sent(simulator)["messages"][1]["content"]
    assert (thought["type"], thought["thinking"], use["id"]) == (
        "thinking",
        answer.reasoning,
        call.id,
    )
    assert "17" in second.text

    forged = replace(answer, echo={"anthropic": [thought | {"signature": "forged"}, use]})
    refused = asked(claude, replace(request, messages=(*turns, forged, result)))
    assert refused.error is not None
    assert "Invalid `signature` in `thinking` block" in refused.error.message


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_goes_on_after_thinking_that_was_cut(claude: Target, stream: bool) -> None:
    request = Request(HI[1:], {"max_tokens": 2, "reasoning_effort": "low"}, stream=stream)
    cut = asked(claude, request)
    assert (cut.finish_reason, cut.text) == ("length", "")
    assert cut.message is not None
    assert cut.message.reasoning
    assert asked(claude, replace(request, messages=(*HI[1:], cut.message, *HI[1:]))).error is None


def test_a_schema_and_a_stop(claude: Target) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}}
    turns = (Message("user", "The total was $12.50."),)
    request = Request(
        turns,
        {"temperature": 0, "max_tokens": 50},
        response_format=ResponseFormat("json_schema", schema),
    )
    assert asked(claude, request).text == '{"total": 12.5}'
    stopped = asked(claude, Request(HI[1:], {"temperature": 0, "stop": " is"}))
    assert (stopped.text, stopped.finish_reason) == ("The answer", "stop")


def test_the_newer_version_refuses_a_temperature(claude: Target) -> None:
    newer = replace(claude, api_version="2026-10-21")
    assert asked(newer, Request(HI)).error is None
    refused = asked(newer, Request(HI, {"temperature": 1})).error
    assert refused is not None
    assert (refused.kind, refused.status, refused.retryable) == ("bad_request", 400, False)
    assert "temperature: Extra inputs are not permitted" in refused.message


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "bad_request", False), (401, "unauthorized", False), (402, "quota_exhausted", False), (403, "forbidden", False),
        (404, "not_found", False), (413, "too_large", False), (429, "rate_limited", True), (500, "server_error", True),
        (504, "timeout", True), (529, "overloaded", True),
    ],
)  # fmt: skip
def test_every_error(
    claude: Target, simulator: Simulated, status: int, kind: str, retryable: bool
) -> None:
    simulator.faults({"kind": "status", "status": status, "headers": {"retry-after": "7"}})
    response = asked(claude, Request(HI))
    error = response.error
    assert error is not None
    assert (error.kind, error.status, error.retryable, error.retry_after) == (
        kind,
        status,
        retryable,
        7.0,
    )
    assert response.headers["request-id"].startswith("req_")


COLD = Request(HI[1:], {"temperature": 0})
"""Answered with the same words each time, in more than two tokens."""


def test_an_error_in_the_middle_of_a_stream(claude: Target, simulator: Simulated) -> None:
    uncut = asked(claude, COLD).text
    simulator.faults({"kind": "error_event", "status": 529, "after": 5})
    response = asked(claude, COLD)
    assert response.error is not None
    assert (response.error.kind, response.error.retryable) == ("overloaded", True)
    assert response.text
    assert uncut.startswith(response.text)


@pytest.mark.parametrize("how", ["clean", "half_event", "in_chunk", "reset"])
def test_a_stream_that_is_cut(claude: Target, simulator: Simulated, how: str) -> None:
    uncut = asked(claude, COLD).text
    simulator.faults({"kind": "cut", "how": how, "after": 5})
    response = asked(claude, COLD)
    assert response.error is not None
    assert (response.error.kind, response.error.retryable, response.usage) == (
        "truncated",
        True,
        None,
    )
    assert response.text
    assert uncut.startswith(response.text)


@pytest.mark.parametrize(
    ("key", "kind"), [("the-right-key", None), ("a-wrong-key", "unauthorized")]
)
def test_the_key_goes_into_its_header(key: str, kind: str | None) -> None:
    with start(Config(ttft_s=0, inter_token_s=0, api_key="the-right-key")) as guarded:
        address = f"{guarded.base_url}/v1"
        target = Target(
            "claude", "anthropic", "claude-sonnet-4-6", address, address, api_key_env="KEY"
        )
        error = exchange(target, Request(HI), {"KEY": key}).error
    assert (error.kind if error else None) == kind
