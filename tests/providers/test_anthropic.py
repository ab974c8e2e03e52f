"""The Messages API, on the bytes of its reference."""

# Wire bytes stand here as they are on the wire.

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness import registry
from harness.model import (
    Auth,
    Image,
    Message,
    Request,
    ResponseFormat,
    Target,
    Text,
    Tool,
    ToolCall,
    Usage,
)
from harness.providers.base import DecodedResponse, Signal
from harness.transport.http.sse import EventReader

provider = registry.load_plugin("providers", "anthropic")

ADDRESS = "https://api.anthropic.com/v1"
CLAUDE = Target(
    "claude", "anthropic", "claude-sonnet-4-6", ADDRESS, ADDRESS, api_key_env="ANTHROPIC_API_KEY"
)
HI = (Message("user", "Hi"),)


def sent(request: Request, target: Target = CLAUDE) -> Any:
    return json.loads(provider.encode(target, request).body)


@pytest.fixture
def claude(reading: Callable[..., Any]) -> Any:
    return reading(provider, CLAUDE)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def test_a_streamed_request() -> None:
    turns = (Message("system", "Be brief."), *HI)
    wire = provider.encode(
        CLAUDE, Request(turns, {"max_tokens": 5, "temperature": 0, "stop": "\nQ:", "top_k": None})
    )
    assert (wire.method, wire.path, wire.auth) == (
        "POST",
        "/messages",
        Auth("ANTHROPIC_API_KEY", "x-api-key", ""),
    )
    assert dict(wire.headers) == {
        "anthropic-version": "2023-06-01",
        "content-type": "application/json",
        "accept": "text/event-stream",
    }
    assert json.loads(wire.body) == {
        "model": "claude-sonnet-4-6",
        "max_tokens": 5,
        "temperature": 0,
        "stop_sequences": ["\nQ:"],
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_the_output_limit_is_always_sent() -> None:
    assert sent(Request(HI, stream=False)) == {
        "model": "claude-sonnet-4-6",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_the_version_is_the_targets_and_a_header_of_its_own_wins() -> None:
    newer = replace(CLAUDE, api_version="2026-10-21")
    assert dict(provider.encode(newer, Request(HI)).headers)["anthropic-version"] == "2026-10-21"
    own = replace(CLAUDE, headers={"Anthropic-Version": "2099-01-01", "anthropic-beta": "a,b"})
    headers = dict(provider.encode(own, Request(HI)).headers)
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2099-01-01", "a,b")


def test_no_key_no_auth() -> None:
    assert provider.encode(replace(CLAUDE, api_key_env=None), Request(HI)).auth is None


TOOL_TURNS = (
    Message("user", (Text("Look"), Image("image/jpeg", "AAAA"), Text(""))),
    Message("assistant", "Let me see.", reasoning="never sent back", tool_calls=(
        ToolCall("toolu_1", "f", '{"a": 1}'), ToolCall("call.2", "g", "no JSON"), ToolCall("toolu_3", "f", "[2]"))),
    Message("tool", "3", tool_call_id="toolu_1"),
    Message("tool", "no such thing", tool_call_id="call.2", failed=True),
    Message("tool", (Text("seen"), Image("image/png", "BBBB")), tool_call_id="toolu_3"),
    Message("user", "Go on"),
)  # fmt: skip


def test_turns_with_images_and_tools() -> None:
    messages = sent(Request(TOOL_TURNS))["messages"]
    mapped = messages[1]["content"][2]["id"]
    assert mapped.startswith("toolu_")
    assert messages == [
        {"role": "user", "content": [
            {"type": "text", "text": "Look"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": mapped, "name": "g", "input": {"arguments": "no JSON"}},
            {"type": "tool_use", "id": "toolu_3", "name": "f", "input": {"arguments": [2]}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"},
            {"type": "tool_result", "tool_use_id": mapped, "content": "no such thing", "is_error": True},
            {"type": "tool_result", "tool_use_id": "toolu_3", "content": [
                {"type": "text", "text": "seen"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "BBBB"}}]}]},
        {"role": "user", "content": "Go on"},
    ]  # fmt: skip


def test_calls_without_text_have_no_empty_block_and_an_empty_turn_is_left_out() -> None:
    turns = (
        *HI,
        Message("assistant", ""),
        *HI,
        Message("assistant", tool_calls=(ToolCall("toolu_1", "f", "{}"),)),
    )
    assert sent(Request(turns))["messages"][1:] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}],
        },
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("f", {"type": "tool", "name": "f"}),
    ],
)
def test_tools_and_which_must_be_called(choice: str, expected: dict[str, str]) -> None:
    tool = Tool("f", "Does it", {"type": "object", "properties": {}})
    body = sent(Request(HI, tools=(tool,), tool_choice=choice))
    assert body["tools"] == [
        {
            "name": "f",
            "description": "Does it",
            "input_schema": {"type": "object", "properties": {}},
        }
    ]
    assert body["tool_choice"] == expected


