"""The Gemini API, on its bytes."""

# Wire bytes stand here as they are on the wire.

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
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
    TokenLogprob,
    Tool,
    ToolCall,
    Usage,
)
from harness.providers.base import DecodedResponse, Signal
from harness.transport.http.sse import EventReader
from tests.properties import scale_examples

provider = registry.load_plugin("providers", "gemini")

ADDRESS = "https://generativelanguage.googleapis.com"
FLASH = Target(
    "flash", "gemini", "gemini-3.5-flash", ADDRESS, ADDRESS, api_key_env="GEMINI_API_KEY"
)
OLDER = replace(FLASH, model="gemini-2.5-flash")
HI = (Message("user", "Hi"),)


def sent(request: Request, target: Target = FLASH) -> Any:
    return json.loads(provider.encode(target, request).body)


def asked(**sampling: Any) -> Any:
    """The `generationConfig` of a request with these parameters."""
    return sent(Request(messages=HI, sampling=sampling))["generationConfig"]


@pytest.fixture
def gemini(reading: Callable[..., Any]) -> Any:
    return reading(provider, FLASH)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def test_a_streamed_request() -> None:
    wire = provider.encode(
        FLASH, Request(messages=(Message("system", "Be brief"), *HI), sampling={"temperature": 0})
    )
    assert (wire.method, wire.path) == (
        "POST",
        "/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse",
    )
    assert wire.auth == Auth("GEMINI_API_KEY", header="x-goog-api-key", prefix="")
    assert dict(wire.headers) == {"content-type": "application/json", "accept": "text/event-stream"}
    assert json.loads(wire.body) == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "generationConfig": {"temperature": 0},
    }


@pytest.mark.parametrize(
    ("model", "version", "path"),
    [
        ("gemini-4-argon", None, "/v1beta/models/gemini-4-argon:generateContent"),
        ("gemini-4-argon", "v1", "/v1/models/gemini-4-argon:generateContent"),
        ("tunedModels/mine-1", None, "/v1beta/tunedModels/mine-1:generateContent"),
        ("a b:c", None, "/v1beta/models/a%20b%3Ac:generateContent"),
    ],
)
def test_where_a_whole_answer_is_asked_for(model: str, version: str | None, path: str) -> None:
    target = replace(FLASH, model=model, api_version=version, api_key_env=None)
    wire = provider.encode(target, Request(messages=HI, stream=False))
    assert (wire.path, wire.auth) == (path, None)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ({"temperature": 1, "top_p": 0.95, "top_k": 40, "max_tokens": 256, "seed": 7}, {"temperature": 1, "topP": 0.95, "topK": 40, "maxOutputTokens": 256, "seed": 7}),
        ({"presence_penalty": 0.5, "frequency_penalty": -1, "n": 2}, {"presencePenalty": 0.5, "frequencyPenalty": -1, "candidateCount": 2}),
        ({"stop": "END"}, {"stopSequences": ["END"]}),
        ({"stop": ["a", "b"], "seed": None}, {"stopSequences": ["a", "b"]}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"reasoning_effort": "high"}, {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}),
    ],
)  # fmt: skip
def test_each_parameter_under_its_name(sampling: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asked(**sampling) == expected


def test_models_without_levels_of_thought_get_a_budget() -> None:
    def thinking(effort: str) -> Any:
        return sent(Request(messages=HI, sampling={"reasoning_effort": effort}), OLDER)[
            "generationConfig"
        ]["thinkingConfig"]

    assert thinking("none") == {"thinkingBudget": 0, "includeThoughts": False}
    assert thinking("medium") == {"thinkingBudget": 8192, "includeThoughts": True}
    with pytest.raises(
        ValueError, match="takes a reasoning_effort of none, low, medium, high, not 'xhigh'"
    ):
        thinking("xhigh")


def test_images_tools_and_a_schema() -> None:
    request = Request(
        messages=(Message("user", (Text("Look"), Image("image/png", "iVBORw0KGgo="))),),
        tools=(Tool("f", "Does it", {"type": "object", "properties": {"a": {"type": "string"}}}),),
        tool_choice="auto",
        response_format=ResponseFormat("json_schema", {"type": "object"}),
    )
    body = sent(request)
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "Look"},
                {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
            ],
        }
    ]
    assert body["tools"] == [{"functionDeclarations": [
        {"name": "f", "description": "Does it", "parametersJsonSchema": {"type": "object", "properties": {"a": {"type": "string"}}}}]}]  # fmt: skip
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("weather", {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
    ],
)
def test_how_tools_may_be_chosen(choice: str, expected: dict[str, Any]) -> None:
    assert sent(Request(messages=HI, tool_choice=choice))["toolConfig"] == {
        "functionCallingConfig": expected
    }


