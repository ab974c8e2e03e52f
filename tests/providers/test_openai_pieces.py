"""Streams of OpenAI's formats mean the same however the network cuts them."""

# Wire bytes stand here as they are on the wire.

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.model import Message, Request, Target, TokenLogprob, ToolCall, Usage
from harness.providers.base import DecodedResponse
from harness.transport.http.sse import EventReader
from tests.providers.openai.test_responses_api import STREAM as RESPONSES

CHAT = """\
: keep-alive

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null,"obfuscation":"Zk"}

data: {"choices":[{"index":0,"delta":{"reasoning_content":"Hm, ünï 🎉"},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"content":"Hi \u2028"},"logprobs":{"content":[{"token":"Hi \u2028","logprob":-0.5,"bytes":null,"top_logprobs":[]}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"a\\":"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":2}}}

data: [DONE]

"""
STREAMS = {"openai": CHAT.encode(), "openai-responses": RESPONSES.encode()}


def fed(provider: str, *parts: bytes) -> DecodedResponse:
    """What a stream means that arrives in these parts."""
    target = Target("t", provider, "m", "http://127.0.0.1/v1", "http://127.0.0.1/v1")
    decoder, reader = (
        registry.load_plugin("providers", provider).make_decoder(
            target, Request((Message("user", "Hi"),))
        ),
        EventReader(),
    )
    for found in (*map(reader.feed, parts), reader.close()):
        for name, data in found:
            decoder.feed_event(name, data)
    decoded: DecodedResponse = decoder.finish({})
    return decoded


def test_all_a_chat_stream_can_hold() -> None:
    assert fed("openai", STREAMS["openai"]) == DecodedResponse(
        message=Message(
            "assistant",
            "Hi \u2028",
            "Hm, ünï 🎉",
            tool_calls=(ToolCall("call_1", "f", '{"a":1}'), ToolCall("call_2", "g", "{}")),
        ),
        usage=Usage(9, 4, reasoning=2),
        finish_reason="tool_calls",
        model="m",
        fingerprint="fp_1",
        logprobs=(TokenLogprob("Hi \u2028", -0.5),),
    )


@pytest.mark.parametrize("provider", STREAMS)
def test_cut_in_two_anywhere_it_means_the_same(provider: str) -> None:
    stream = STREAMS[provider]
    expected = fed(provider, stream)
    assert expected.error is None
    assert all(fed(provider, stream[:at], stream[at:]) == expected for at in range(len(stream)))


@pytest.mark.parametrize("provider", STREAMS)
@given(cuts=st.lists(st.integers(0, 2_000), max_size=30))
def test_in_any_pieces_it_means_the_same(provider: str, cuts: list[int]) -> None:
    stream = STREAMS[provider]
    places = [0, *sorted(cuts), len(stream)]
    assert fed(provider, *(stream[start:end] for start, end in pairwise(places))) == fed(
        provider, stream
    )


@pytest.mark.parametrize("provider", STREAMS)
def test_ended_anywhere_it_is_never_taken_for_whole(provider: str) -> None:
    stream = STREAMS[provider]
    last = stream.rindex(
        b'"finish_reason":"tool_calls"' if provider == "openai" else b"event: response.completed"
    )
    for at in range(0, last, 7):
        error = fed(provider, stream[:at]).error
        assert error is not None
        assert error.kind in ("truncated", "empty", "unreadable")
