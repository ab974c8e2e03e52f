"""Workers AI's native format, on the bytes its documentation and recordings show."""

# Wire bytes stand here as they are on the wire.
# ruff: noqa: UP031

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
)
from harness.providers.base import DecodedResponse, Signal

provider = registry.load_plugin("providers", "cloudflare")

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
ADDRESS = "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}"
TARGET = Target(
    "scout",
    "cloudflare",
    SCOUT,
    ADDRESS,
    "https://example.test",
    api_key_env="CLOUDFLARE_AUTH_TOKEN",
)
HI = (Message("user", "Hi"),)


def sent(request: Request, target: Target = TARGET) -> Any:
    return json.loads(provider.encode(target, request).body)


@pytest.fixture
def scout(reading: Callable[..., Any]) -> Any:
    return reading(provider, TARGET)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def test_the_minimal_body() -> None:
    request = Request(
        messages=HI, sampling={"max_tokens": 64, "temperature": 0, "seed": 7}, stream=False
    )
    wire = provider.encode(TARGET, request)
    assert wire.path == "/ai/run/@cf/meta/llama-4-scout-17b-16e-instruct"
    assert wire.method == "POST"
    assert wire.auth == Auth("CLOUDFLARE_AUTH_TOKEN", "Authorization", "Bearer ")
    assert dict(wire.headers) == {"content-type": "application/json", "accept": "application/json"}
    assert json.loads(wire.body) == json.loads(
        '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":64,"temperature":0,"seed":7}'
    )


def test_an_image_is_a_data_uri() -> None:
    picture = Message("user", (Text("What is this?"), Image("image/png", "iVBORw0KGgo=")))
    assert sent(
        Request(messages=(picture,), sampling={"max_tokens": 128}, stream=False)
    ) == json.loads(
        '{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":'
        '{"url":"data:image/png;base64,iVBORw0KGgo="}}]}],"max_tokens":128}'
    )


WEATHER = Tool(
    "get_weather",
    "Current weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "City"}},
        "required": ["city"],
    },
)


def test_a_tool_round_trip() -> None:
    turns = (
        Message("user", "Weather in Oslo?"),
        Message("assistant", tool_calls=(ToolCall("abcdef123", "get_weather", '{"city":"Oslo"}'),)),
        Message("tool", '{"c":4}', tool_call_id="abcdef123", name="get_weather"),
    )
    assert sent(
        Request(messages=turns, tools=(WEATHER,), sampling={"max_tokens": 128}, stream=False)
    ) == json.loads(
        r"""{"messages":[
  {"role":"user","content":"Weather in Oslo?"},
  {"role":"assistant","content":"","tool_calls":[{"id":"abcdef123","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}]},
  {"role":"tool","tool_call_id":"abcdef123","name":"get_weather","content":"{\"c\":4}"}],
 "tools":[{"type":"function","function":{"name":"get_weather","description":"Current weather","parameters":{"type":"object","properties":{"city":{"type":"string","description":"City"}},"required":["city"]}}}],
 "max_tokens":128}"""
    )


def test_the_output_limit_is_always_sent() -> None:
    assert sent(Request(messages=HI))["max_tokens"] == 256
    assert sent(Request(messages=HI, sampling={"max_tokens": None}))["max_tokens"] == 256


def test_every_sampling_parameter_keeps_its_name() -> None:
    sampling = {
        "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 1, "repetition_penalty": 1.1,
        "frequency_penalty": 0.1, "presence_penalty": 0.2,
    }  # fmt: skip
    assert sent(Request(messages=HI, sampling=sampling)) == {
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        **sampling,
    }


