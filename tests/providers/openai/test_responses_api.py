"""The Responses API, on the bytes it documents and over a socket to the simulator."""

# Wire bytes stand here as they are on the wire.
# ruff: noqa: UP031

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
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
from tests.pictures import as_image, picture
from tests.providers.over_sockets import exchange, sent
from tests.support import Simulated

provider = registry.load_plugin("providers", "openai-responses")

ADDRESS = "https://api.openai.com/v1"
HOSTED = Target(
    "gpt", "openai-responses", "gpt-6-sol", ADDRESS, ADDRESS, api_key_env="OPENAI_API_KEY"
)
HI = (Message("user", "Hi"),)
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("get_weather", "Current weather", CITY)


def body(request: Request, target: Target = HOSTED) -> Any:
    return json.loads(provider.encode(target, request).body)


@pytest.fixture
def gpt(reading: Callable[..., Any]) -> Any:
    return reading(provider, HOSTED)


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def test_a_streamed_request() -> None:
    turns = (Message("system", "Be brief."), *HI)
    wire = provider.encode(
        HOSTED,
        Request(
            messages=turns, sampling={"max_tokens": 64, "reasoning_effort": "low", "top_p": None}
        ),
    )
    assert (wire.method, wire.path, wire.auth) == ("POST", "/responses", Auth("OPENAI_API_KEY"))
    assert dict(wire.headers)["accept"] == "text/event-stream"
    assert json.loads(wire.body) == {
        "model": "gpt-6-sol",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": "Hi"}],
        "store": False,
        "max_output_tokens": 64,
        "reasoning": {"effort": "low"},
        "stream": True,
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (True, {"include": ["message.output_text.logprobs"]}),
        (3, {"include": ["message.output_text.logprobs"], "top_logprobs": 3}),
        (False, {}),
    ],
)
def test_log_probabilities_are_included_when_asked_for(
    asked: bool | int, expected: dict[str, Any]
) -> None:
    found = body(Request(messages=HI, sampling={"logprobs": asked}))
    assert {
        name: value
        for name, value in found.items()
        if name in ("include", "top_logprobs", "logprobs")
    } == expected


def test_tools_schemas_images_and_turns_become_items() -> None:
    turns = (
        Message("user", (Text("Look"), Image("image/jpeg", "AAAA"))),
        Message(
            "assistant",
            "Let me see.",
            tool_calls=(ToolCall("call_1", "get_weather", '{"city":"Oslo"}'),),
        ),
        Message("tool", '{"c":4}', tool_call_id="call_1"),
        Message("system", "Answer now."),
    )
    open_tool = Tool("f", "Does it", {"type": "object", "properties": {"a": {"type": "string"}}})
    form = ResponseFormat("json_schema", CITY, "place")
    found = body(
        Request(messages=turns, tools=(WEATHER, open_tool), tool_choice="f", response_format=form)
    )
    assert "instructions" not in found
    assert found["input"] == [
        {"role": "user", "content": [
            {"type": "input_text", "text": "Look"},
            {"type": "input_image", "image_url": "data:image/jpeg;base64,AAAA", "detail": "auto"}]},
        {"role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": '{"c":4}'},
        {"role": "system", "content": "Answer now."},
    ]  # fmt: skip
    assert found["tools"] == [
        {
            "type": "function",
            "name": "get_weather",
            "description": "Current weather",
            "parameters": CITY,
            "strict": True,
        },
        {
            "type": "function",
            "name": "f",
            "description": "Does it",
            "parameters": open_tool.parameters,
            "strict": False,
        },
    ]
    assert found["tool_choice"] == {"type": "function", "name": "f"}
    assert found["text"] == {
        "format": {"type": "json_schema", "name": "place", "schema": CITY, "strict": True}
    }


@pytest.mark.parametrize(
    "request_", [Request(prompt="Hi"), Request(messages=HI, raw=True)], ids=["prompt", "raw"]
)
def test_a_raw_prompt_has_no_form_here(request_: Request) -> None:
    with pytest.raises(ValueError, match="target gpt: the Responses API accepts only messages"):
        provider.encode(HOSTED, request_)