def test_json_without_a_schema() -> None:
    body = sent(Request(messages=HI, response_format=ResponseFormat("json_object")))
    assert body["generationConfig"] == {"responseMimeType": "application/json"}


def test_the_results_of_tools_are_one_content_and_carry_their_functions_names() -> None:
    calls = (ToolCall("a1", "add", '{"x":1}'), ToolCall("call_1", "fail", "{}"))
    turns = (
        *HI,
        Message("assistant", "Let me see.", reasoning="never sent back", tool_calls=calls),
        Message("tool", "3", tool_call_id="a1"),
        Message("tool", "no such city", tool_call_id="call_1", failed=True),
        Message("tool", '{"y": 2}', tool_call_id="a2", name="other"),
        Message("user", "And now?"),
    )
    assert sent(Request(messages=turns))["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [
            {"text": "Let me see."},
            {"functionCall": {"id": "a1", "name": "add", "args": {"x": 1}}},
            {"functionCall": {"name": "fail", "args": {}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "a1", "name": "add", "response": {"output": 3}}},
            {"functionResponse": {"name": "fail", "response": {"error": "no such city"}}},
            {"functionResponse": {"id": "a2", "name": "other", "response": {"y": 2}}}]},
        {"role": "user", "parts": [{"text": "And now?"}]},
    ]  # fmt: skip


