"""What each vendor of chat completions is sent, and what its answers have of their own."""

# Wire bytes stand here as they are on the wire.
# ruff: noqa: UP031

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness import registry
from harness.model import (
    Auth,
    EncodedRequest,
    Message,
    Request,
    ResponseFormat,
    Target,
    Tool,
    ToolCall,
    Usage,
)
from harness.providers.base import Signal, SupportsVersions
from harness.providers.openai.chat_format import nine_character_id
from harness.providers.openai.dialects import ChatVendor
from harness.vendors import PROVIDERS

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
ENVELOPE = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
}
HI = (Message("user", "Hi"),)
VENDORS = [
    name for name in PROVIDERS if isinstance(registry.load_plugin("providers", name), ChatVendor)
]


def target(vendor: str, api_version: str | None = None) -> Target:
    provider = registry.load_plugin("providers", vendor)
    address = provider.default_address
    return Target(
        "t",
        vendor,
        "m/1",
        address,
        address,
        api_key_env=provider.default_api_key_env,
        api_version=api_version,
    )


def wire(vendor: str, request: Request, api_version: str | None = None) -> EncodedRequest:
    encoded: EncodedRequest = registry.load_plugin("providers", vendor).encode(
        target(vendor, api_version), request
    )
    return encoded


def sent(vendor: str, **asked: Any) -> Any:
    return json.loads(wire(vendor, Request(**{"messages": HI, "stream": False, **asked})).body)