def test_a_raw_prompt_takes_the_place_of_messages() -> None:
    prompt = "<|begin_of_text|><|header_start|>user<|header_end|>\n\nHi<|eot|>"
    request = Request(prompt=prompt, raw=True, stream=False)
    assert sent(request) == {"prompt": prompt, "raw": True, "max_tokens": 256}
    with pytest.raises(ValueError, match="scout: Workers AI takes either a prompt or messages"):
        provider.encode(TARGET, Request(messages=HI, prompt="Hi"))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SCOUT, {"type": "object"}),
        (
            "@cf/zai-org/glm-4.7-flash",
            {"name": "answer", "schema": {"type": "object"}, "strict": False},
        ),
    ],
)
def test_a_schema_goes_bare_to_native_models_and_in_an_envelope_to_the_others(
    model: str, expected: Any
) -> None:
    request = Request(
        messages=HI, response_format=ResponseFormat("json_schema", {"type": "object"})
    )
    target = Target("t", "cloudflare", model, ADDRESS, "https://example.test")
    assert sent(request, target)["response_format"] == {
        "type": "json_schema",
        "json_schema": expected,
    }


def test_guided_json_is_a_field_of_its_own_with_nothing_around_the_schema() -> None:
    body = sent(
        Request(
            messages=HI,
            response_format=ResponseFormat("guided_json", {"type": "object"}),
            stream=False,
        )
    )
    assert body == {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 256,
        "guided_json": {"type": "object"},
    }


def test_a_plain_prompt_takes_no_tools() -> None:
    with pytest.raises(ValueError, match="scout: Workers AI takes tools only with messages"):
        provider.encode(TARGET, Request(prompt="Hi", tools=(WEATHER,)))


def test_any_json() -> None:
    assert sent(Request(messages=HI, response_format=ResponseFormat("json_object")))[
        "response_format"
    ] == {"type": "json_object"}


def test_the_schema_dialect_is_taken_out_of_tools_but_not_a_property_of_that_name() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
              "properties": {"$schema": {"type": "string", "description": "d"}}}  # fmt: skip
    (tool,) = sent(Request(messages=HI, tools=(Tool("f", "d", schema),)))["tools"]
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {"$schema": {"type": "string", "description": "d"}},
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "description": "City"}, {"type": "string", "description": "City"}),
        ({"type": "string"}, {"type": "string", "description": "x"}),
        ({}, {"type": "string", "description": "x"}),
        (True, {"type": "string", "description": "x"}),
        ({"enum": [1, 2]}, {"enum": [1, 2], "type": "integer", "description": "x"}),
        ({"enum": [1, "a"]}, {"enum": [1, "a"], "type": "string", "description": "x"}),
        ({"const": True}, {"const": True, "type": "boolean", "description": "x"}),
        ({"items": {}}, {"items": {}, "type": "array", "description": "x"}),
        (
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            {
                "anyOf": [{"type": "integer"}, {"type": "null"}],
                "type": "integer",
                "description": "x",
            },
        ),
    ],
)
def test_each_property_of_a_tool_has_the_type_and_description_the_schema_requires(
    schema: Any, expected: Any
) -> None:
    (tool,) = sent(
        Request(
            messages=HI, tools=(Tool("f", "d", {"type": "object", "properties": {"x": schema}}),)
        )
    )["tools"]
    assert tool["function"]["parameters"]["properties"] == {"x": expected}


def test_a_tool_without_parameters_has_an_empty_object_of_them() -> None:
    (tool,) = sent(Request(messages=HI, tools=(Tool("now", "The time", {}),)))["tools"]
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}


def test_a_foreign_call_id_becomes_nine_alphanumerics_the_same_on_both_sides() -> None:
    turns = (
        Message(
            "assistant", tool_calls=(ToolCall("call_1", "f", "{}"), ToolCall("call_2", "f", "{}"))
        ),
        Message("tool", "1", tool_call_id="call_1"),
        Message("tool", "2", tool_call_id="call_2"),
    )
    asked, first, second = sent(Request(messages=turns))["messages"]
    ids = [call["id"] for call in asked["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert len(set(ids)) == 2
    assert all(len(each) == 9 and each.isalnum() and each.isascii() for each in ids)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("auto", "auto"), ("f", {"type": "function", "function": {"name": "f"}})],
)
def test_tool_choice(choice: str, expected: Any) -> None:
    assert (
        sent(Request(messages=HI, tools=(WEATHER,), tool_choice=choice))["tool_choice"] == expected
    )


