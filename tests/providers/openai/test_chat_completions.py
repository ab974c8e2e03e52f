"""Chat completions, on the bytes of OpenAI and of the servers that speak its format."""

# Wire bytes stand here as they are on the wire.
# ruff: noqa: UP031

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
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

provider = registry.load_plugin("providers", "openai")

ADDRESS = "https://api.openai.com/v1"
HOSTED = Target("gpt", "openai", "gpt-4.1", ADDRESS, ADDRESS, api_key_env="OPENAI_API_KEY")
LOCAL = Target("local", "openai", "tiny", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1")
HI = (Message("user", "Hi"),)


def sent(request: Request, target: Target = HOSTED) -> Any:
    return json.loads(provider.encode(target, request).body)


@pytest.fixture
def gpt(reading: Callable[..., Any]) -> Any:
    return reading(provider, HOSTED)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def test_a_streamed_request() -> None:
    wire = provider.encode(
        HOSTED, Request(messages=HI, sampling={"max_tokens": 5, "temperature": 0, "seed": None})
    )
    assert (wire.method, wire.path, wire.auth) == (
        "POST",
        "/chat/completions",
        Auth("OPENAI_API_KEY"),
    )
    assert dict(wire.headers) == {"content-type": "application/json", "accept": "text/event-stream"}
    assert json.loads(wire.body) == {
        "model": "gpt-4.1",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_completion_tokens": 5,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_other_servers_know_max_tokens_and_need_no_key() -> None:
    wire = provider.encode(
        LOCAL,
        Request(messages=HI, sampling={"max_tokens": 5, "top_k": 40, "stop": ["\n"]}, stream=False),
    )
    assert wire.auth is None
    assert json.loads(wire.body) == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 5,
        "top_k": 40,
        "stop": ["\n"],
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (True, {"logprobs": True}),
        (False, {"logprobs": False}),
        (3, {"logprobs": True, "top_logprobs": 3}),
    ],
)
def test_log_probabilities_as_a_flag_or_a_count(
    asked: bool | int, expected: dict[str, Any]
) -> None:
    body = sent(Request(messages=HI, sampling={"logprobs": asked}))
    assert {name: value for name, value in body.items() if "logprobs" in name} == expected