def test_extra_body_joins_the_generation_config_and_wins_elsewhere() -> None:
    extra = {"generationConfig": {"mediaResolution": "LOW"}, "safetySettings": []}
    body = sent(Request(messages=HI, sampling={"temperature": 1}), replace(FLASH, extra_body=extra))
    assert body["generationConfig"] == {"temperature": 1, "mediaResolution": "LOW"}
    assert body["safetySettings"] == []


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            Request(prompt="Hi"),
            "target flash: Gemini accepts only messages; use another provider for a raw prompt",
        ),
        (
            Request(messages=(*HI, Message("system", "Be brief"))),
            "system messages only before the first turn",
        ),
        (
            Request(messages=(Message("system", (Image("image/png", "AAAA"),)), *HI)),
            "accepts no images in a system message",
        ),
        (
            Request(messages=(Message("tool", "3", tool_call_id="x"),)),
            "refers to the unknown call 'x'",
        ),
        (
            Request(messages=(Message("tool", (Image("image/png", "AAAA"),), name="f"),)),
            "the result of f contains an image",
        ),
    ],
)
def test_what_has_no_form_here(request_: Request, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        provider.encode(FLASH, request_)


# ── Whole answers ─────────────────────────────────────────────────────────────────────────────────

USAGE = '"usageMetadata":{"promptTokenCount":30,"cachedContentTokenCount":10,"candidatesTokenCount":5,"thoughtsTokenCount":20,"toolUsePromptTokenCount":4,"totalTokenCount":59}'
WHOLE = (
    '{"candidates":[{"content":{"parts":[{"text":"Hello"},{"text":" there"}],"role":"model"},"finishReason":"STOP","index":0}],'
    + USAGE
    + ',"modelVersion":"gemini-3.5-flash-001","responseId":"r1"}'
)


def candidate(parts: str, reason: str | None = "STOP") -> str:
    ended = f',"finishReason":"{reason}"' if reason else ""
    return f'{{"candidates":[{{"content":{{"parts":[{parts}],"role":"model"}}{ended}}}]}}'


def test_a_whole_answer(gemini: Any) -> None:
    assert gemini.whole(WHOLE) == DecodedResponse(
        message=Message("assistant", "Hello there"),
        usage=Usage(input=24, output=5, cache_read=10, reasoning=20),
        finish_reason="stop",
        model="gemini-3.5-flash-001",
    )


def test_thoughts_are_reasoning_and_not_the_answer(gemini: Any) -> None:
    decoded = gemini.whole(candidate('{"text":"They greet.","thought":true},{"text":"Hello"}'))
    assert decoded.message == Message("assistant", "Hello", reasoning="They greet.")


CALLS = '{"functionCall":{"id":"k3","name":"weather","args":{"city":"Ulm","days":2}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"now"}}'


def test_calls_end_with_stop_and_are_tool_calls(gemini: Any) -> None:
    decoded = gemini.whole(candidate(CALLS))
    assert decoded.finish_reason == "tool_calls"
    assert decoded.message.tool_calls == (
        ToolCall("k3", "weather", '{"city":"Ulm","days":2}'),
        ToolCall("call_1", "now", "{}"),
    )


def test_a_signed_turn_goes_back_as_it_came(gemini: Any) -> None:
    parts = (
        '{"text":"Let me","thought":true},{"text":"Two"},{"text":" calls"},'
        + CALLS
        + ',{"text":"","thoughtSignature":"bGFzdA=="}'
    )
    answer = gemini.whole(candidate(parts)).message
    turns = (
        *HI,
        answer,
        Message("tool", "sun", tool_call_id="k3"),
        Message("tool", "noon", tool_call_id="call_1"),
    )
    contents = sent(Request(messages=turns))["contents"]
    assert contents[1] == {"role": "model", "parts": [
        {"text": "Two calls"},
        {"functionCall": {"id": "k3", "name": "weather", "args": {"city": "Ulm", "days": 2}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "now"}},
        {"text": "", "thoughtSignature": "bGFzdA=="}]}  # fmt: skip
    assert [part["functionResponse"].get("id") for part in contents[2]["parts"]] == ["k3", None]


def test_what_another_provider_wants_back_is_not_sent() -> None:
    foreign = Message("assistant", "Hello", echo={"anthropic": [{"type": "thinking"}]})
    assert sent(Request(messages=(*HI, foreign)))["contents"][1] == {
        "role": "model",
        "parts": [{"text": "Hello"}],
    }


@pytest.mark.parametrize(
    ("reason", "expected", "flags"),
    [
        ("STOP", "stop", ()),
        ("MAX_TOKENS", "length", ()),
        ("SAFETY", "content_filter", ()),
        ("RECITATION", "content_filter", ()),
        ("LANGUAGE", "content_filter", ()),
        ("BLOCKLIST", "content_filter", ()),
        ("PROHIBITED_CONTENT", "content_filter", ()),
        ("SPII", "content_filter", ()),
        ("OTHER", "unknown", ("unknown_stop",)),
        ("MALFORMED_FUNCTION_CALL", "unknown", ("malformed_function_call", "unknown_stop")),
        ("UNEXPECTED_TOOL_CALL", "unknown", ("unexpected_tool_call", "unknown_stop")),
        ("TOO_MANY_TOOL_CALLS", "unknown", ("too_many_tool_calls", "unknown_stop")),
        ("MALFORMED_RESPONSE", "unknown", ("malformed_response", "unknown_stop")),
        ("MISSING_THOUGHT_SIGNATURE", "unknown", ("missing_thought_signature", "unknown_stop")),
        ("INVENTED_LATER", "unknown", ("unknown_stop",)),
    ],
)
def test_why_an_answer_ended(
    gemini: Any, reason: str, expected: str, flags: tuple[str, ...]
) -> None:
    decoded = gemini.whole(candidate('{"text":"Hello"}', reason))
    assert (decoded.finish_reason, decoded.flags, decoded.error) == (expected, flags, None)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_blocked_prompt_is_an_answer_of_no_words_with_a_typed_end(
    gemini: Any, streamed: bool
) -> None:
    body = '{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8},"modelVersion":"gemini-3.5-flash"}'
    decoded = gemini.stream(f"data: {body}\n") if streamed else gemini.whole(body)
    assert decoded == DecodedResponse(
        message=Message("assistant", ""),
        usage=Usage(input=8, output=0),
        finish_reason="content_filter",
        model="gemini-3.5-flash",
        flags=("blocked_prompt", "empty"),
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"candidates":[],"modelVersion":"m"}', "empty"),
        ('{"candidates":[{"index":0}]}', "empty"),
        ("{}", "empty"),
        ("[]", "empty"),
        ("", "empty"),
        ("null", "unreadable"),
        ("<html>", "unreadable"),
        ('[{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}]', "overloaded"),
    ],
)
def test_a_whole_body_that_is_no_answer(gemini: Any, body: str, kind: str) -> None:
    decoded = gemini.whole(body)
    assert (decoded.error.kind, decoded.finish_reason) == (kind, None)