def test_extra_body_comes_last_and_own_headers_win() -> None:
    target = Target(
        "t", "cloudflare", SCOUT, ADDRESS, "https://example.test",
        headers={"X-Session-Affinity": "a", "Accept": "*/*"},
        extra_body={"options": {"rejectIfBusy": True}, "guided_json": {"type": "object"}, "max_tokens": 9, "functions": []},
    )  # fmt: skip
    wire = provider.encode(target, Request(messages=HI, sampling={"max_tokens": 5}))
    assert dict(wire.headers) == {
        "content-type": "application/json",
        "accept": "*/*",
        "x-session-affinity": "a",
    }
    assert wire.auth is None
    assert json.loads(wire.body) == {
        "messages": [{"role": "user", "content": "Hi"}], "stream": True, "max_tokens": 9,
        "options": {"rejectIfBusy": True}, "guided_json": {"type": "object"}, "functions": [],
    }  # fmt: skip


def test_text_that_no_utf_8_can_hold_is_sent_escaped() -> None:
    assert (
        b"\\ud83d" in provider.encode(TARGET, Request(messages=(Message("user", "\ud83d"),))).body
    )


# ── Whole answers ─────────────────────────────────────────────────────────────────────────────────


def test_a_whole_answer(scout: Any) -> None:
    decoded = scout.whole(
        '{"result":{"response":"Hello!","tool_calls":[],"usage":{"prompt_tokens":18,"completion_tokens":3,"total_tokens":21,'
        '"prompt_tokens_details":{"cached_tokens":0},"neurons":0.6736}},"success":true,"errors":[],"messages":[]}'
    )
    assert decoded.message == Message("assistant", "Hello!")
    assert (decoded.usage.input, decoded.usage.output, decoded.usage.neurons) == (18, 3, 0.6736)
    assert (decoded.finish_reason, decoded.error, decoded.flags) == ("stop", None, ())


def test_a_tool_call_whose_response_is_missing(scout: Any) -> None:
    decoded = scout.whole(
        '{"result":{"tool_calls":[{"id":"chatcmpl-tool-0f0e0d0c0b0a09080706050403020100","type":"function","function":{"name":'
        r'"get_weather","arguments":"{\"city\": \"Oslo\"}"}}],"usage":{"prompt_tokens":160,"completion_tokens":17,'
        '"total_tokens":177}},"success":true,"errors":[],"messages":[]}'
    )
    assert decoded.finish_reason == "tool_calls"
    assert decoded.message.tool_calls == (
        ToolCall(
            "chatcmpl-tool-0f0e0d0c0b0a09080706050403020100", "get_weather", '{"city": "Oslo"}'
        ),
    )


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ('[{"name":"f","arguments":{"a":1}},{"name":"f","arguments":{"a":1}}]',
         [("call_0", "f", '{"a":1}'), ("call_1", "f", '{"a":1}')]),
        ('[{"id":"x","type":"function","function":{"name":"f","arguments":{"a":"ü"}}}]', [("x", "f", '{"a":"ü"}')]),
        ('[{"id":"x","type":"function","index":0,"function":{"name":"f"}}]', [("x", "f", "{}")]),
    ],
    ids=["oldest", "typed", "no arguments"],
)  # fmt: skip
def test_every_shape_of_a_tool_call(
    scout: Any, calls: str, expected: list[tuple[str, str, str]]
) -> None:
    decoded = scout.whole('{"result":{"response":null,"tool_calls":' + calls + '},"success":true}')
    assert [(call.id, call.name, call.arguments) for call in decoded.message.tool_calls] == expected


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ('{"queue": "billing", "n": 1}', '{"queue":"billing","n":1}'),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ("42", "42"),
        ("[1, 2]", "[1,2]"),
    ],
)
def test_a_response_that_is_no_string_becomes_compact_json(
    scout: Any, response: str, text: str
) -> None:
    assert (
        scout.whole('{"result":{"response":' + response + '},"success":true}').message.text == text
    )


