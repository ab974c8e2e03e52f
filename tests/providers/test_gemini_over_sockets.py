"""The Gemini provider and the simulator: what is sent has the documented shape, what comes back is
what the ledger says."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from harness import registry
from harness.model import Image, Message, Request, Response, ResponseFormat, Target, Text, Tool
from tests.pictures import picture
from tests.providers.over_sockets import exchange, sent
from tests.support import Simulated

provider = registry.load_plugin("providers", "gemini")

WEATHER = Tool(
    "get_weather",
    "Current weather in a city",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "City"}},
        "required": ["city"],
    },
)
OSLO = (Message("user", "What is the current weather in the city Oslo?"),)
QUESTION = (
    Message("system", "Be brief."),
    Message("user", "What is 6 * 7? Answer with the number only."),
)


def simulated(simulator: Simulated, **changes: Any) -> Target:
    return Target(
        "flash", "gemini", "gemini-3.5-flash", simulator.base_url, simulator.base_url, **changes
    )


def ledger_tokens(simulator: Simulated) -> tuple[int, int]:
    entry = simulator.requests()[-1]
    return entry["prompt_tokens"], entry["completion_tokens"]


def tokens(answer: Response) -> tuple[int | None, int | None]:
    assert answer.usage is not None
    return answer.usage.input_tokens, answer.usage.output_tokens


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_an_answer(simulator: Simulated, stream: bool, version: str) -> None:
    request = Request(
        QUESTION, {"temperature": 0, "max_tokens": 64, "logprobs": 2, "stop": "END"}, stream
    )
    answer = exchange(simulated(simulator, api_version=version), request)
    assert (answer.error, answer.text, answer.finish_reason, answer.flags) == (
        None,
        "42",
        "stop",
        (),
    )
    assert (answer.model, tokens(answer)) == ("gemini-3.5-flash", ledger_tokens(simulator))
    assert "".join(each.token for each in answer.logprobs) == "42"
    entry = simulator.requests()[-1]
    method = "streamGenerateContent" if stream else "generateContent"
    assert entry["path"] == f"/{version}/models/gemini-3.5-flash:{method}"
    assert entry["query"] == ("alt=sse" if stream else "")
    assert sent(simulator) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "What is 6 * 7? Answer with the number only."}]}],
        "generationConfig": {
            "temperature": 0, "maxOutputTokens": 64, "responseLogprobs": True, "logprobs": 2, "stopSequences": ["END"]},
    }  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_loop_while_thinking_keeps_the_signature(simulator: Simulated, stream: bool) -> None:
    thinking = {"reasoning_effort": "low", "temperature": 0}
    first = exchange(simulated(simulator), Request(OSLO, thinking, stream, tools=(WEATHER,)))
    assert (first.error, first.finish_reason) == (None, "tool_calls")
    assert first.usage is not None and first.usage.reasoning > 0
    assert tokens(first) == ledger_tokens(simulator)
    assert first.message is not None and first.message.reasoning
    (call,) = first.message.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    turns = (*OSLO, first.message, Message("tool", '{"temperature": 17}', tool_call_id=call.id))
    second = exchange(simulated(simulator), Request(turns, thinking, stream, tools=(WEATHER,)))
    assert (second.error, second.finish_reason) == (None, "stop")
    assert "17" in second.text
    model, result = sent(simulator)["contents"][1:]
    assert model["parts"][0]["thoughtSignature"]
    assert result["parts"] == [
        {
            "functionResponse": {
                "id": call.id,
                "name": "get_weather",
                "response": {"temperature": 17},
            }
        }
    ]


def test_a_call_without_its_signature_is_refused(simulator: Simulated) -> None:
    thinking = {"reasoning_effort": "low", "temperature": 0}
    first = exchange(simulated(simulator), Request(OSLO, thinking, tools=(WEATHER,)))
    assert first.message is not None
    unsigned = Message("assistant", tool_calls=first.message.tool_calls)
    turns = (*OSLO, unsigned, Message("tool", "17", tool_call_id=first.message.tool_calls[0].id))
    error = exchange(simulated(simulator), Request(turns, thinking, tools=(WEATHER,))).error
    assert error is not None
    assert (error.kind, error.retryable, error.code) == ("bad_request", False, "INVALID_ARGUMENT")
    assert "thought_signature" in error.message


def test_a_schema_is_followed(simulator: Simulated) -> None:
    form = ResponseFormat(
        "json_schema", {"type": "object", "properties": {"total": {"type": "number"}}}
    )
    asked = (Message("user", "The total was $12.50."),)
    answer = exchange(
        simulated(simulator), Request(asked, {"temperature": 0}, response_format=form)
    )
    assert json.loads(answer.text) == {"total": 12.5}


def test_an_image_arrives(simulator: Simulated) -> None:
    data = b64encode(picture("PNG")).decode()
    answer = exchange(
        simulated(simulator), Request((Message("user", (Text("Look"), Image("image/png", data))),))
    )
    assert answer.error is None
    assert tokens(answer) == ledger_tokens(simulator)
    assert sent(simulator)["contents"][0]["parts"][1] == {
        "inlineData": {"mimeType": "image/png", "data": data}
    }


def test_every_parameter_together_is_taken(simulator: Simulated) -> None:
    sampling = {
        "temperature": 1, "top_p": 0.9, "top_k": 40, "max_tokens": 400, "seed": 7, "presence_penalty": 0.1,
        "frequency_penalty": 0.1, "n": 2, "stop": ["END"], "logprobs": 3, "reasoning_effort": "minimal",
    }  # fmt: skip
    answer = exchange(
        simulated(simulator), Request((Message("user", "Tell me a story."),), sampling)
    )
    assert (answer.error, answer.flags) == (None, ())
    assert tokens(answer) == ledger_tokens(simulator)


@pytest.mark.parametrize(
    ("fault", "kind", "retryable", "wait"),
    [
        ({"kind": "status", "status": 429}, "rate_limited", True, 1.0),
        (
            {"kind": "status", "status": 429, "code": "GenerateRequestsPerDayPerProject"},
            "quota_exhausted",
            False,
            1.0,
        ),
        ({"kind": "status", "status": 401}, "unauthorized", False, None),
        ({"kind": "status", "status": 403}, "forbidden", False, None),
        ({"kind": "status", "status": 404}, "not_found", False, None),
        ({"kind": "status", "status": 500}, "server_error", True, None),
        ({"kind": "status", "status": 503}, "overloaded", True, None),
        ({"kind": "status", "status": 504}, "timeout", True, None),
        ({"kind": "html", "status": 502}, "server_error", True, None),
        ({"kind": "empty"}, "empty", False, None),
        ({"kind": "error_event", "status": 503, "after": 2}, "overloaded", True, None),
        ({"kind": "error_event", "status": 429, "after": 2}, "rate_limited", True, 1.0),
        ({"kind": "cut", "how": "clean", "after": 2}, "truncated", True, None),
        ({"kind": "cut", "how": "half_event", "after": 2}, "truncated", True, None),
    ],
)
def test_what_goes_wrong(
    simulator: Simulated, fault: dict[str, Any], kind: str, retryable: bool, wait: float | None
) -> None:
    simulator.faults(fault)
    answer = exchange(
        simulated(simulator),
        Request((Message("user", "Tell me a long story."),), {"temperature": 0}),
    )
    assert answer.error is not None
    assert (answer.error.kind, answer.error.retryable, answer.error.retry_after) == (
        kind,
        retryable,
        wait,
    )
    assert bool(answer.text) == ("after" in fault)


def test_the_key_goes_in_its_own_header(simulator: Simulated) -> None:
    target = simulated(simulator, api_key_env="GEMINI_API_KEY")
    assert exchange(target, Request(QUESTION), {"GEMINI_API_KEY": "a-secret-key"}).error is None
    names = {name for name, _ in simulator.requests()[-1]["headers"]}
    assert "x-goog-api-key" in names
    assert "authorization" not in names


def test_the_default_address_and_key() -> None:
    assert provider.default_address == "https://generativelanguage.googleapis.com"
    assert provider.default_api_key_env == "GEMINI_API_KEY"