@pytest.mark.parametrize(
    ("vendor", "address", "variable", "limit"),
    [
        ("azure", "${AZURE_OPENAI_ENDPOINT}", "AZURE_OPENAI_API_KEY", "max_completion_tokens"),
        ("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "max_tokens"),
        ("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "max_completion_tokens"),
        ("llamacpp", "http://127.0.0.1:8080/v1", None, "max_tokens"),
        ("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "max_tokens"),
        ("ollama", "http://127.0.0.1:11434/v1", None, "max_tokens"),
        ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "max_completion_tokens"),
        ("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "max_tokens"),
        ("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", "max_tokens"),
        ("vllm", "http://127.0.0.1:8000/v1", None, "max_tokens"),
    ],
)
def test_where_each_is_and_what_it_calls_the_output_limit(
    vendor: str, address: str, variable: str | None, limit: str
) -> None:
    provider = registry.load_plugin("providers", vendor)
    assert (provider.name, provider.default_address, provider.default_api_key_env) == (
        vendor,
        address,
        variable,
    )
    assert sent(vendor, sampling={"max_tokens": 5})[limit] == 5
    auth = wire(vendor, Request(HI)).auth
    assert (auth.env if auth else None) == variable


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_request_has_the_vendors_key_and_its_names_for_parameters(vendor: str) -> None:
    facts = PROVIDERS[vendor]
    encoded = wire(vendor, Request(HI, {"max_tokens": 5}, stream=False))
    assert encoded.path.partition("?")[0].endswith("/chat/completions")
    assert (encoded.auth.env if encoded.auth else None) == facts.api_key_env
    body = json.loads(encoded.body)
    assert (body["model"], body["messages"]) == ("m/1", [{"role": "user", "content": "Hi"}])
    assert body[facts.models[-1].parameters["max_tokens"].field] == 5


@pytest.mark.parametrize(
    ("vendor", "expected"),
    [
        ("vllm", {}),
        ("groq", {}),
        ("llamacpp", {"cache_prompt": False}),
        ("openrouter", {"usage": {"include": True}}),
    ],
)
def test_a_plain_request_and_what_a_vendor_adds_to_it(
    vendor: str, expected: dict[str, Any]
) -> None:
    plain = {"model": "m/1", "messages": [{"role": "user", "content": "Hi"}]}
    assert sent(vendor) == plain | expected
    assert (
        sent(vendor, stream=True)
        == plain | {"stream": True, "stream_options": {"include_usage": True}} | expected
    )


def test_mistral_has_names_of_its_own_and_refuses_stream_options() -> None:
    tool = Tool("f", "Does it", {"type": "object", "properties": {}})
    turns = (
        *HI,
        Message(
            "assistant",
            tool_calls=(ToolCall("call_1", "f", "{}"), ToolCall("D681PevKs", "f", "{}")),
        ),
        Message("tool", "3", tool_call_id="call_1"),
        Message("tool", "4", tool_call_id="D681PevKs"),
    )
    body = sent(
        "mistral",
        messages=turns,
        sampling={"seed": 7},
        tools=(tool,),
        tool_choice="required",
        stream=True,
    )
    assert (body["random_seed"], body["tool_choice"], body["stream"]) == (7, "any", True)
    assert not {"seed", "stream_options"} & body.keys()
    called, first, second = body["messages"][1:]
    assert [call["id"] for call in called["tool_calls"]] == [
        first["tool_call_id"],
        second["tool_call_id"],
    ]
    assert second["tool_call_id"] == "D681PevKs"
    assert first["tool_call_id"] == nine_character_id("call_1") != "call_1"
    assert len(first["tool_call_id"]) == 9


def test_deepseek_wants_back_what_was_thought_before_calls_and_only_that() -> None:
    call = (ToolCall("call_1", "f", "{}"),)
    turns = (
        *HI,
        Message("assistant", "Hello", reasoning="Greet."),
        Message("assistant", reasoning="Look it up.", tool_calls=call),
        Message("assistant", tool_calls=call),
    )
    assert [
        turn.get("reasoning_content") for turn in sent("deepseek", messages=turns)["messages"]
    ] == [
        None,
        None,
        "Look it up.",
        "",
    ]


def test_parameters_under_other_names() -> None:
    assert (
        sent("llamacpp", sampling={"repetition_penalty": 1.1, "top_k": 5})["repeat_penalty"] == 1.1
    )
    assert sent("openrouter", sampling={"reasoning_effort": "low"})["reasoning"] == {
        "effort": "low"
    }


@pytest.mark.parametrize(
    ("vendor", "kind", "expected"),
    [
        ("vllm", "json_schema", {"response_format": ENVELOPE}),
        ("vllm", "guided_json", {"structured_outputs": {"json": SCHEMA}}),
        ("llamacpp", "json_schema", {"response_format": {"type": "json_object", "schema": SCHEMA}}),
        ("llamacpp", "guided_json", {"json_schema": SCHEMA}),
        ("ollama", "json_schema", {"response_format": ENVELOPE}),
        ("mistral", "json_schema", {"response_format": ENVELOPE}),
    ],
)
def test_schemas(vendor: str, kind: Any, expected: dict[str, Any]) -> None:
    body = sent(vendor, response_format=ResponseFormat(kind, SCHEMA))
    assert expected.items() <= body.items()
    assert sent(vendor, response_format=ResponseFormat("json_object"))["response_format"] == {
        "type": "json_object"
    }


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("vendor", "schema", "asked", "said"),
    [
        ("vllm", CLOSED, None, True),
        ("vllm", {"type": "object"}, None, None),
        ("vllm", {"type": "object"}, True, True),
        ("vllm", CLOSED, False, None),
        ("openai-responses", {"type": "object"}, True, True),
        ("openai-responses", CLOSED, None, True),
        ("openai", CLOSED, None, None),
        ("openai", CLOSED, True, True),
        ("groq", CLOSED, False, False),
        ("anthropic", CLOSED, True, True),
    ],
)
def test_whether_calls_are_held_to_a_functions_parameters(
    vendor: str, schema: dict[str, Any], asked: bool | None, said: bool | None
) -> None:
    (tool,) = sent(vendor, tools=(Tool("f", "", schema, asked),))["tools"]
    assert tool.get("function", tool).get("strict") is said


def test_a_guided_schema_where_there_is_no_such_thing() -> None:
    with pytest.raises(ValueError, match="do not support guided_json"):
        sent("groq", response_format=ResponseFormat("guided_json", SCHEMA))


def test_azure_has_the_deployment_in_the_path_the_version_in_the_query_and_the_key_in_a_header() -> (
    None
):
    provider = registry.load_plugin("providers", "azure")
    assert isinstance(provider, SupportsVersions)
    encoded = wire("azure", Request(HI), "2025-01-01-preview")
    assert (
        encoded.path == "/openai/deployments/m%2F1/chat/completions?api-version=2025-01-01-preview"
    )
    assert encoded.auth == Auth("AZURE_OPENAI_API_KEY", "api-key", "")
    assert wire("azure", Request(HI)).path.endswith(f"?api-version={provider.default_api_version}")
    assert wire("azure", Request(HI), "v1").path == "/openai/v1/chat/completions"


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mistral(reading: Callable[..., Any]) -> Any:
    return reading(registry.load_plugin("providers", "mistral"), target("mistral"))


def test_mistrals_thinking_is_reasoning_whole_and_streamed(mistral: Any) -> None:
    content = '[{"type":"thinking","thinking":[{"type":"text","text":"Add "},{"type":"text","text":"them."}]},{"type":"text","text":"4"}]'
    whole = mistral.whole(
        '{"choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}]}'
        % content
    )
    assert (whole.message.reasoning, whole.message.text) == ("Add them.", "4")
    streamed = mistral.stream(
        'data: {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Add "}]}]}}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"them."}]}]}}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{"content":"4"}}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":4,"total_tokens":11}}\n\n'
        "data: [DONE]\n\n"
    )
    assert streamed.message == whole.message
    assert (streamed.usage, streamed.finish_reason) == (Usage(7, 4), "stop")
    assert mistral.signals == [
        Signal.REASONING,
        Signal.REASONING,
        Signal.ANSWER,
        Signal.NOTHING,
        Signal.NOTHING,
    ]


@pytest.mark.parametrize(
    ("vendor", "usage", "expected"),
    [
        (
            "groq",
            '{"queue_time":0.04,"prompt_tokens":9,"prompt_time":0.001,"completion_tokens":2,"completion_time":0.004,"total_tokens":11,"total_time":0.005}',
            Usage(9, 2),
        ),
        (
            "deepseek",
            '{"prompt_tokens":90,"completion_tokens":12,"total_tokens":102,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":26,"completion_tokens_details":{"reasoning_tokens":10}}',
            Usage(26, 2, cache_read=64, reasoning=10),
        ),
        (
            "openrouter",
            '{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"cost":0.00014,"is_byok":false,"cost_details":{"upstream_inference_cost":null}}',
            Usage(9, 2, cost=0.00014),
        ),
        (
            "vllm",
            '{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":4,"created_cache_tokens":1}}',
            Usage(4, 2, cache_read=4, cache_write=1),
        ),
    ],
)
def test_usage_in_each_vendors_words(
    reading: Callable[..., Any], vendor: str, usage: str, expected: Usage
) -> None:
    read = reading(registry.load_plugin("providers", vendor), target(vendor))
    whole = (
        '{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":%s}'
        % usage
    )
    assert read.whole(whole).usage == expected


@pytest.mark.parametrize(
    ("vendor", "status", "body", "kind", "words"),
    [
        ("mistral", 422, b'{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":7}]},"type":"invalid_request_error","param":null,"code":null}', "bad_request", "Extra inputs are not permitted"),
        ("mistral", 401, b'{"detail":"Unauthorized"}', "unauthorized", "Unauthorized"),
        ("vllm", 400, b'{"error":{"message":"temperature must be in [0, 2]","type":"BadRequestError","param":"temperature","code":400}}', "bad_request", "temperature must be"),
        ("openrouter", 402, b'{"error":{"code":402,"message":"Insufficient credits","metadata":{}}}', "quota_exhausted", "Insufficient credits"),
        ("azure", 404, b'{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}', "not_found", "does not exist"),
        ("azure", 401, b'{"statusCode":401,"message":"Unauthorized. Access token is missing, invalid or expired."}', "unauthorized", "Access token"),
        ("ollama", 404, b'{"error":{"message":"model \\"x\\" not found, try pulling it first","type":"api_error","param":null,"code":null}}', "not_found", "not found"),
        ("groq", 413, b'{"error":{"message":"Request too large for model","type":"tokens","code":"rate_limit_exceeded"}}', "too_large", "Request too large"),
        ("deepseek", 402, b'{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}', "quota_exhausted", "Insufficient Balance"),
    ],
)  # fmt: skip
def test_errors_in_each_vendors_words(
    reading: Callable[..., Any], vendor: str, status: int, body: bytes, kind: str, words: str
) -> None:
    error = (
        reading(registry.load_plugin("providers", vendor), target(vendor))
        .refused(status, body)
        .error
    )
    assert (error.kind, words in error.message) == (kind, True)