def test_an_image_in_the_instructions_is_refused_and_one_in_a_tools_result_is_sent() -> None:
    seen = (Text("Look."), Image("image/png", "AAAA"))
    with pytest.raises(
        ValueError, match="target gpt: the Responses API accepts no images in a system message"
    ):
        provider.encode(HOSTED, Request((Message("system", seen), *HI)))
    called = Message("assistant", tool_calls=(ToolCall("call_1", "f", "{}"),))
    item = body(Request((*HI, called, Message("tool", seen, tool_call_id="call_1"))))["input"][-1]
    assert (item["type"], item["call_id"]) == ("function_call_output", "call_1")
    assert [part["type"] for part in item["output"]] == ["input_text", "input_image"]


# ── Whole answers ─────────────────────────────────────────────────────────────────────────────────

USAGE = '"usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":2},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":29}'
REASONING = '{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Look."},{"type":"summary_text","text":"Answer."}],"encrypted_content":"gAAA"}'
SAID = '{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}]}'
CALLED = '{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"get_weather","arguments":"{\\"city\\":\\"Oslo\\"}"}'


def response(
    *items: str, status: str = "completed", details: str = "null", error: str = "null"
) -> str:
    return (
        '{"id":"resp_1","object":"response","created_at":1790000000,"status":"%s","error":%s,"incomplete_details":%s,'
        '"model":"gpt-6-sol-2026-09-01","output":[%s],%s}'
        % (status, error, details, ",".join(items), USAGE)
    )


def test_a_whole_answer(gpt: Any) -> None:
    decoded = gpt.whole(response(REASONING, SAID))
    assert decoded.message.text == "Hi"
    assert decoded.message.reasoning == "Look.\n\nAnswer."
    assert decoded.message.echo == {"output": [json.loads(REASONING), json.loads(SAID)]}
    assert decoded.usage == Usage(input=10, output=3, cache_read=8, cache_write=2, reasoning=6)
    assert (decoded.finish_reason, decoded.model, decoded.error, decoded.flags) == (
        "stop",
        "gpt-6-sol-2026-09-01",
        None,
        (),
    )


def test_what_was_thought_goes_back_as_it_came_with_the_calls_it_led_to(gpt: Any) -> None:
    decoded = gpt.whole(response(REASONING, CALLED))
    assert decoded.finish_reason == "tool_calls"
    assert decoded.message.tool_calls == (ToolCall("call_1", "get_weather", '{"city":"Oslo"}'),)
    turns = (*HI, decoded.message, Message("tool", "4", tool_call_id="call_1"))
    assert body(Request(messages=turns))["input"] == [
        {"role": "user", "content": "Hi"},
        json.loads(REASONING),
        json.loads(CALLED),
        {"type": "function_call_output", "call_id": "call_1", "output": "4"},
    ]


def test_an_answer_without_thought_needs_no_echo(gpt: Any) -> None:
    assert gpt.whole(response(SAID)).message == Message("assistant", "Hi")


@pytest.mark.parametrize(
    ("text", "said", "reason", "flags"),
    [
        (
            response(SAID, status="incomplete", details='{"reason":"max_output_tokens"}'),
            "Hi",
            "length",
            (),
        ),
        (
            response(SAID, status="incomplete", details='{"reason":"content_filter"}'),
            "Hi",
            "content_filter",
            (),
        ),
        (
            response(SAID, status="incomplete", details='{"reason":"steered"}'),
            "Hi",
            "unknown",
            ("unknown_stop",),
        ),
        (
            response(status="incomplete", details='{"reason":"max_output_tokens"}'),
            "",
            "length",
            ("empty",),
        ),
        (
            response(
                '{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"No."}]}'
            ),
            "No.",
            "stop",
            ("refusal",),
        ),
    ],
)
def test_how_an_answer_ends(
    gpt: Any, text: str, said: str, reason: str, flags: tuple[str, ...]
) -> None:
    decoded = gpt.whole(text)
    assert (decoded.message.text, decoded.finish_reason, decoded.flags) == (said, reason, flags)


