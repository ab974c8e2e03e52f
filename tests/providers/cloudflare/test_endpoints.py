"""Workers AI's OpenAI-compatible endpoint and its AI Gateway, on literal bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from harness import registry
from harness.model import Auth, Message, Request, ResponseFormat, Target, ToolCall, Usage

gateway_endpoint = registry.load_plugin("providers", "cloudflare-gateway")

chat_endpoint = registry.load_plugin("providers", "cloudflare-chat")

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
CHAT = Target(
    "chat",
    "cloudflare-chat",
    SCOUT,
    "https://api.test",
    "https://api.test",
    api_key_env="CLOUDFLARE_AUTH_TOKEN",
)
GATEWAY = replace(CHAT, name="gateway", provider="cloudflare-gateway")
HI = Request(messages=(Message("user", "Hi"),), sampling={"temperature": 0}, stream=False)


@pytest.fixture
def chat(reading: Callable[..., Any]) -> Any:
    return reading(chat_endpoint, CHAT)


@pytest.fixture
def gateway(reading: Callable[..., Any]) -> Any:
    return reading(gateway_endpoint, GATEWAY)


@pytest.mark.parametrize("name", ["cloudflare", "cloudflare-chat", "cloudflare-gateway"])
def test_each_endpoint_is_a_provider_of_its_own_name(name: str) -> None:
    assert registry.load_plugin("providers", name).name == name


# ── OpenAI's format ───────────────────────────────────────────────────────────────────────────────


def test_a_chat_request_has_the_model_in_its_body_and_always_a_limit() -> None:
    wire = chat_endpoint.encode(CHAT, HI)
    assert (wire.method, wire.path, wire.auth) == (
        "POST",
        "/ai/v1/chat/completions",
        Auth("CLOUDFLARE_AUTH_TOKEN"),
    )
    assert json.loads(wire.body) == {
        "model": SCOUT,
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0,
        "max_tokens": 256,
    }


def test_a_schema_goes_in_openais_envelope() -> None:
    asked = replace(HI, response_format=ResponseFormat("json_schema", {"type": "object"}))
    assert json.loads(chat_endpoint.encode(CHAT, asked).body)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": False},
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Request(prompt="Once upon"), "the format of chat completions accepts only messages"),
        (
            replace(HI, response_format=ResponseFormat("guided_json", {})),
            "chat completions do not support guided_json",
        ),
    ],
)
def test_what_only_the_native_format_has_is_not_sent(asked: Request, said: str) -> None:
    with pytest.raises(ValueError, match=f"target chat: {said}"):
        chat_endpoint.encode(CHAT, asked)


def test_a_chat_answer_has_no_envelope_and_its_neurons_in_a_header(chat: Any) -> None:
    decoded = chat.whole(
        '{"id":"chatcmpl-1","object":"chat.completion","model":"@cf/meta/llama-4-scout-17b-16e-instruct","choices":[{"index":0,'
        '"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],'
        '"usage":{"prompt_tokens":18,"completion_tokens":3,"total_tokens":21}}',
        {"cf-ai-neurons": "0.6736"},
    )
    assert (decoded.message.text, decoded.finish_reason, decoded.model) == ("Hello!", "stop", SCOUT)
    assert decoded.usage == Usage(18, 3, neurons=0.6736)


def test_a_chat_error_may_come_in_cloudflares_envelope_or_openais(chat: Any) -> None:
    envelope = b'{"result":null,"success":false,"errors":[{"code":7003,"message":"Could not route"}],"messages":[]}'
    error = chat.refused(404, envelope).error
    assert (error.kind, error.code, error.message) == (
        "not_found",
        "7003",
        "HTTP 404, code 7003: Could not route",
    )
    error = chat.refused(
        429, b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
    ).error
    assert (error.kind, error.retryable) == ("rate_limited", True)


def test_a_chat_stream_may_end_with_a_native_frame_that_has_the_total(chat: Any) -> None:
    decoded = chat.stream(
        'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}],"usage":{"prompt_tokens":18,"completion_tokens":0}}\n\n'
        'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":1}}\n\n'
        'data: {"choices":[],"usage":{"prompt_tokens":18,"completion_tokens":2}}\n\n'
        'data: {"response":"","usage":{"prompt_tokens":18,"completion_tokens":3,"total_tokens":21,"neurons":0.67}}\n\n'
        "data: [DONE]\n\n"
    )
    assert decoded.message.text == "Hello"
    assert decoded.usage == Usage(18, 3, neurons=0.67)
    assert decoded.error is None


# ── A gateway ─────────────────────────────────────────────────────────────────────────────────────


def test_a_gateway_is_asked_natively_and_told_not_to_answer_from_its_cache() -> None:
    wire = gateway_endpoint.encode(GATEWAY, HI)
    assert wire.path == f"/{SCOUT}"
    assert dict(wire.headers)["cf-aig-skip-cache"] == "true"
    assert json.loads(wire.body) == {
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0,
        "max_tokens": 256,
    }


def test_the_targets_own_headers_say_otherwise() -> None:
    wanted = replace(GATEWAY, headers={"CF-AIG-Skip-Cache": "false", "cf-aig-cache-ttl": "3600"})
    sent = gateway_endpoint.encode(wanted, HI).headers
    assert [value for name, value in sent if name == "cf-aig-skip-cache"] == ["false"]
    assert ("cf-aig-cache-ttl", "3600") in sent


@pytest.mark.parametrize(
    ("status", "flags"), [("HIT", ("cached",)), ("hit", ("cached",)), ("MISS", ()), ("", ())]
)
def test_an_answer_from_the_cache_is_flagged(
    gateway: Any, chat: Any, status: str, flags: tuple[str, ...]
) -> None:
    native = '{"result":{"response":"Hi","usage":{"prompt_tokens":9,"completion_tokens":1}},"success":true,"errors":[]}'
    for endpoint in (gateway, chat):
        assert endpoint.whole(native, {"cf-aig-cache-status": status}).flags == flags


def test_a_gateways_tool_calls_are_the_native_ones(gateway: Any) -> None:
    decoded = gateway.whole(
        '{"result":{"tool_calls":[{"id":"chatcmpl-tool-0f0e0d0c0b0a09080706050403020100","type":"function","function":'
        '{"name":"get_weather","arguments":"{\\"city\\": \\"Oslo\\"}"}}],"usage":{"prompt_tokens":160,"completion_tokens":17,'
        '"total_tokens":177}},"success":true,"errors":[],"messages":[]}'
    )
    call = ToolCall(
        "chatcmpl-tool-0f0e0d0c0b0a09080706050403020100", "get_weather", '{"city": "Oslo"}'
    )
    assert (decoded.message.tool_calls, decoded.message.text, decoded.finish_reason) == (
        (call,),
        "",
        "tool_calls",
    )
