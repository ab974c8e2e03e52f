"""What the user's own code is given, and what is made of what it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.model import (
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
from harness.providers.callable import FunctionDecoder, ProgramDecoder

TARGET = Target(
    "mine", "python", "app.py:answer", "python:0", "file:///suites", extra_body={"mode": "fast"}
)


def said(*pieces: Any) -> DecodedResponse:
    heard = FunctionDecoder()
    for piece in pieces:
        heard.feed_piece(piece)
    return heard.finish({})


def printed(*reads: bytes) -> DecodedResponse:
    heard = ProgramDecoder()
    for read in reads:
        heard.feed_event("", read)
    return heard.finish({})


def message(decoded: DecodedResponse) -> str:
    assert decoded.error is not None
    assert decoded.error.boundary == "target" and not decoded.error.retryable
    return decoded.error.message


# ── What it is given ──────────────────────────────────────────────────────────────────────────────


def test_the_request_is_one_plain_object() -> None:
    request = Request(
        messages=(
            Message("system", "Be brief."),
            Message("user", (Text("What?"), Image("image/png", "AAAA"))),
        ),
        sampling={"temperature": 0.0, "stop": None, "max_tokens": 5},
        tools=(Tool("add", "Adds.", {"type": "object"}),),
        tool_choice="required",
        response_format=ResponseFormat("json_object"),
    )
    wire = registry.load_plugin("providers", "python").encode(TARGET, request)
    assert (wire.method, wire.path, wire.headers, wire.auth) == ("CALL", "/app.py:answer", (), None)
    assert json.loads(wire.body) == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            },
        ],
        "prompt": None,
        "sampling": {"temperature": 0.0, "max_tokens": 5},
        "stream": True,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "add",
                    "description": "Adds.",
                    "parameters": {"type": "object"},
                },
            }
        ],
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
        "mode": "fast",
    }


def test_both_providers_say_the_same() -> None:
    request = Request(messages=(Message("user", "Hi"),))
    bodies = {
        registry.load_plugin("providers", name).encode(TARGET, request).body
        for name in ("python", "command")
    }
    assert len(bodies) == 1


# ── What it answers ───────────────────────────────────────────────────────────────────────────────


def test_text_is_an_answer() -> None:
    found = said("Paris")
    assert (found.message, found.finish_reason, found.usage, found.error) == (
        Message("assistant", "Paris"),
        "stop",
        None,
        None,
    )


def test_an_object_says_more() -> None:
    found = said(
        {
            "text": "Paris",
            "reasoning": "A capital.",
            "usage": {"input": 10, "output": 2, "reasoning": 3},
            "cost": 0.25,
            "model": "mine-1",
            "finish_reason": "length",
        }
    )
    assert found.message == Message("assistant", "Paris", reasoning="A capital.")
    assert found.usage == Usage(input=10, output=2, reasoning=3, cost=0.25)
    assert (found.model, found.finish_reason) == ("mine-1", "length")


def test_openais_usage_is_understood() -> None:
    told = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert said({"text": "x", "usage": told}).usage == Usage(input=10, output=3, reasoning=2)


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c1", "name": "add", "arguments": {"a": 1}},
        {"id": "c1", "name": "add", "arguments": '{"a":1}'},
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}},
    ],
)
def test_tool_calls_in_either_shape(call: dict[str, Any]) -> None:
    found = said({"tool_calls": [call]})
    assert found.message is not None
    assert found.message.tool_calls == (ToolCall("c1", "add", '{"a":1}'),)
    assert found.finish_reason == "tool_calls"


def test_pieces_are_joined_and_the_last_facts_count() -> None:
    found = said(
        {"reasoning": "Hm"}, {"reasoning": "m."}, "Par", {"text": "is", "cost": 1}, {"cost": 2}
    )
    assert found.message == Message("assistant", "Paris", reasoning="Hmm.")
    assert found.usage == Usage(cost=2.0)


def test_what_counts_as_a_token() -> None:
    heard = FunctionDecoder()
    signals = [
        heard.feed_piece(piece)
        for piece in ({"model": "m"}, {"reasoning": "hm"}, "", "x", {"tool_calls": [{"name": "f"}]})
    ]
    assert signals == [
        Signal.NOTHING,
        Signal.REASONING,
        Signal.NOTHING,
        Signal.ANSWER,
        Signal.ANSWER,
    ]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "None is not a valid answer"),
        (3, "a value of type int is not a valid answer"),
        (["a"], "a value of type list is not a valid answer"),
        ({"txt": "a"}, "the key 'txt' is not allowed in an answer"),
        ({"text": 3}, "`text` should be text, not a value of type int"),
        ({"tool_calls": "add"}, "`tool_calls` should be a list"),
        ({"text": "a", "model": 3}, "`model` should be text"),
        ({"text": "a", "usage": {"input": -1}}, "`usage` should be an object of"),
        ({"text": "a", "usage": {"tokens": 1}}, "`usage` should be an object of"),
        ({"text": "a", "cost": "free"}, "`cost` should be 0 US dollars"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_so(value: Any, why: str) -> None:
    found = said(value)
    assert message(found).startswith(why)
    assert found.error is not None and found.error.kind == "bad_answer"


def test_nothing_at_all_is_an_error_and_an_empty_text_is_an_answer() -> None:
    assert message(said()) == "it returned neither text nor a tool call"
    assert (said("").flags, said("").error) == (("empty",), None)


def test_partial_text_stays_beside_an_error() -> None:
    found = said("Par", 3)
    assert found.message == Message("assistant", "Par")
    assert message(found)


# ── What it prints ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"Paris\n", "Paris"),
        (b"Paris\r\n\n", "Paris"),
        (b"two\n\nlines\n", "two\n\nlines"),
        ("Z\u00fcrich".encode(), "Z\u00fcrich"),
        (b'{"text": "Paris"}\n', "Paris"),
        (b'{\n  "text": "Paris"\n}\n', "Paris"),
        (b'{"text": "Par"}\n{"text": "is"}\n\n{"cost": 1}\n', "Paris"),
        (b'{"text": "Par"}\n{"text": "is"}', "Paris"),
        (b'{"city": "Paris"}\n', '{"city": "Paris"}'),
        (b'{"city": "Paris", "text": "x"}', '{"city": "Paris", "text": "x"}'),
        (b'[{"text": "Paris"}]', '[{"text": "Paris"}]'),
        (b"{curly} Paris\n", "{curly} Paris"),
        (b"  \n Paris", "  \n Paris"),
    ],
)
def test_output_however_it_is_cut(output: bytes, text: str) -> None:
    for cut in range(len(output) + 1):
        found = printed(output[:cut], output[cut:])
        assert found.error is None
        assert found.message is not None and found.message.text == text


@given(st.binary(max_size=200), st.integers(0, 200))
def test_output_of_any_bytes_in_any_pieces_is_read_alike(output: bytes, cut: int) -> None:
    whole, pieces = printed(output), printed(output[:cut], output[cut:])
    assert (whole.message, whole.error) == (pieces.message, pieces.error)


def test_output_of_pieces_must_stay_so() -> None:
    found = printed(b'{"text": "Par"}\nis\n')
    assert message(found) == "a line of its output is not part of an answer: 'is'"
    assert found.message == Message("assistant", "Par")


def test_invalid_utf8_is_replaced_and_flagged() -> None:
    found = printed(b"caf\xe9")
    assert found.message is not None
    assert (found.message.text, found.flags) == ("caf\ufffd", ("invalid_utf8",))


def test_each_read_of_text_counts_as_it_comes() -> None:
    heard = ProgramDecoder()
    assert [heard.feed_event("", read) for read in (b"Par", b"is", b"\n", b"", b"!")] == [
        Signal.ANSWER,
        Signal.ANSWER,
        Signal.NOTHING,
        Signal.NOTHING,
        Signal.ANSWER,
    ]
