"""Whatever stands in a body's fields, every API adapter parses the body or refuses it with an error
of its API."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.simulator.apis import adapters
from harness.simulator.apis.http import ApiError, ApiRequest
from tests.damaged import damaged
from tests.pictures import picture
from tests.properties import scale_examples

PICTURE = base64.b64encode(picture()).decode()
URI = {"url": f"data:image/png;base64,{PICTURE}"}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "City"}},
    "required": ["city"],
}
FUNCTION = {"name": "get_weather", "description": "Current weather", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
CALL = {
    "id": "abcdef123",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
}
MESSAGES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Weather in Oslo?"},
            {"type": "image_url", "image_url": URI},
        ],
    },
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "abcdef123", "name": "get_weather", "content": "4"},
]
SAMPLING = {"max_tokens": 20, "temperature": 1, "top_p": 0.5, "stream": True}
CHAT = {
    **SAMPLING, "model": "gpt-4.1", "messages": MESSAGES, "tools": [TOOL], "tool_choice": "auto", "n": 1, "stop": ["x"],
    "seed": 1, "logprobs": True, "top_logprobs": 2, "stream_options": {"include_usage": True}, "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
}  # fmt: skip
NATIVE = {
    **SAMPLING,
    "messages": MESSAGES,
    "tools": [TOOL, FUNCTION],
    "seed": 1,
    "top_k": 2,
    "guided_json": SCHEMA,
}
MISTRAL = {key: value for key, value in CHAT.items() if key not in ("seed", "stream_options")} | {
    "random_seed": 1
}
RESPONSES = {
    "model": "gpt-4.1", "instructions": "Be brief.", "max_output_tokens": 20, "stream": True, "reasoning": {"summary": "auto"},
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": URI["url"]}]},
        {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "4"}]},
    ],
    "tools": [{"type": "function", **FUNCTION, "strict": False}], "text": {"format": {"type": "json_object"}},
    "stream_options": {"include_obfuscation": False},
}  # fmt: skip
CLAUDE = {
    "model": "claude-sonnet-4-6", "max_tokens": 2000, "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Hi"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
        ]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "4"}]},
        ]},
    ],
    "tools": [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}, "stop_sequences": ["x"],
}  # fmt: skip
GEMINI = {
    "contents": [
        {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"output": 4}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]}, "tools": [{"functionDeclarations": [FUNCTION]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {"temperature": 1, "maxOutputTokens": 20, "stopSequences": ["x"],
                         "thinkingConfig": {"thinkingBudget": 0}},
}  # fmt: skip
OLLAMA = {
    "model": "tiny", "tools": [TOOL], "format": SCHEMA, "think": True, "logprobs": True, "top_logprobs": 2,
    "messages": [
        {"role": "user", "content": "Hi", "images": [PICTURE]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}]},
        {"role": "tool", "tool_name": "get_weather", "content": "4"},
    ],
    "options": {"temperature": 1, "num_predict": 4, "stop": ["x"], "seed": 1},
}  # fmt: skip


def anthropic_version(name: bytes) -> str:
    return "2023-06-01"


ADAPTERS: dict[str, tuple[adapters.ApiAdapter, Any]] = {
    "native": (adapters.WorkersAi("@cf/meta/llama-4-scout-17b-16e-instruct"), NATIVE),
    "cloudflare-chat": (adapters.CloudflareChat(), CHAT),
    "chat": (adapters.OpenAiChat(), CHAT),
    "vllm": (
        adapters.VllmChat(),
        {**CHAT, "structured_outputs": {"json": SCHEMA}, "min_p": 0.1, "top_k": 2},
    ),
    "llamacpp": (adapters.LlamaCppChat(), {**CHAT, "repeat_penalty": 1.1}),
    "mistral": (adapters.MistralChat(), MISTRAL),
    "ollama": (adapters.OllamaChat(), OLLAMA),
    "responses": (adapters.OpenAiResponses(), RESPONSES),
    "anthropic": (adapters.AnthropicMessages(), CLAUDE),
    "gemini": (adapters.Gemini("gemini-3.5-flash", "streamGenerateContent"), GEMINI),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_bodies_themselves_are_read(name: str) -> None:
    adapter, body = ADAPTERS[name]
    assert adapter.parse_request(
        ApiRequest(orjson.dumps(body), get_header=anthropic_version)
    ).prompt.turns


@pytest.mark.parametrize("name", ADAPTERS)
@settings(max_examples=scale_examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_stands_in_their_fields_is_read_or_refused(name: str, data: st.DataObject) -> None:
    adapter, body = ADAPTERS[name]
    try:
        asked = adapter.parse_request(
            ApiRequest(data.draw(damaged(body, most=2)), get_header=anthropic_version)
        )
    except ApiError as api_error:
        refused = adapter.render_error(api_error, "00000000-0000-4000-8000-000000000000")
        assert 400 <= refused.status < 500
        orjson.loads(refused.content)
    else:
        assert asked.choices >= 1


@pytest.mark.parametrize(
    ("path", "adapter"),
    [
        ("/v1/chat/completions", adapters.OpenAiChat),
        ("/v1beta/models/gemini-3.5-flash:streamGenerateContent", adapters.Gemini),
        ("/client/v4/accounts/a/ai/run/@cf/meta/llama", adapters.WorkersAi),
        ("/client/v4/accounts/a/ai/v1/chat/completions", adapters.CloudflareChat),
        ("/v1/account/mine/workers-ai/@cf/meta/llama", adapters.WorkersAi),
        ("/v1/account/mine/workers-ai/run/@cf/meta/llama", adapters.WorkersAi),
        ("/v1/account/mine/workers-ai/v1/chat/completions", adapters.CloudflareChat),
    ],
)
def test_a_path_leads_to_its_api(path: str, adapter: type[adapters.ApiAdapter]) -> None:
    served = adapters.find_adapter(path)
    assert type(served.adapter) is adapter
    assert served.route is not None
    assert served.route.behind_gateway == ("workers-ai" in path)
    assert getattr(served.adapter, "model", "@cf/meta/llama") == "@cf/meta/llama"


@pytest.mark.parametrize(
    ("path", "adapter"),
    [
        ("/v1/nothing", adapters.OpenAiChat),
        ("/v1beta/models/gemini-3.5-flash:countTokens", adapters.Gemini),
        ("/client/v4/accounts//ai/run/@cf/meta/llama", adapters.WorkersAi),
        ("/v1/account/workers-ai/@cf/meta/llama", adapters.OpenAiChat),
        ("/v1//mine/workers-ai/@cf/meta/llama", adapters.OpenAiChat),
        ("/v1/account/mine/workers-ai/", adapters.OpenAiChat),
    ],
)
def test_a_path_that_is_not_served_has_the_errors_of_the_api_it_resembles(
    path: str, adapter: type
) -> None:
    served = adapters.find_adapter(path)
    assert (type(served.adapter), served.route) == (adapter, None)


def test_the_docs_list_every_path_that_is_served() -> None:
    page = (Path(__file__).parents[3] / "docs/simulator.md").read_text("utf-8")
    paths = [
        re.sub(r"\{\w+\}", "x", path)
        for path in re.findall(r"^\| `POST (\S+)`", page, re.MULTILINE)
    ]
    examples = [
        path.replace("…", inside)
        for path in paths
        for inside in ("v1/chat/completions", "run/x", "@cf/x")
    ]
    served = {adapters.find_adapter(path).route for path in examples}
    assert served == set(adapters.ROUTES)