def test_raw_thoughts_of_open_servers(gpt: Any) -> None:
    item = '{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]}'
    assert gpt.whole(response(item, SAID)).message.reasoning == "Hm."


@pytest.mark.parametrize(
    ("text", "kind", "retryable"),
    [
        (
            response(
                status="failed", error='{"code":"server_error","message":"The model failed."}'
            ),
            "server_error",
            True,
        ),
        (
            response(
                status="failed", error='{"code":"rate_limit_exceeded","message":"Slow down."}'
            ),
            "rate_limited",
            True,
        ),
        (response(status="cancelled"), "server_error", True),
        ("[]", "unreadable", False),
        ("", "empty", False),
    ],
)
def test_answers_that_are_none(gpt: Any, text: str, kind: str, retryable: bool) -> None:
    error = gpt.whole(text).error
    assert (error.kind, error.retryable) == (kind, retryable)


def test_log_probabilities_of_a_whole_answer(gpt: Any) -> None:
    text = SAID.replace(
        '"logprobs":[]',
        '"logprobs":[{"token":"Hi","bytes":[72,105],"logprob":-0.5,"top_logprobs":[{"token":"Hi","bytes":[72,105],"logprob":-0.5}]}]',
    )
    gpt.request = replace(gpt.request, sampling={"logprobs": 1})
    decoded = gpt.whole(response(text))
    assert decoded.logprobs == (TokenLogprob("Hi", -0.5, (("Hi", -0.5),)),)
    assert decoded.flags == ()
    assert gpt.whole(response(SAID)).flags == ("ignored_logprobs",)


# ── Streams ───────────────────────────────────────────────────────────────────────────────────────


def event(kind: str, rest: str) -> str:
    return f'event: {kind}\ndata: {{"type":"{kind}",{rest}}}\n\n'


OPENING = event(
    "response.created",
    '"sequence_number":0,"response":{"id":"resp_1","status":"in_progress","model":"gpt-6-sol-2026-09-01","error":null,"output":[]}',
)
STREAM = (
    OPENING
    + event("response.in_progress", '"sequence_number":1,"response":{"id":"resp_1","status":"in_progress","error":null,"output":[]}')
    + event("response.output_item.added", '"sequence_number":2,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}')
    + event("response.reasoning_summary_part.added", '"sequence_number":3,"item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}')
    + event("response.reasoning_summary_text.delta", '"sequence_number":4,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"Look."')
    + event("response.reasoning_summary_part.added", '"sequence_number":5,"item_id":"rs_1","output_index":0,"summary_index":1,"part":{"type":"summary_text","text":""}')
    + event("response.reasoning_summary_text.delta", '"sequence_number":6,"item_id":"rs_1","output_index":0,"summary_index":1,"delta":"Answer."')
    + event("response.output_item.done", f'"sequence_number":7,"output_index":0,"item":{REASONING}')
    + event("response.output_item.added", '"sequence_number":8,"output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}')
    + event("response.content_part.added", '"sequence_number":9,"item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}')
    + event("response.output_text.delta", '"sequence_number":10,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"H","logprobs":[],"obfuscation":"Zk"')
    + event("response.output_text.delta", '"sequence_number":11,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"i","logprobs":[]')
    + event("response.output_text.done", '"sequence_number":12,"item_id":"msg_1","output_index":1,"content_index":0,"text":"Hi","logprobs":[]')
    + event("response.output_item.added", '"sequence_number":13,"output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"call_1","name":"get_weather","arguments":""}')
    + event("response.function_call_arguments.delta", '"sequence_number":14,"item_id":"fc_1","output_index":2,"delta":"{\\"city\\":"')
    + event("response.function_call_arguments.delta", '"sequence_number":15,"item_id":"fc_1","output_index":2,"delta":"\\"Oslo\\"}"')
    + event("response.function_call_arguments.done", '"sequence_number":16,"item_id":"fc_1","output_index":2,"arguments":"{\\"city\\":\\"Oslo\\"}"')
    + event("response.completed", f'"sequence_number":17,"response":{response(REASONING, SAID, CALLED)}')
)  # fmt: skip