@pytest.mark.parametrize(
    ("address", "limit"),
    [
        ("https://api.openai.com/v1/", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        (
            "https://gateway.ai.cloudflare.com/v1/${CLOUDFLARE_ACCOUNT_ID}/mine/openai",
            "max_completion_tokens",
        ),
        ("https://gateway.ai.cloudflare.com/v1/${CLOUDFLARE_ACCOUNT_ID}/mine/groq", "max_tokens"),
        ("https://notapi.openai.com.example/v1", "max_tokens"),
    ],
)
def test_openai_itself_is_recognised_at_each_of_its_hosts(address: str, limit: str) -> None:
    """Its reasoning models refuse `max_tokens`."""
    body = sent(Request(messages=HI, sampling={"max_tokens": 5}), replace(HOSTED, address=address))
    assert {name for name in body if "tokens" in name} == {limit}


def test_the_declared_address_decides_not_where_it_was_found() -> None:
    moved = replace(HOSTED, base_url="http://127.0.0.1:9/v1")
    assert "max_completion_tokens" in sent(Request(messages=HI, sampling={"max_tokens": 5}), moved)


def test_tools_schemas_and_images() -> None:
    turns = (
        Message("user", (Text("Look"), Image("image/jpeg", "AAAA"))),
        Message(
            "assistant", reasoning="never sent back", tool_calls=(ToolCall("call_1", "f", "{}"),)
        ),
        Message("tool", "3", tool_call_id="call_1"),
    )
    tool = Tool("f", "Does it", {"type": "object", "properties": {}})
    request = Request(
        messages=turns,
        tools=(tool,),
        tool_choice="f",
        response_format=ResponseFormat("json_schema", {"type": "object"}, "shape"),
    )
    body = sent(request)
    assert body["messages"] == [
        {"role": "user", "content": [
            {"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}]},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "3", "tool_call_id": "call_1"},
    ]  # fmt: skip
    assert body["tools"] == [{"type": "function", "function": {
        "name": "f", "description": "Does it", "parameters": {"type": "object", "properties": {}}}}]  # fmt: skip
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["response_format"] == {
        "type": "json_schema", "json_schema": {"name": "shape", "schema": {"type": "object"}, "strict": False}}  # fmt: skip


def test_extra_body_comes_last() -> None:
    target = replace(LOCAL, extra_body={"provider": {"only": ["a"]}, "stream_options": None})
    body = sent(Request(messages=HI), target)
    assert (body["provider"], body["stream_options"]) == ({"only": ["a"]}, None)


@pytest.mark.parametrize(
    "request_", [Request(prompt="Hi"), Request(messages=HI, raw=True)], ids=["prompt", "raw"]
)
def test_a_raw_prompt_has_no_form_here(request_: Request) -> None:
    with pytest.raises(
        ValueError, match="target gpt: the format of chat completions accepts only messages"
    ):
        provider.encode(HOSTED, request_)


# ── Whole answers ─────────────────────────────────────────────────────────────────────────────────

WHOLE = """{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"gpt-4.1-2025-04-14",
 "choices":[{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],
 "usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,
  "prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0,"cache_write_tokens":0},
  "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},
 "service_tier":"default","system_fingerprint":"fp_x"}"""


def test_a_whole_answer(gpt: Any) -> None:
    decoded = gpt.whole(WHOLE)
    assert decoded.message == Message("assistant", "Hi")
    assert (decoded.finish_reason, decoded.model, decoded.fingerprint) == (
        "stop",
        "gpt-4.1-2025-04-14",
        "fp_x",
    )
    assert (decoded.usage.input, decoded.usage.output, decoded.usage.source) == (9, 1, "reported")
    assert (decoded.error, decoded.flags) == (None, ())


LIKELY = '{"content":[{"token":"Hi","logprob":-0.25,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.25,"bytes":[72,105]},{"token":"Ho","logprob":-2,"bytes":null}]}],"refusal":null}'
HI_LIKELY = (TokenLogprob("Hi", -0.25, (("Hi", -0.25), ("Ho", -2.0))),)


def test_log_probabilities_of_a_whole_answer(gpt: Any) -> None:
    decoded = gpt.whole(WHOLE.replace('"logprobs":null', f'"logprobs":{LIKELY}'))
    assert (decoded.logprobs, decoded.message.text) == (HI_LIKELY, "Hi")


def test_log_probabilities_of_a_stream_are_those_of_its_chunks(gpt: Any) -> None:
    chunk = (
        'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"logprobs":%s,"finish_reason":null}]}'
        % LIKELY
    )
    end = 'data: {"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}'
    assert gpt.stream("\n\n".join([chunk, chunk, end, "data: [DONE]"])).logprobs == HI_LIKELY * 2


@pytest.mark.parametrize(
    "likely",
    [
        "true",
        "[]",
        '{"content":5}',
        '{"content":[{"token":"Hi","logprob":-%s}]}' % ("9" * 400),
        '{"content":[5,{"token":"Hi"},{"token":5,"logprob":-1},{"token":"Hi","logprob":null}]}',
    ],
)
def test_log_probabilities_that_are_none_are_left_out(gpt: Any, likely: str) -> None:
    decoded = gpt.whole(WHOLE.replace('"logprobs":null', f'"logprobs":{likely}'))
    assert (decoded.logprobs, decoded.error) == ((), None)


def choice(message: str, finish: str = '"stop"') -> str:
    return '{"choices":[{"index":0,"message":%s,"finish_reason":%s}]}' % (message, finish)


@pytest.mark.parametrize(
    ("body", "text", "reason", "flags"),
    [
        (
            choice('{"content":null,"refusal":"I cannot help with that."}'),
            "I cannot help with that.",
            "stop",
            ("refusal",),
        ),
        (choice('{"content":null}'), "", "stop", ("empty",)),
        (choice('{"content":""}', '"length"'), "", "length", ("empty",)),
        (choice('{"content":null,"reasoning":"hm"}', '"length"'), "", "length", ("empty",)),
        (choice('{"content":"a"}', '"content_filter"'), "a", "content_filter", ()),
        (choice('{"content":"a"}', '"model_length"'), "a", "length", ()),
        (choice('{"content":"a"}', '"novel"'), "a", "unknown", ("unknown_stop",)),
        (choice('{"content":"a"}', "null"), "a", "unknown", ("unknown_stop",)),
        (
            choice('{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}'),
            "ab",
            "stop",
            (),
        ),
    ],
)
def test_every_kind_of_answer(
    gpt: Any, body: str, text: str, reason: str, flags: tuple[str, ...]
) -> None:
    decoded = gpt.whole(body)
    assert (decoded.message.text, decoded.finish_reason, decoded.flags, decoded.error) == (
        text,
        reason,
        flags,
        None,
    )


def test_tool_calls_only(gpt: Any) -> None:
    call = '{"id":"call_9","type":"function","function":{"name":"f","arguments":"{}"}}'
    decoded = gpt.whole(choice('{"content":null,"tool_calls":[' + call + "]}", '"tool_calls"'))
    assert decoded.message.tool_calls == (ToolCall("call_9", "f", "{}"),)
    assert (decoded.finish_reason, decoded.flags) == ("tool_calls", ())


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_kept_apart(gpt: Any, field: str) -> None:
    decoded = gpt.whole(choice('{"content":"4","%s":"2+2"}' % field))
    assert decoded.message == Message("assistant", "4", reasoning="2+2")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"choices":[]}', "empty"),
        ('{"choices":null}', "empty"),
        ("{}", "empty"),
        ("  ", "empty"),
        ("<!doctype html><title>Log in</title>", "unreadable"),
        (
            '{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}',
            "rate_limited",
        ),
        (
            '{"error":{"message":"The server had an error","type":"server_error","code":null}}',
            "server_error",
        ),
        ('{"error":"model not loaded"}', "server_error"),
        ('{"error":{"code":502,"message":"bad provider"}}', "server_error"),
        ('{"object":"error","message":"no","code":404}', "not_found"),
        (
            '{"result":{},"success":false,"errors":[{"code":7003,"message":"could not route"}],"messages":[]}',
            "not_found",
        ),
    ],
)
def test_a_200_that_is_no_answer(gpt: Any, body: str, kind: str) -> None:
    decoded = gpt.whole(body)
    assert (decoded.error.kind, decoded.message, decoded.finish_reason) == (kind, None, None)


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},'
         '"completion_tokens_details":{"reasoning_tokens":15}}', (10, 5, 60, 30, 15)),
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}',
         (36, 20, 64, 0, 0)),
        ('{"prompt_tokens":100,"completion_tokens":20,"cached_tokens":40}', (60, 20, 40, 0, 0)),
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"created_cache_tokens":4}}', (96, 20, 0, 4, 0)),
        ('{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":null}', (100, 20, 0, 0, 0)),
    ],
    ids=["openai", "deepseek", "moonshot", "vllm", "no details"],
)  # fmt: skip
def test_buckets_are_disjoint(gpt: Any, usage: str, buckets: tuple[int, ...]) -> None:
    used = gpt.whole('{"choices":[{"message":{"content":"a"}}],"usage":' + usage + "}").usage
    assert (used.input, used.output, used.cache_read, used.cache_write, used.reasoning) == buckets
    assert (used.input_tokens, used.output_tokens) == (100, 20)


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (331, Usage(12, 2, reasoning=317)),
        (14, Usage(12, 0, reasoning=317)),
        (None, Usage(12, 0, reasoning=317)),
    ],
)
def test_reasoning_outside_of_the_completion_shows_in_the_total(
    gpt: Any, total: int | None, expected: Usage
) -> None:
    """As xAI counts; where the total does not say so, reasoning is part of the completion."""
    details = {"completion_tokens_details": {"reasoning_tokens": 317}}
    usage = json.dumps(
        {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": total, **details}
    )
    assert (
        gpt.whole('{"choices":[{"message":{"content":"a"}}],"usage":' + usage + "}").usage
        == expected
    )


@pytest.mark.parametrize(
    "usage",
    [
        "null",
        "0",
        "[]",
        "{}",
        '{"prompt_tokens":0,"completion_tokens":0}',
        '{"prompt_tokens":-1,"completion_tokens":"4"}',
    ],
)
def test_usage_that_says_nothing_is_unknown(gpt: Any, usage: str) -> None:
    assert (
        gpt.whole('{"choices":[{"message":{"content":"a"}}],"usage":' + usage + "}").usage is None
    )


def test_what_openrouter_charged(gpt: Any) -> None:
    used = gpt.whole(
        '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.00025}}'
    ).usage
    assert used.cost == 0.00025


def test_what_the_vendor_behind_openrouter_charged_to_ones_own_key(gpt: Any) -> None:
    billed = '"usage":{"prompt_tokens":9,"completion_tokens":1,"cost":0.25,"is_byok":%s,"cost_details":{"upstream_inference_cost":1.5}}'
    answer = choice('{"content":"a"}')[:-1] + "," + billed + "}"
    assert gpt.whole(answer % "true").usage.cost == 1.75
    assert gpt.whole(answer % "false").usage.cost == 0.25


def test_a_refusal_of_the_wallet_is_not_retried(gpt: Any) -> None:
    body = b'{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}'
    error = gpt.refused(429, body, {"retry-after": "5"}).error
    assert (error.kind, error.retryable, error.retry_after) == ("quota_exhausted", False, 5.0)


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────

STREAM = r"""data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null,"obfuscation":"Zk"}

data: {"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]},"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"chatcmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}

data: [DONE]

"""


def test_a_stream(gpt: Any) -> None:
    decoded = gpt.stream(STREAM)
    assert decoded.message == Message(
        "assistant", "Hi", tool_calls=(ToolCall("call_1", "f", '{"a":1}'),)
    )
    assert (decoded.finish_reason, decoded.model, decoded.fingerprint) == ("tool_calls", "m", "fp")
    assert (decoded.usage.input, decoded.usage.output, decoded.error) == (9, 1, None)
    nothing, answer = Signal.NOTHING, Signal.ANSWER
    assert gpt.signals == [nothing, answer, answer, answer, answer, nothing, nothing, nothing]


def delta(content: str, finish: str = "null", index: int = 0) -> str:
    return 'data: {"choices":[{"index":%d,"delta":%s,"finish_reason":%s}]}\n' % (
        index,
        content,
        finish,
    )


def test_a_finish_reason_is_enough(gpt: Any) -> None:
    decoded = gpt.stream(delta('{"content":"a"}') + delta("{}", '"stop"'))
    assert (decoded.message.text, decoded.finish_reason, decoded.error) == ("a", "stop", None)


def test_done_alone_is_a_success_of_unknown_end(gpt: Any) -> None:
    decoded = gpt.stream(delta('{"content":"a"}') + "data: [DONE]")
    assert (decoded.message.text, decoded.finish_reason, decoded.flags) == (
        "a",
        "unknown",
        ("unknown_stop",),
    )


def test_done_alone_with_nothing_said_is_no_answer(gpt: Any) -> None:
    decoded = gpt.stream(delta('{"role":"assistant","content":""}') + "data: [DONE]")
    assert (decoded.error.kind, decoded.error.retryable, decoded.message) == ("empty", False, None)


def test_neither_is_cut(gpt: Any) -> None:
    decoded = gpt.stream(delta('{"content":"a"}'))
    assert (decoded.error.kind, decoded.error.retryable, decoded.message.text) == (
        "truncated",
        True,
        "a",
    )


def test_no_events_is_no_answer(gpt: Any) -> None:
    assert gpt.stream("").error.kind == "empty"


def test_only_the_first_sample_is_taken(gpt: Any) -> None:
    stream = (
        delta('{"content":"b"}', index=1)
        + delta('{"content":"a"}')
        + delta("{}", '"length"', 1)
        + delta("{}", '"stop"')
    )
    decoded = gpt.stream(stream + "data: [DONE]")
    assert (decoded.message.text, decoded.finish_reason) == ("a", "stop")


def test_reasoning_comes_before_the_answer(gpt: Any) -> None:
    decoded = gpt.stream(
        delta('{"reasoning":"2+2","content":null}')
        + delta('{"content":"4"}')
        + delta("{}", '"stop"')
    )
    assert gpt.signals == [Signal.REASONING, Signal.ANSWER, Signal.NOTHING]
    assert decoded.message == Message("assistant", "4", reasoning="2+2")


def test_a_streamed_refusal(gpt: Any) -> None:
    decoded = gpt.stream(
        delta('{"refusal":"I "}') + delta('{"refusal":"cannot."}') + delta("{}", '"stop"')
    )
    assert (decoded.message.text, decoded.flags) == ("I cannot.", ("refusal",))


def test_parallel_calls_that_all_claim_index_0(gpt: Any) -> None:
    call = '{"tool_calls":[{"index":0,"id":"%s","function":{"name":"f","arguments":"{}"}}]}'
    decoded = gpt.stream(delta(call % "a") + delta(call % "b") + delta("{}", '"tool_calls"'))
    assert [each.id for each in decoded.message.tool_calls] == ["a", "b"]


@pytest.mark.parametrize("field", ['"index":0,', '"index":%d,', ""])
def test_calls_without_end_are_refused(gpt: Any, field: str) -> None:
    """In time that grows with their number, however they are numbered."""
    calls = [
        '{%s"id":"call_%d","function":{"name":"f","arguments":"{}"}}'
        % (field % number if "%" in field else field, number)
        for number in range(100_000)
    ]
    body = '{"content":null,"tool_calls":[%s]}'
    assert len(gpt.whole(choice(body % ",".join(calls[:1000]))).message.tool_calls) == 1000
    decoded = gpt.whole(choice(body % ",".join(calls)))
    assert decoded.error.kind == "unreadable"
    assert "a list of more than 1,000 tool calls" in decoded.error.message


@pytest.mark.parametrize(
    ("frame", "kind", "retryable"),
    [
        (
            '{"error":{"message":"overloaded","type":"server_error","code":null}}',
            "server_error",
            True,
        ),
        (
            '{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}',
            "context_length",
            False,
        ),
        (
            '{"error":{"code":429,"message":"slow down"},"choices":[{"delta":{},"finish_reason":"error"}]}',
            "rate_limited",
            True,
        ),
        ('{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}', "server_error", True),
    ],
)
def test_an_error_inside_a_stream(gpt: Any, frame: str, kind: str, retryable: bool) -> None:
    decoded = gpt.stream(delta('{"content":"a"}') + "data: " + frame + "\ndata: [DONE]")
    assert (decoded.error.kind, decoded.error.retryable, decoded.message.text) == (
        kind,
        retryable,
        "a",
    )


def test_an_event_named_error(gpt: Any) -> None:
    decoder = gpt.make_decoder()
    decoder.feed_event("error", b'{"message":"no capacity"}')
    assert decoder.complete
    assert "no capacity" in decoder.finish({}).error.message


@pytest.mark.parametrize(
    "stream",
    [
        delta('{"content":"a"}', '"stop"').replace(
            "]}\n", '],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n'
        ),
        'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}\n'
        'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n'
        'data: {"choices":[],"usage":null}\n',
        'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":9,'
        '"completion_tokens":2}}}\n',
    ],
    ids=["last choice", "every chunk, then null", "groq"],
)
def test_usage_wherever_it_stands(gpt: Any, stream: str) -> None:
    used = gpt.stream(stream + "data: [DONE]").usage
    assert (used.input, used.output) == (9, 2)


def test_no_usage_is_unknown(gpt: Any) -> None:
    assert gpt.stream(delta('{"content":"a"}', '"stop"') + "data: [DONE]").usage is None


def test_cloudflares_closing_native_frame_is_taken_for_its_usage(gpt: Any) -> None:
    stream = (
        delta('{"content":"a"}', '"stop"')
        + 'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}\n'
    )
    stream += 'data: {"response":"","usage":{"prompt_tokens":9,"completion_tokens":2,"neurons":0.5}}\ndata: [DONE]'
    used = gpt.stream(stream).usage
    assert (used.output, used.neurons) == (2, 0.5)


# ── Anything at all ───────────────────────────────────────────────────────────────────────────────

KEYS = (
    "choices", "usage", "tool_calls", "delta", "message", "content", "reasoning", "reasoning_content", "refusal", "index", "id",
    "function", "name", "arguments", "finish_reason", "errors", "error", "code", "prompt_tokens", "completion_tokens",
    "completion_tokens_details", "reasoning_tokens", "cost", "model", "system_fingerprint", "x_groq", "type", "text", "object",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)
CHOICES = st.lists(
    st.fixed_dictionaries(
        {"delta": st.dictionaries(st.sampled_from(KEYS), VALUES)}, optional={"index": VALUES}
    )
)
FRAMES = VALUES | st.fixed_dictionaries(
    {"choices": CHOICES}, optional={"usage": VALUES, "x_groq": VALUES}
)
DATA = st.binary() | FRAMES.map(lambda value: json.dumps(value).encode())


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "error", "ping"]), DATA | st.just(b"[DONE]")), max_size=5
    )
)
@example([("", b'{"choices": {"0": {"delta": {}}}}')])
def test_no_stream_raises(events: list[tuple[str, bytes]]) -> None:
    decoder = provider.make_decoder(HOSTED, Request())
    for name, data in events:
        assert isinstance(decoder.feed_event(name, data), Signal)
    assert isinstance(decoder.finish({}), DecodedResponse)


@given(DATA)
@example(b'{"choices": {"0": {"message": {}}}}')
def test_no_body_raises(data: bytes) -> None:
    decoder = provider.make_decoder(HOSTED, Request())
    decoder.feed_body(data)
    assert isinstance(decoder.finish({}), DecodedResponse)


@given(st.text(min_size=1), st.integers(0, 20))
def test_a_text_cut_anywhere_into_deltas_comes_back_whole(text: str, cut: int) -> None:
    pieces = (text[:cut], text[cut:])
    decoder = provider.make_decoder(HOSTED, Request())
    for piece in pieces:
        decoder.feed_event("", json.dumps({"choices": [{"delta": {"content": piece}}]}).encode())
    decoder.feed_event("", b"[DONE]")
    message = decoder.finish({}).message
    assert message is not None
    assert message.text == text
