"""Whatever stands in an answer's fields, each format's decoder says what it means or that it means
nothing; it never raises."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import registry
from harness.model import Message, Request, Target
from harness.providers.base import DecodedResponse
from tests.damaged import damaged
from tests.properties import scale_examples

TOLD = {
    "content": [
        {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -0.1}]}
    ],
    "refusal": None,
}
USAGE = {
    "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "neurons": 0.5,
    "prompt_tokens_details": {"cached_tokens": 1}, "completion_tokens_details": {"reasoning_tokens": 1},
}  # fmt: skip
CALL = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "logprobs": TOLD, "finish_reason": finish}],
        "usage": None,
    }


CHAT = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Hm"}),
    chunk({"content": "Hi"}),
    chunk(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "x"}]},
                {"type": "text", "text": "y"},
            ]
        }
    ),
    chunk({"tool_calls": [{"index": 0, **CALL}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
    chunk({}, "stop"),
    {"choices": [], "usage": USAGE, "x_groq": {"usage": USAGE}},
]
NATIVE = [
    {"response": "", "tool_calls": [], "p": "ab"},
    {"response": "Hi", "tool_calls": [], "p": "ab"},
    {"tool_calls": [{"index": 0, **CALL}]},
    {"response": "", "usage": USAGE},
]
ITEMS = [
    {
        "id": "rs",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "s"}],
        "encrypted_content": "e",
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hi", "logprobs": TOLD["content"]}],
    },
    {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"},
]
RESPONSE = {
    "status": "completed", "model": "m", "output": ITEMS, "error": None, "incomplete_details": None,
    "usage": {"input_tokens": 9, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 1}},
}  # fmt: skip
TYPED = [
    {"type": "response.created", "response": {**RESPONSE, "output": []}},
    {"type": "response.output_item.added", "output_index": 0, "item": ITEMS[0]},
    {"type": "response.reasoning_summary_part.added", "summary_index": 1},
    {"type": "response.reasoning_summary_text.delta", "delta": "s"},
    {
        "type": "response.output_text.delta",
        "output_index": 1,
        "delta": "Hi",
        "logprobs": TOLD["content"],
    },
    {"type": "response.output_item.added", "output_index": 2, "item": ITEMS[2]},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{}"},
    {"type": "response.completed", "response": RESPONSE},
]
COUNTED = {
    "input_tokens": 9, "output_tokens": 4, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 1,
    "cache_creation": {"ephemeral_1h_input_tokens": 2}, "output_tokens_details": {"thinking_tokens": 1},
}  # fmt: skip
THINKING = {"type": "thinking", "thinking": "", "signature": ""}
TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
BLOCKS = [
    {"type": "message_start", "message": {"model": "m", "content": [], "usage": COUNTED}},
    {"type": "content_block_start", "index": 0, "content_block": THINKING},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "Hm"},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "c2ln"},
    },
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_start", "index": 2, "content_block": TOOL_USE},
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": "{}"},
    },
    {
        "type": "message_delta",
        "delta": {"stop_reason": "refusal", "stop_details": {"explanation": "x"}},
        "usage": COUNTED,
    },
    {"type": "message_stop"},
]
SCORED = {
    "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
    "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}]}],
}
PARTS = [
    {"text": "Hm", "thought": True},
    {"text": "Hi"},
    {"functionCall": {"id": "i", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
]
GENERATED = {
    "candidates": [{"content": {"parts": PARTS}, "finishReason": "STOP", "index": 0, "logprobsResult": SCORED}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 1},
    "modelVersion": "m", "promptFeedback": {"blockReason": "SAFETY"},
}  # fmt: skip
CHAT_WHOLE = {
    "model": "m", "usage": USAGE,
    "choices": [{"index": 0, "message": {"content": "Hi", "tool_calls": [CALL]}, "logprobs": TOLD, "finish_reason": "stop"}],
}  # fmt: skip

ANSWERS: dict[str, list[list[Any]]] = {
    "openai": [CHAT, [CHAT_WHOLE]],
    "mistral": [CHAT, [CHAT_WHOLE]],
    "cloudflare": [
        NATIVE,
        CHAT,
        [{"result": NATIVE[1], "success": True}],
        [{"result": CHAT_WHOLE, "success": True}],
    ],
    "cloudflare-chat": [CHAT, NATIVE, [CHAT_WHOLE]],
    "openai-responses": [TYPED, [RESPONSE]],
    "anthropic": [
        BLOCKS,
        [
            {
                "model": "m",
                "content": [THINKING, TOOL_USE],
                "stop_reason": "tool_use",
                "usage": COUNTED,
            }
        ],
    ],
    "gemini": [[GENERATED], [{**GENERATED, "candidates": []}, GENERATED]],
}
HI = Message("user", "Hi")
ASKED = Request((HI,), {"logprobs": 2, "n": 2})


@pytest.mark.parametrize("name", ANSWERS)
@settings(max_examples=scale_examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_nothing_in_any_field_raises_or_cannot_be_sent_again(
    name: str, data: st.DataObject
) -> None:
    provider = registry.load_plugin("providers", name)
    target = Target("t", name, "m", "http://127.0.0.1:9", "http://127.0.0.1:9")
    frames = data.draw(st.sampled_from(ANSWERS[name]))
    odd = data.draw(st.integers(0, len(frames) - 1))
    sent = [
        data.draw(damaged(frame)) if place == odd else json.dumps(frame).encode()
        for place, frame in enumerate(frames)
    ]
    for is_whole in (False, True):
        decoder = provider.make_decoder(target, ASKED)
        for frame in sent:
            decoder.feed_body(frame) if is_whole else decoder.feed_event("", frame)
        decoded = decoder.finish({})
        check(decoded)
        if decoded.message is not None:
            json.loads(provider.encode(target, Request((HI, *turns(decoded.message), HI))).body)


def check(decoded: DecodedResponse) -> None:
    assert decoded.message is not None or decoded.error is not None
    assert (decoded.finish_reason is None) == (decoded.error is not None)
    for token in decoded.logprobs:
        assert all(
            math.isfinite(chance) for chance in (token.logprob, *(other for _, other in token.top))
        )


def turns(answer: Message) -> list[Message]:
    """An answer, and a result for each of its calls."""
    return [
        answer,
        *(Message("tool", "4", tool_call_id=call.id, name=call.name) for call in answer.tool_calls),
    ]