def test_the_openai_shaped_family(scout: Any) -> None:
    decoded = scout.whole(
        '{"result":{"id":"c","object":"chat.completion","model":"@cf/zai-org/glm-5.2","choices":[{"index":0,"message":{"role":'
        '"assistant","content":"Four.","reasoning_content":"2+2"},"finish_reason":"model_length"}],"usage":{"prompt_tokens":9,'
        '"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}},'
        '"success":true,"errors":[],"messages":[]}'
    )
    assert decoded.message == Message("assistant", "Four.", reasoning="2+2")
    assert (decoded.finish_reason, decoded.model) == ("length", "@cf/zai-org/glm-5.2")
    usage = decoded.usage
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning) == (5, 4, 3, 2)
    assert (usage.input_tokens, usage.output_tokens) == (9, 5)


@pytest.mark.parametrize(("output", "reason"), [(63, "stop"), (64, "length"), (65, "length")])
def test_an_answer_that_used_up_its_limit_was_cut(scout: Any, output: int, reason: str) -> None:
    body = (
        '{"result":{"response":"a","usage":{"prompt_tokens":1,"completion_tokens":%d}},"success":true}'
        % output
    )
    assert scout.whole(body).finish_reason == reason


def test_the_limit_is_256_where_none_was_asked_for(scout: Any) -> None:
    scout.request = Request(messages=HI)
    body = '{"result":{"response":"a","usage":{"prompt_tokens":1,"completion_tokens":256}},"success":true}'
    assert scout.whole(body).finish_reason == "length"


def test_neurons_from_the_header_where_the_body_has_none(scout: Any) -> None:
    decoded = scout.whole('{"result":{"response":"a"},"success":true}', {"cf-ai-neurons": "12.5"})
    assert (decoded.usage.neurons, decoded.usage.input) == (12.5, None)
    assert (
        scout.whole('{"result":{"response":"a"},"success":true}', {"cf-ai-neurons": "many"}).usage
        is None
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"result":{},"success":true,"errors":[],"messages":[]}', "empty"),
        ('{"result":null,"success":true}', "empty"),
        ('{"result":{"response":null,"tool_calls":[]},"success":true}', "empty"),
        ('{"result":{"choices":[]},"success":true}', "empty"),
        ("", "empty"),
        ("<html><title>Sign in</title></html>", "unreadable"),
        ("[" * 100_000, "unreadable"),
        ("[1]", "unreadable"),
        ('{"result":{},"success":false,"errors":[{"code":3040,"message":"Capacity temporarily exceeded, please try again."}]}',
         "overloaded"),
        ('{"errors":[{"message":"JSON Mode couldn\'t be met","code":5024}],"success":false,"result":{}}', "json_mode"),
    ],
)  # fmt: skip
def test_a_200_that_is_no_answer(scout: Any, body: str, kind: str) -> None:
    decoded = scout.whole(body)
    assert (decoded.error.kind, decoded.message) == (kind, None)
    assert decoded.error.retryable is (kind == "overloaded")


def test_an_answer_of_no_words_is_an_answer(scout: Any) -> None:
    decoded = scout.whole('{"result":{"response":""},"success":true}')
    assert (decoded.error, decoded.message.text, decoded.flags) == (None, "", ("empty",))


def test_the_schemas_refusal(scout: Any) -> None:
    body = b"""{"errors":[{"message":"AiError: Bad input: Error: '/temperature' must be <= 5","code":5006}],"success":false,"result":{},"messages":[]}"""
    error = scout.refused(400, body, {"cf-ray": "1"}).error
    assert (error.kind, error.status, error.code, error.retryable) == (
        "bad_request",
        400,
        "5006",
        False,
    )
    assert (
        error.message
        == "HTTP 400, code 5006: AiError: Bad input: Error: '/temperature' must be <= 5"
    )


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────