@pytest.mark.parametrize("kind", ["json_schema", "guided_json"])
def test_a_schema_and_an_effort_share_their_field(kind: Any) -> None:
    body = sent(
        Request(
            HI,
            {"reasoning_effort": "high"},
            response_format=ResponseFormat(kind, {"type": "object"}),
        )
    )
    assert body["output_config"] == {
        "effort": "high",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    }
    assert body["thinking"] == {"type": "adaptive"}


def test_no_effort_is_no_thinking() -> None:
    body = sent(Request(HI, {"reasoning_effort": "none"}))
    assert (body["thinking"], "output_config" in body) == ({"type": "disabled"}, False)


def test_extra_body_comes_last() -> None:
    target = replace(
        CLAUDE,
        extra_body={
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "service_tier": "standard_only",
        },
    )
    body = sent(Request(HI, {"reasoning_effort": "low"}), target)
    assert (body["thinking"]["budget_tokens"], body["service_tier"]) == (1024, "standard_only")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Request(prompt="Hi"), "accepts only messages; use another provider for a raw prompt"),
        (Request(HI, raw=True), "accepts only messages; use another provider for a raw prompt"),
        (
            Request(HI, response_format=ResponseFormat("json_object")),
            "has no JSON mode without a schema",
        ),
        (
            Request((*HI, Message("system", "Be brief."))),
            "accepts system messages only before the first turn",
        ),
        (
            Request((Message("system", (Text("Look."), Image("image/png", "AAAA"))), *HI)),
            "accepts no images in a system message",
        ),
    ],
)
def test_what_has_no_form_here(asked: Request, said: str) -> None:
    with pytest.raises(ValueError, match=f"target claude: the Messages API {said}"):
        provider.encode(CLAUDE, asked)


# ── Whole answers ─────────────────────────────────────────────────────────────────────────────────

WHOLE = """{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,
 "usage":{"input_tokens":10,"output_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens_details":{"thinking_tokens":0},"service_tier":"standard"}}"""


def test_a_whole_answer(claude: Any) -> None:
    assert claude.whole(WHOLE) == DecodedResponse(
        message=Message("assistant", "Hi"),
        usage=Usage(input=10, output=2),
        finish_reason="stop",
        model="claude-sonnet-5-5",
    )


def whole(content: Any, stop: str | None = "end_turn", usage: Any = None, **more: Any) -> str:
    return json.dumps(
        {"type": "message", "content": content, "stop_reason": stop, "usage": usage, **more}
    )


TEXT = {"type": "text", "text": "Hi"}


def test_usage_in_disjoint_buckets(claude: Any) -> None:
    usage = {
        "input_tokens": 10, "output_tokens": 50, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 2000,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        "output_tokens_details": {"thinking_tokens": 40},
    }  # fmt: skip
    read = claude.whole(whole([TEXT], usage=usage)).usage
    assert read == Usage(
        input=10, output=10, cache_read=2000, cache_write=100, cache_write_1h=200, reasoning=40
    )
    assert (read.input_tokens, read.output_tokens) == (2310, 50)


def test_a_cache_that_was_only_filled_is_billed(claude: Any) -> None:
    """`max_tokens: 0` warms the cache and answers nothing."""
    usage = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 300}
    assert claude.whole(whole([], "max_tokens", usage)).usage == Usage(
        input=0, output=0, cache_write=300
    )


@pytest.mark.parametrize(
    "usage", [None, {}, [], {"input_tokens": 0, "output_tokens": 0}, {"input_tokens": "9"}]
)
def test_usage_that_says_nothing_is_unknown(claude: Any, usage: Any) -> None:
    assert claude.whole(whole([TEXT], usage=usage)).usage is None