def events(text: str) -> list[tuple[str, bytes]]:
    parts = [part.partition("\ndata: ") for part in text.split("\n\n") if part]
    return [(name.removeprefix("event: "), data.encode()) for name, _, data in parts]


def streamed(text: str, request: Request | None = None) -> tuple[DecodedResponse, list[Signal]]:
    decoder = provider.make_decoder(HOSTED, request or Request(messages=HI))
    signals = [decoder.feed_event(name, data) for name, data in events(text)]
    return decoder.finish({}), signals


def test_a_stream_means_what_the_whole_answer_does(gpt: Any) -> None:
    decoded, signals = streamed(STREAM)
    assert decoded == gpt.whole(response(REASONING, SAID, CALLED))
    assert decoded.message.tool_calls[0].arguments == '{"city":"Oslo"}'
    nothing, reasoning, answer = Signal
    assert signals == [
        *[nothing] * 4, reasoning, reasoning, reasoning, nothing, nothing, nothing, answer, answer, nothing,
        answer, answer, answer, nothing, nothing,
    ]  # fmt: skip


def test_events_without_names_are_told_by_their_type() -> None:
    decoder = provider.make_decoder(HOSTED, Request(messages=HI))
    for _, data in events(STREAM):
        decoder.feed_event("", data)
    assert (decoder.complete, decoder.finish({})) == (True, streamed(STREAM)[0])


def test_a_stream_that_stops_before_its_last_event_is_truncated() -> None:
    decoded, _ = streamed(STREAM[: STREAM.index("event: response.completed")])
    assert (decoded.error.kind, decoded.error.retryable) == ("truncated", True)  # type: ignore[union-attr]
    assert decoded.message is not None
    assert (decoded.message.text, decoded.usage) == ("Hi", None)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (event("error", '"code":"rate_limit_exceeded","message":"Slow down.","param":null,"sequence_number":2'), "rate_limited"),
        (event("response.failed", f'"response":{response(status="failed", error=chr(123) + chr(34) + "code" + chr(34) + ":" + chr(34) + "server_error" + chr(34) + chr(125))}'), "server_error"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False])
def test_errors_in_a_stream(ending: str, kind: str, named: bool) -> None:
    decoder = provider.make_decoder(HOSTED, Request(messages=HI))
    for name, data in events(OPENING + ending):
        decoder.feed_event(name if named else "", data)
    decoded = decoder.finish({})
    assert decoded.error is not None
    assert decoded.error.kind == kind


def test_an_incomplete_stream_and_its_usage() -> None:
    ending = event(
        "response.incomplete",
        f'"response":{response(SAID, status="incomplete", details=json.dumps({"reason": "max_output_tokens"}))}',
    )
    decoded, _ = streamed(OPENING + ending)
    assert (decoded.finish_reason, decoded.error) == ("length", None)
    assert decoded.usage is not None
    assert decoded.message is not None
    assert (decoded.usage.reasoning, decoded.message.text) == (6, "Hi")


def test_log_probabilities_of_a_stream() -> None:
    delta = event(
        "response.output_text.delta",
        '"output_index":0,"delta":"Hi","logprobs":[{"token":"Hi","logprob":-0.5,"top_logprobs":[{"token":"Ho","logprob":-1.5},{"token":null}]}]',
    )
    decoded, _ = streamed(
        OPENING + delta + event("response.completed", f'"response":{response(SAID)}'),
        Request(HI, {"logprobs": 2}),
    )
    assert (decoded.logprobs, decoded.flags) == ((TokenLogprob("Hi", -0.5, (("Ho", -1.5),)),), ())


# ── Over a socket ─────────────────────────────────────────────────────────────────────────────────