NATIVE = """\
data: {"response":"","tool_calls":[],"p":"abdefghijklmnop"}

data: {"response":"Hel","tool_calls":[],"p":"abdefgh"}

data: {"response":"lo","tool_calls":[],"p":"abdefghijklmnoprstuvxyz12"}

data: {"response":"","usage":{"prompt_tokens":18,"completion_tokens":3,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":0},"neurons":0.67}}

data: [DONE]

"""


def test_a_native_stream(scout: Any) -> None:
    decoded = scout.stream(NATIVE)
    assert decoded.message == Message("assistant", "Hello")
    assert (decoded.usage.input, decoded.usage.output, decoded.usage.neurons) == (18, 3, 0.67)
    assert (decoded.finish_reason, decoded.error) == ("stop", None)
    nothing, answer = Signal.NOTHING, Signal.ANSWER
    assert scout.signals == [nothing, answer, answer, nothing, nothing]


def test_nothing_counts_after_done(scout: Any) -> None:
    decoder = scout.make_decoder()
    decoder.feed_event("", b'{"response":"a"}')
    assert not decoder.complete
    decoder.feed_event("", b" [DONE] ")
    assert decoder.complete
    assert decoder.feed_event("", b'{"response":"b"}') is Signal.NOTHING
    assert decoder.finish({}).message.text == "a"


@pytest.mark.parametrize("kept", range(1, 5))
def test_a_stream_without_its_end_is_cut_and_keeps_its_text(scout: Any, kept: int) -> None:
    decoded = scout.stream("\n\n".join(NATIVE.split("\n\n")[:kept]))
    assert (decoded.error.kind, decoded.error.retryable, decoded.finish_reason) == (
        "truncated",
        True,
        None,
    )
    assert (decoded.message.text if decoded.message else "") == ("", "Hel", "Hello", "Hello")[
        kept - 1
    ]


def test_a_stream_of_no_events_is_no_answer(scout: Any) -> None:
    assert scout.stream("").error.kind == "empty"
    assert scout.stream("data: [DONE]").error.kind == "empty"


def test_tool_calls_in_fragments_with_a_closing_frame(scout: Any) -> None:
    decoded = scout.stream(r"""
data: {"tool_calls":[{"id":"a1","type":"function","index":0,"function":{"name":"f","arguments":"{\"x\""}}]}
data: {"tool_calls":[{"index":1,"id":"b2","type":"function","function":{"name":"g","arguments":"{}"}}]}
data: {"tool_calls":[{"index":0,"function":{"arguments":": 1}"}}]}
data: {"tool_calls":[{"index":0,"id":null,"function":{"name":null,"arguments":null}}]}
data: {"finish_reason":"tool_calls"}
data: [DONE]
""")
    assert decoded.message.tool_calls == (
        ToolCall("a1", "f", '{"x": 1}'),
        ToolCall("b2", "g", "{}"),
    )
    assert decoded.finish_reason == "tool_calls"
    assert scout.signals == [Signal.ANSWER] * 3 + [Signal.NOTHING] * 3


def test_numbers_and_missing_responses_in_a_stream(scout: Any) -> None:
    assert (
        scout.stream(
            'data: {"response":4}\ndata: {"response":2}\ndata: {}\ndata: [DONE]'
        ).message.text
        == "42"
    )


CHUNK = 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%s"}}],"usage":%s,"p":"ab"}\n'


def usage(prompt: int, completion: int) -> str:
    return '{"prompt_tokens":%d,"completion_tokens":%d}' % (prompt, completion)


@pytest.mark.parametrize(
    ("chunks", "rest", "expected"),
    [
        ([(9, 0), (0, 1), (0, 1)], '{"choices":[],"usage":%s}', (9, 2)),
        ([(9, 0), (0, 1), (0, 1)], '{"response":"","usage":%s}', (9, 2)),
        ([(9, 0), (9, 1), (9, 2)], None, (9, 2)),
        ([(9, 0), (0, 1), (0, 1)], None, (9, 2)),
    ],
    ids=["empty choices", "native total", "cumulative", "increments"],
)
def test_which_usage_counts(
    scout: Any, chunks: list[tuple[int, int]], rest: str | None, expected: tuple[int, int]
) -> None:
    stream = "".join(CHUNK % ("a", usage(*chunk)) for chunk in chunks)
    if rest:
        stream += "data: " + rest % usage(9, 2) + "\n"
    decoded = scout.stream(stream + "data: [DONE]")
    assert (decoded.usage.input, decoded.usage.output) == expected
    assert decoded.message.text == "aaa"