@pytest.mark.parametrize(
    ("stop", "reason", "flags"),
    [
        ("end_turn", "stop", ()),
        ("stop_sequence", "stop", ()),
        ("max_tokens", "length", ()),
        ("tool_use", "tool_calls", ()),
        ("model_context_window_exceeded", "length", ("model_context_window_exceeded",)),
        ("pause_turn", "unknown", ("pause_turn", "unknown_stop")),
        ("refusal", "content_filter", ("refusal",)),
        ("compaction", "unknown", ("unknown_stop",)),
        (None, "unknown", ("unknown_stop",)),
    ],
)
def test_why_it_ended(claude: Any, stop: str | None, reason: str, flags: tuple[str, ...]) -> None:
    decoded = claude.whole(whole([TEXT], stop))
    assert (decoded.finish_reason, decoded.flags, decoded.error) == (reason, flags, None)


def test_a_refusal_without_text_is_told_by_its_explanation(claude: Any) -> None:
    details = {"category": "cyber", "explanation": "I cannot help with that."}
    decoded = claude.whole(whole([], "refusal", stop_details=details))
    assert (decoded.message.text, decoded.flags) == ("I cannot help with that.", ("refusal",))


def test_tool_calls_of_a_whole_answer(claude: Any) -> None:
    content = [
        TEXT,
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1]}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    message = claude.whole(whole(content, "tool_use")).message
    assert message == Message(
        "assistant",
        "Hi",
        tool_calls=(ToolCall("toolu_1", "f", '{"a":[1]}'), ToolCall("toolu_2", "g", "{}")),
    )


THOUGHT = [
    {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "ZGF0YQ=="},
    TEXT,
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
]


def test_thinking_is_kept_apart_and_goes_back_unchanged(claude: Any) -> None:
    message = claude.whole(whole(THOUGHT, "tool_use")).message
    assert (message.reasoning, message.text) == ("Hm", "Hi")
    turns = (*HI, message, Message("tool", "3", tool_call_id="toolu_1"))
    assert sent(Request(turns))["messages"][1] == {"role": "assistant", "content": THOUGHT}


def test_thinking_cut_before_it_was_signed_and_empty_text_do_not_go_back(claude: Any) -> None:
    """The API refuses both: it takes no signature but its own, and no block of no text."""
    cut = claude.whole(
        whole([{"type": "thinking", "thinking": "Hm", "signature": ""}], "max_tokens")
    ).message
    assert cut.reasoning == "Hm"
    assert sent(Request((*HI, cut, *HI)))["messages"] == [{"role": "user", "content": "Hi"}] * 2
    empty = claude.whole(
        whole([THOUGHT[0], {"type": "text", "text": ""}, THOUGHT[3]], "tool_use")
    ).message
    assert sent(Request((*HI, empty)))["messages"][1]["content"] == [THOUGHT[0], THOUGHT[3]]


def test_what_another_provider_wants_back_is_not_sent() -> None:
    turn = Message("assistant", "Hi", echo={"gemini": [{"thoughtSignature": "x"}]})
    assert sent(Request((*HI, turn)))["messages"][1] == {"role": "assistant", "content": "Hi"}


def test_a_block_nobody_knows_is_kept_to_be_sent_back(claude: Any) -> None:
    blocks = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        TEXT,
    ]
    message = claude.whole(whole(blocks, "pause_turn")).message
    assert (message.text, message.tool_calls, message.echo) == ("Hi", (), {"anthropic": blocks})


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("", "empty"),
        ("{}", "empty"),
        ('{"content":null}', "empty"),
        ('{"content":[null,{"type":[]},3],"usage":7}', "empty"),
        ("[]", "unreadable"),
        ("<html>", "unreadable"),
        (
            '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
            "overloaded",
        ),
        (
            '{"content":[{"type":"tool_use","input":' + "[" * 100_000 + "]" * 100_000 + "}]}",
            "unreadable",
        ),
    ],
)
def test_a_200_that_is_no_answer(claude: Any, body: str, kind: str) -> None:
    assert claude.whole(body).error.kind == kind