def test_a_candidate_that_stopped_without_a_word_is_an_empty_answer(gemini: Any) -> None:
    decoded = gemini.whole('{"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]}')
    assert (decoded.message, decoded.finish_reason, decoded.flags) == (
        Message("assistant", ""),
        "stop",
        ("empty",),
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            '{"promptTokenCount":9,"candidatesTokenCount":3,"totalTokenCount":12}',
            Usage(input=9, output=3),
        ),
        ('{"promptTokenCount":9,"totalTokenCount":9}', Usage(input=9, output=None)),
        (
            '{"promptTokenCount":9,"cachedContentTokenCount":9,"candidatesTokenCount":1}',
            Usage(input=0, output=1, cache_read=9),
        ),
        (
            '{"promptTokenCount":9,"thoughtsTokenCount":7,"candidatesTokenCount":1}',
            Usage(input=9, output=1, reasoning=7),
        ),
        ('{"promptTokenCount":-1,"candidatesTokenCount":"3"}', None),
        ("{}", None),
        ("[]", None),
    ],
)
def test_tokens_in_disjoint_buckets(gemini: Any, counts: str, expected: Usage | None) -> None:
    assert (
        gemini.whole(candidate('{"text":"Hello"}')[:-1] + f',"usageMetadata":{counts}}}').usage
        == expected
    )


SCORED = (
    '{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP","logprobsResult":{'
    '"chosenCandidates":[{"token":"H","tokenId":72,"logProbability":-0.1},{"token":"i"}],'
    '"topCandidates":[{"candidates":[{"token":"H","logProbability":-0.1},{"token":"Y","logProbability":-2.5}]}]}}]}'
)


def test_log_probabilities(reading: Callable[..., Any]) -> None:
    gemini = reading(provider, FLASH)
    gemini.request = Request(messages=HI, sampling={"logprobs": 2})
    decoded = gemini.whole(SCORED)
    assert decoded.logprobs == (
        TokenLogprob("H", -0.1, (("H", -0.1), ("Y", -2.5))),
        TokenLogprob("i", 0.0),
    )
    assert decoded.flags == ()
    assert gemini.whole(candidate('{"text":"Hi"}')).flags == ("ignored_logprobs",)


def test_a_log_probability_that_is_none_is_left_out(gemini: Any) -> None:
    unlikely = SCORED.replace("-0.1", "-" + "9" * 400)
    assert unlikely != SCORED
    assert gemini.whole(unlikely).logprobs == (TokenLogprob("i", 0.0),)


def test_of_several_candidates_the_first_is_the_answer(reading: Callable[..., Any]) -> None:
    gemini = reading(provider, FLASH)
    gemini.request = Request(messages=HI, sampling={"n": 2})
    two = '{"candidates":[{"content":{"parts":[{"text":"B"}]},"finishReason":"STOP","index":1},{"content":{"parts":[{"text":"A"}]},"finishReason":"STOP"}]}'
    assert (gemini.whole(two).message.text, gemini.whole(two).flags) == ("A", ())
    assert gemini.whole(candidate('{"text":"A"}')).flags == ("ignored_n",)


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────

STREAM = (
    'data: {"candidates":[{"content":{"parts":[{"text":"**Greeting**","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":2,"totalTokenCount":2},"modelVersion":"gemini-3.5-flash","responseId":"r"}\r\n\r\n'
    'data: {"candidates":[{"content":{"parts":[{"text":"Grü"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":1,"totalTokenCount":3}}\r\n\r\n'
    'data: {"candidates":[{"content":{"parts":[{"text":"ße 👋"}],"role":"model"},"index":0}]}\r\n\r\n'
    'data: {"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2ln"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":4,"thoughtsTokenCount":6,"totalTokenCount":12}}\r\n\r\n'
).encode()

DECODED = DecodedResponse(
    message=Message(
        "assistant",
        "Grüße 👋",
        reasoning="**Greeting**",
        echo={"gemini": [{"text": "Grüße 👋"}, {"text": "", "thoughtSignature": "c2ln"}]},
    ),
    usage=Usage(input=2, output=4, reasoning=6),
    finish_reason="stop",
    model="gemini-3.5-flash",
)


def fed(*chunks: bytes) -> DecodedResponse:
    """What a stream means that arrives in these pieces."""
    decoder, reader = provider.make_decoder(FLASH, Request(messages=HI)), EventReader()
    for chunk in chunks:
        for name, data in reader.feed(chunk):
            decoder.feed_event(name, data)
    for name, data in reader.close():
        decoder.feed_event(name, data)
    return decoder.finish({})