def simulated(simulator: Simulated) -> Target:
    return Target("sim", "openai-responses", "gpt-4.1", simulator.openai, simulator.openai)


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_the_simulator(simulator: Simulated, stream: bool) -> None:
    request = Request(
        (Message("system", "Be brief."), Message("user", "What is 6 * 7?")),
        {"temperature": 0, "logprobs": 2},
        stream,
    )
    answer = exchange(simulated(simulator), request)
    assert (answer.error, answer.finish_reason, answer.flags) == (None, "stop", ())
    assert "42" in answer.text
    assert "".join(each.token for each in answer.logprobs) == answer.text
    (entry,) = simulator.requests()
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (
        entry["prompt_tokens"],
        entry["completion_tokens"],
    )
    assert entry["path"] == "/v1/responses"
    assert sent(simulator) == body(request, simulated(simulator))


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_loop_with_thoughts(simulator: Simulated, stream: bool) -> None:
    asked = (Message("user", "What is the weather in Oslo?"),)
    thinking = {"reasoning_effort": "low", "max_tokens": 400}
    first = exchange(
        simulated(simulator),
        Request(asked, thinking, stream, tools=(WEATHER,), tool_choice="required"),
    )
    assert (first.error, first.finish_reason) == (None, "tool_calls")
    assert first.usage is not None and first.usage.reasoning > 0
    assert first.message is not None
    (call,) = first.message.tool_calls
    assert (call.name, json.loads(call.arguments).keys()) == ("get_weather", {"city"})
    turns = (*asked, first.message, Message("tool", '{"celsius": 4}', tool_call_id=call.id))
    second = exchange(simulated(simulator), Request(turns, thinking, stream, tools=(WEATHER,)))
    assert (second.error, second.finish_reason) == (None, "stop")
    assert [item["type"] for item in sent(simulator)["input"][1:]] == [
        "reasoning",
        "function_call",
        "function_call_output",
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_goes_on_after_thoughts_that_were_cut(
    simulator: Simulated, stream: bool
) -> None:
    asked = (Message("user", "What is the weather in Oslo?" * 3),)
    thinking = {"reasoning_effort": "low", "max_tokens": 16}
    cut = exchange(simulated(simulator), Request(asked, thinking, stream))
    assert (cut.error, cut.finish_reason, cut.text) == (None, "length", "")
    assert cut.message is not None
    assert (
        exchange(
            simulated(simulator), Request((*asked, cut.message, *asked), thinking, stream)
        ).error
        is None
    )


def test_a_schema_is_followed(simulator: Simulated) -> None:
    form = ResponseFormat(
        "json_schema", {"type": "object", "properties": {"total": {"type": "number"}}}
    )
    answer = exchange(
        simulated(simulator),
        Request(
            (Message("user", "The total was $12.50."),), {"temperature": 0}, response_format=form
        ),
    )
    assert json.loads(answer.text) == {"total": 12.5}


@pytest.mark.parametrize("provider_name", ["openai", "openai-responses"])
def test_an_image_is_seen(simulator: Simulated, provider_name: str) -> None:
    shown = (
        Text("What colour is the background? Answer with one word."),
        as_image(picture(colour="blue")),
    )
    target = replace(simulated(simulator), provider=provider_name)
    answer = exchange(target, Request((Message("user", shown),), {"temperature": 0}))
    assert (answer.error, "blue" in answer.text) == (None, True)


def test_an_error_in_the_middle_of_a_stream(simulator: Simulated) -> None:
    simulator.faults({"kind": "error_event", "after": 4, "status": 503})
    answer = exchange(simulated(simulator), Request(HI, {"temperature": 0}))
    assert answer.error is not None
    assert (answer.error.boundary, answer.error.retryable) == ("provider", True)


def test_a_token_limit_ends_in_length(simulator: Simulated) -> None:
    answer = exchange(
        simulated(simulator),
        Request((Message("user", "Tell me a long story."),), {"max_tokens": 16}),
    )
    assert answer.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.output == 16


def test_what_the_api_does_not_know_is_refused_by_it(simulator: Simulated) -> None:
    answer = exchange(simulated(simulator), Request(HI, {"seed": 1}))
    assert answer.error is not None
    assert (answer.error.kind, answer.error.status, answer.error.code) == (
        "bad_request",
        400,
        "unknown_parameter",
    )