def test_an_answer_of_no_words_with_a_stated_end(claude: Any) -> None:
    decoded = claude.whole(whole([]))
    assert (decoded.finish_reason, decoded.flags, decoded.error) == ("stop", ("empty",), None)


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────

STREAM = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

"""


def test_a_stream(claude: Any) -> None:
    assert claude.stream(STREAM) == DecodedResponse(
        message=Message("assistant", "Hi"),
        usage=Usage(input=10, output=2),
        finish_reason="stop",
        model="m",
    )
    assert claude.signals == [Signal.NOTHING] * 3 + [Signal.ANSWER] + [Signal.NOTHING] * 3


def events(*chunks: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {chunk['type']}\ndata: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
        for chunk in chunks
    )


def begun(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def more(index: int, kind: str, field: str, piece: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}}


RICH = events(
    {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 7}}},
    begun(0, {"type": "thinking", "thinking": "", "signature": ""}),
    more(0, "thinking_delta", "thinking", "Hm, "),
    more(0, "thinking_delta", "thinking", "ünï 🎉"),
    more(0, "signature_delta", "signature", "c2ln"),
    {"type": "content_block_stop", "index": 0},
    begun(1, {"type": "redacted_thinking", "data": "ZGF0YQ=="}),
    begun(2, {"type": "text", "text": ""}),
    more(2, "text_delta", "text", "Let me \u2028 see"),
    more(2, "citations_delta", "citation", {}),
    begun(3, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
    more(3, "input_json_delta", "partial_json", ""),
    more(3, "input_json_delta", "partial_json", '{"a": "'),
    more(3, "input_json_delta", "partial_json", 'b"}'),
    begun(4, {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}),
    begun(5, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
    more(5, "input_json_delta", "partial_json", '{"query": "x"}'),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 20}, "input_tokens": None}},
    {"type": "message_stop"},
)  # fmt: skip

RICH_MEANS = DecodedResponse(
    message=Message(
        "assistant",
        "Let me \u2028 see",
        reasoning="Hm, ünï 🎉",
        tool_calls=(ToolCall("toolu_1", "f", '{"a": "b"}'), ToolCall("toolu_2", "g", "{}")),
        echo={"anthropic": [
            {"type": "thinking", "thinking": "Hm, ünï 🎉", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "text", "text": "Let me \u2028 see"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "b"}},
            {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        ]},
    ),
    usage=Usage(input=10, output=10, cache_read=7, reasoning=20),
    finish_reason="tool_calls",
    model="m",
)  # fmt: skip


def fed(*parts: bytes) -> DecodedResponse:
    """What a stream means that arrives in these parts."""
    decoder, reader = provider.make_decoder(CLAUDE, Request(HI)), EventReader()
    for found in (*map(reader.feed, parts), reader.close()):
        for name, data in found:
            decoder.feed_event(name, data)
    return decoder.finish({})


def test_thinking_text_and_calls_in_one_stream(claude: Any) -> None:
    assert claude.stream(RICH) == RICH_MEANS
    assert claude.signals[2:4] == [Signal.REASONING] * 2
    assert claude.signals[8:10] == [Signal.ANSWER, Signal.NOTHING]


@pytest.mark.parametrize("stream", [STREAM, RICH], ids=["plain", "rich"])
def test_cut_in_two_anywhere_it_means_the_same(stream: bytes) -> None:
    expected = fed(stream)
    assert all(fed(stream[:at], stream[at:]) == expected for at in range(len(stream)))


@given(st.lists(st.integers(0, len(RICH)), max_size=30))
def test_in_any_pieces_it_means_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(RICH)]
    assert fed(*(RICH[start:end] for start, end in pairwise(places))) == RICH_MEANS


@pytest.mark.parametrize("at", range(RICH.count(b"event:") - 2))
def test_without_its_end_it_is_truncated_and_its_usage_unknown(at: int) -> None:
    first = b"".join(b"event:" + event for event in RICH.split(b"event:")[1 : at + 2])
    decoded = fed(first)
    assert (decoded.error.kind, decoded.usage, decoded.finish_reason) == ("truncated", None, None)
    assert decoded.message is None or decoded.message.echo is None


def test_a_reason_for_its_end_is_end_enough() -> None:
    assert fed(STREAM[: STREAM.index(b"event: message_stop")]).finish_reason == "stop"


def test_an_end_without_a_reason_is_flagged() -> None:
    without = STREAM.replace(b'"stop_reason":"end_turn"', b'"stop_reason":null')
    assert (fed(without).finish_reason, fed(without).flags) == ("unknown", ("unknown_stop",))


def test_a_block_that_begins_with_what_is_no_text_ends_with_its_pieces(claude: Any) -> None:
    """A server may send anything for the empty text a block begins with."""
    begun = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": [5], "signature": 5},
    }
    piece = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "Hm"},
    }
    signed = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "c2ln"},
    }
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 2},
    }
    decoded = claude.stream(
        "\n\n".join("data: " + json.dumps(event) for event in (begun, piece, signed, end))
    )
    assert decoded.message.echo == {
        "anthropic": [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}]
    }


def test_an_error_event_after_200_keeps_the_text() -> None:
    error = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}\n\n'
    decoded = fed(STREAM[: STREAM.index(b"event: content_block_stop")] + error)
    assert (decoded.error.kind, decoded.error.retryable, decoded.message.text) == (
        "overloaded",
        True,
        "Hi",
    )


@pytest.mark.parametrize(
    "chunk",
    [
        {"type": []}, {"type": "message_start", "message": []}, {"type": "message_delta", "delta": 3, "usage": 3},
        begun(0, {"type": {}}), {"type": "content_block_start", "index": {}, "content_block": {}},
        more(0, "text_delta", "text", 5), {"type": "content_block_delta", "index": [], "delta": {}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": []}}, more(9, "text_delta", "text", "x"),
        {"type": "something_new", "index": 0},
    ],
)  # fmt: skip
def test_odd_events_are_passed_over(chunk: dict[str, Any]) -> None:
    start = STREAM.index(b"event: content_block_delta")
    assert fed(STREAM[:start] + events(chunk) + STREAM[start:]).error is None


# ── Errors ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "type_", "kind", "retryable"),
    [
        (400, "invalid_request_error", "bad_request", False),
        (401, "authentication_error", "unauthorized", False),
        (402, "billing_error", "quota_exhausted", False),
        (403, "permission_error", "forbidden", False),
        (404, "not_found_error", "not_found", False),
        (413, "request_too_large", "too_large", False),
        (429, "rate_limit_error", "rate_limited", True),
        (500, "api_error", "server_error", True),
        (504, "timeout_error", "timeout", True),
        (529, "overloaded_error", "overloaded", True),
    ],
)
def test_every_error_with_its_status_and_inside_a_stream(
    claude: Any, status: int, type_: str, kind: str, retryable: bool
) -> None:
    body = json.dumps(
        {"type": "error", "error": {"type": type_, "message": "Told why"}, "request_id": "req_1"}
    )
    error = claude.refused(status, body.encode(), {"retry-after": "3"}).error
    assert (error.kind, error.retryable, error.code, error.retry_after) == (
        kind,
        retryable,
        type_,
        3.0,
    )
    assert error.message == f"HTTP {status}, code {type_}: Told why"
    if type_ != "invalid_request_error":  # says no more than its status
        assert (
            claude.stream(f"data: {body}\n\n").error.kind,
            claude.stream(f"data: {body}").error.retryable,
        ) == (
            kind,
            retryable,
        )


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("ramp_limit_exceeded", "rate_limited", True),
        ("enforced_spend_limit_reached", "quota_exhausted", False),
        ("contract_spend_limit_reached", "quota_exhausted", False),
    ],
)
def test_details_say_whether_waiting_helps(
    claude: Any, code: str, kind: str, retryable: bool
) -> None:
    details = {"type": "rate_limit_error", "message": "Told why", "details": {"error_code": code}}
    error = claude.refused(429, json.dumps({"type": "error", "error": details}).encode()).error
    assert (error.kind, error.retryable, error.code) == (kind, retryable, code)
    assert error.message.endswith(": Told why")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", "context_length"),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            "context_length",
        ),
        ("Your credit balance is too low to access the Anthropic API.", "quota_exhausted"),
    ],
)
def test_words_that_say_more_than_the_type(claude: Any, message: str, kind: str) -> None:
    body = json.dumps(
        {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    )
    assert claude.refused(400, body.encode()).error.kind == kind