def test_the_native_total_beats_every_chunk(scout: Any) -> None:
    stream = CHUNK % ("a", usage(9, 5)) + 'data: {"choices":[],"usage":' + usage(9, 6) + "}\n"
    stream += 'data: {"response":"","usage":' + usage(9, 7) + "}\ndata: [DONE]"
    assert scout.stream(stream).usage.output == 7


def test_a_whole_answer_inside_a_stream(scout: Any) -> None:
    decoded = scout.stream(
        'data: {"result":{"response":"Hi"},"success":true,"errors":[],"messages":[]}'
    )
    assert (decoded.message.text, decoded.finish_reason, decoded.error) == ("Hi", "stop", None)


def test_an_error_inside_a_stream_keeps_what_came_before(scout: Any) -> None:
    decoded = scout.stream(
        'data: {"response":"Hel"}\ndata: {"errors":[{"code":3040,"message":"busy"}],"success":false}\ndata: [DONE]'
    )
    assert (decoded.error.kind, decoded.error.retryable, decoded.message.text) == (
        "overloaded",
        True,
        "Hel",
    )


def test_damaged_text_is_kept_and_flagged(scout: Any) -> None:
    decoded = scout.stream(b'data: {"response":"caf\xff"}\ndata: [DONE]')
    assert (decoded.message.text, decoded.flags) == ("caf\ufffd", ("invalid_utf8",))


def test_surrogate_halves_of_two_events_make_one_character(scout: Any) -> None:
    stream = (
        r'data: {"response":"\ud83d"}' "\n" r'data: {"response":"\ude00 \ud83d"}' "\ndata: [DONE]"
    )
    assert scout.stream(stream).message.text == "😀 \ud83d"


@pytest.mark.parametrize(
    "event", [b"[" * 100_000, b'{"response":NaN}', b"9" * 5_000, b"null", b'{"response":"a']
)
def test_an_event_that_cannot_be_read_ends_the_stream_with_an_error(
    scout: Any, event: bytes
) -> None:
    decoded = scout.stream(b'data: {"response":"Hel"}\ndata: ' + event + b"\ndata: [DONE]")
    assert (decoded.error.kind, decoded.message.text) == ("unreadable", "Hel")


# ── Anything at all ───────────────────────────────────────────────────────────────────────────────

KEYS = (
    "response", "choices", "usage", "tool_calls", "delta", "message", "content", "reasoning", "refusal", "index", "id",
    "function", "name", "arguments", "finish_reason", "result", "success", "errors", "error", "code", "prompt_tokens",
    "completion_tokens", "prompt_tokens_details", "cached_tokens", "neurons", "model", "x_groq", "type", "text",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)
DATA = st.binary() | VALUES.map(lambda value: json.dumps(value).encode())


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "error", "ping"]), DATA | st.just(b"[DONE]")), max_size=5
    )
)
def test_no_stream_raises(events: list[tuple[str, bytes]]) -> None:
    decoder = provider.make_decoder(TARGET, Request())
    for name, data in events:
        assert isinstance(decoder.feed_event(name, data), Signal)
    assert isinstance(decoder.finish({}), DecodedResponse)


@given(DATA, st.dictionaries(st.sampled_from(["cf-ai-neurons", "retry-after"]), st.text()))
def test_no_body_raises(data: bytes, headers: dict[str, str]) -> None:
    decoder = provider.make_decoder(TARGET, Request())
    decoder.feed_body(data)
    assert isinstance(decoder.finish(headers), DecodedResponse)