def test_a_stream_is_the_same_wherever_it_is_cut_in_two() -> None:
    assert all(fed(STREAM[:cut], STREAM[cut:]) == DECODED for cut in range(len(STREAM) + 1))


def test_a_stream_is_the_same_byte_by_byte() -> None:
    assert fed(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == DECODED


def test_a_stream_that_ends_early_anywhere_is_truncated_or_whole() -> None:
    for end in range(len(STREAM)):
        decoded = fed(STREAM[:end])
        whole = STREAM.rindex(b"}") < end
        assert (decoded.error is None) == whole
        assert whole or decoded.error.kind in ("truncated", "empty")


def test_what_counts_for_the_clock(gemini: Any) -> None:
    gemini.stream(STREAM)
    assert gemini.signals == [Signal.REASONING, Signal.ANSWER, Signal.ANSWER, Signal.NOTHING]


def test_a_call_in_a_stream(gemini: Any) -> None:
    decoded = gemini.stream(f"data: {candidate(CALLS, None)}\ndata: {candidate('')}\n")
    assert [call.name for call in decoded.message.tool_calls] == ["weather", "now"]
    assert decoded.finish_reason == "tool_calls"


def test_without_alt_sse_a_stream_is_one_array(gemini: Any) -> None:
    chunks = [line.removeprefix(b"data: ") for line in STREAM.split(b"\r\n\r\n")[:-1]]
    assert gemini.whole(b"[" + b"\n,\r\n".join(chunks) + b"]") == DECODED
    assert gemini.whole(b"[" + b",".join(chunks[:-1]) + b"]").error.kind == "truncated"


BARE = b"""{
  "error": {
    "code": 503,
    "message": "The model is overloaded. Please try again later.",
    "status": "UNAVAILABLE"
  }
}
"""


@pytest.mark.parametrize(
    "error", [BARE, b"[" + BARE.rstrip() + b"\n]\n", b"data: [%s]\n\n" % b" ".join(BARE.split())]
)
def test_an_error_in_the_middle_of_a_stream(error: bytes) -> None:
    first = STREAM[: STREAM.index(b"data: ", 300)]
    for chunks in ([first + error], [bytes([octet]) for octet in first + error]):
        decoded = fed(*chunks)
        assert (decoded.error.kind, decoded.error.code, decoded.error.retryable) == (
            "overloaded",
            "UNAVAILABLE",
            True,
        )
        assert "The model is overloaded." in decoded.error.message
        assert decoded.message.reasoning == "**Greeting**"


WORDS = """candidates content parts text thought thoughtSignature functionCall args id name index finishReason usageMetadata
promptTokenCount logprobsResult chosenCandidates topCandidates promptFeedback blockReason error details status retryDelay
violations quotaId modelVersion"""
DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(f'{{"functionCall":{{"name":"f","args":{DEEP}}}}}', id="arguments too deep"),
        pytest.param(
            f'{{"text":"a","thoughtSignature":"c2ln","other":{DEEP}}}', id="a signed part too deep"
        ),
        pytest.param(
            '{"functionCall":{"name":"f","args":{"n":' + "9" * 5000 + "}}}", id="5,000 digits"
        ),
        pytest.param('{"text":NaN}', id="NaN"),
    ],
)
def test_what_could_not_be_written_down_again_is_unreadable(gemini: Any, part: str) -> None:
    assert gemini.whole(candidate(part)).error.kind == "unreadable"
    assert gemini.stream(f"data: {candidate(part)}\n").error.kind == "unreadable"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(WORDS.split()),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=scale_examples(300))
@given(JSON, st.sampled_from([{}, {"n": 2, "logprobs": 2}]))
def test_nothing_a_server_sends_raises(value: Any, sampling: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    request = Request(messages=HI, sampling=sampling)
    for take in ("body", "event"):
        decoder = provider.make_decoder(FLASH, request)
        decoder.feed_body(data) if take == "body" else decoder.feed_event("", data)
        decoded = decoder.finish({})
        assert (decoded.error is None) == (decoded.finish_reason is not None)
    refused = provider.make_decoder(FLASH, request)
    refused.feed_error(400, {}, data)
    assert refused.finish({}).error is not None
