"""The simulated Messages API, in both of its versions."""

# A request and what it is told stand on one line.

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import httpx
import pytest

from harness.simulator.apis.anthropic import responses
from harness.simulator.apis.anthropic.requests import model_generation, parse_request
from harness.simulator.model.types import Call, Completion, Reply

OLDER, NEWER = "2023-06-01", "2026-10-21"
PIXEL = b64encode(b"\x89PNG\r\n\x1a\n and more").decode()
TOOL = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
WEATHER = [{"role": "user", "content": "What is the current weather in the city Oslo?"}]


def body(**change: Any) -> dict[str, Any]:
    asked = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "What is 6 * 7?"}],
    }
    return {name: value for name, value in {**asked, **change}.items() if value is not None}


def ask(client: httpx.Client, version: str | None = OLDER, **change: Any) -> httpx.Response:
    headers = {} if version is None else {"anthropic-version": version}
    return client.post("/v1/messages", json=body(**change), headers=headers)


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    parts = [event.partition("\ndata: ") for event in response.text.split("\n\n") if event]
    return [(name.removeprefix("event: "), json.loads(data)) for name, _, data in parts]


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_a_message_of_blocks(client: httpx.Client) -> None:
    response = ask(client, temperature=0)
    message = response.json()
    assert {name: message[name] for name in ("type", "role", "model", "stop_reason", "stop_sequence")} == {
        "type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "stop_reason": "end_turn", "stop_sequence": None,
    }  # fmt: skip
    assert message["content"] == [{"type": "text", "text": "The answer is 42."}]
    assert (message["usage"]["output_tokens"], message["usage"]["cache_read_input_tokens"]) == (
        6,
        0,
    )
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert response.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


def test_a_stream_opens_and_closes_each_block_and_pings(client: httpx.Client) -> None:
    told = events(ask(client, temperature=0, stream=True))
    names = [name for name, _ in told]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert all(name == data["type"] for name, data in told)
    assert (
        "".join(data["delta"]["text"] for name, data in told if name == "content_block_delta")
        == "The answer is 42."
    )
    assert told[0][1]["message"]["usage"]["output_tokens"] == 1
    assert told[-2][1] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": ask(client, temperature=0).json()["usage"],
    }


def test_stop_reasons(client: httpx.Client) -> None:
    cut = ask(client, temperature=0, max_tokens=2).json()
    assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", 2)
    stopped = ask(client, temperature=0, stop_sequences=["zebra", " is"]).json()
    assert (stopped["stop_reason"], stopped["stop_sequence"], stopped["content"][0]["text"]) == (
        "stop_sequence", " is", "The answer",
    )  # fmt: skip
    assert ask(client, max_tokens=0).json()["content"] == []


def test_calls_come_whole_or_in_pieces(client: httpx.Client) -> None:
    whole = ask(client, messages=WEATHER, tools=[TOOL], temperature=0).json()
    (call,) = whole["content"]
    assert (whole["stop_reason"], call["name"], call["input"]) == (
        "tool_use",
        "get_weather",
        {"city": "Oslo"},
    )
    told = events(ask(client, messages=WEATHER, tools=[TOOL], temperature=0, stream=True))
    (opening,) = [data["content_block"] for name, data in told if name == "content_block_start"]
    assert opening["input"] == {}
    pieces = [data["delta"]["partial_json"] for name, data in told if name == "content_block_delta"]
    assert pieces[0] == ""
    assert json.loads("".join(pieces)) == {"city": "Oslo"}


def test_thoughts_are_signed_and_come_before_the_text(client: httpx.Client) -> None:
    thought, text = ask(client, thinking={"type": "adaptive"}).json()["content"]
    assert (thought["type"], text["type"]) == ("thinking", "text")
    assert thought["signature"] == responses.sign_thinking(thought["thinking"])
    told = events(
        ask(
            client,
            thinking={"type": "enabled", "budget_tokens": 1024},
            max_tokens=2000,
            stream=True,
        )
    )
    deltas = [
        data["delta"]["type"]
        for name, data in told
        if name == "content_block_delta" and data["index"] == 0
    ]
    assert set(deltas[:-1]) == {"thinking_delta"}
    assert deltas[-1] == "signature_delta"
    usage = told[-2][1]["usage"]
    assert usage["output_tokens_details"]["thinking_tokens"] == len(deltas) - 1


RICH = Completion(
    pieces=("One", " two"),
    finish="tool_calls",
    thoughts=("Hm", "."),
    calls=(Call("f", ('{"a":', " 1}")), Call("g", ("{}",))),
)


def test_everything_in_one_answer_whole_and_streamed() -> None:
    reply = Reply("1-2", 0, 10, (RICH,))
    message = json.loads(responses.render_response("m", reply).content)
    assert [block["type"] for block in message["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert [block["input"] for block in message["content"][2:]] == [{"a": 1}, {}]
    frames = responses.render_stream("m", reply).frames or ()
    steps = [frame.step for frame in frames]
    assert steps == sorted(steps)
    assert steps[-1] == reply.steps
    assert (
        rebuilt([json.loads(frame.data.partition(b"data: ")[2]) for frame in frames])
        == message["content"]
    )


def rebuilt(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content a stream tells."""
    blocks: list[dict[str, Any]] = []
    partial = ""
    for data in told:
        match data["type"]:
            case "content_block_start":
                assert data["index"] == len(blocks)
                blocks.append(dict(data["content_block"]))
            case "content_block_delta":
                name = {
                    "text_delta": "text",
                    "thinking_delta": "thinking",
                    "signature_delta": "signature",
                }.get(data["delta"]["type"])
                if name:
                    blocks[-1][name] += data["delta"][name]
                else:
                    partial += data["delta"]["partial_json"]
            case "content_block_stop" if partial:
                blocks[-1]["input"], partial = json.loads(partial), ""
    return blocks


def test_a_schema_is_followed(client: httpx.Client) -> None:
    form = {
        "type": "json_schema",
        "schema": {"type": "object", "properties": {"total": {"type": "number"}}},
    }
    asked = {
        "messages": [{"role": "user", "content": "The total was $12.50."}],
        "output_config": {"format": form, "effort": "low"},
    }
    assert json.loads(ask(client, temperature=0, **asked).json()["content"][0]["text"]) == {
        "total": 12.5
    }


# ── What is read ──────────────────────────────────────────────────────────────────────────────────


def test_turns_images_tools_and_results() -> None:
    called = [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
    ]
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "is_error": True,
        "content": [{"type": "text", "text": "no"}],
    }
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
    }
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Look"}, image]},
        {"role": "assistant", "content": called},
        {"role": "user", "content": [result]},
        {"role": "user", "content": "Go on"},
    ]
    asked = body(
        messages=messages,
        system=[{"type": "text", "text": "Be brief."}],
        tools=[TOOL],
        tool_choice={"type": "any"},
    )
    prompt = parse_request(json.dumps(asked).encode(), OLDER).prompt
    assert [(turn.role, turn.text, turn.call_id) for turn in prompt.turns] == [
        ("system", "Be brief.", None), ("user", "Look", None), ("assistant", "Let me see.", None),
        ("tool", "no", "toolu_1"), ("user", "Go on", None),
    ]  # fmt: skip
    assert prompt.turns[1].images[0].startswith(b"\x89PNG")
    assert [(call.name, call.arguments, call.id) for call in prompt.turns[2].calls] == [
        ("get_weather", '{"city":"Oslo"}', "toolu_1")
    ]
    assert (prompt.functions[0].name, prompt.tool_choice, prompt.parallel) == (
        "get_weather",
        "required",
        True,
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [({"type": "none"}, ("none", True)), ({"type": "tool", "name": "get_weather"}, ("get_weather", True)),
     ({"type": "auto", "disable_parallel_tool_use": True}, ("auto", False))],
)  # fmt: skip
def test_which_tool_must_be_called(choice: dict[str, Any], expected: tuple[str, bool]) -> None:
    prompt = parse_request(
        json.dumps(body(tools=[TOOL], tool_choice=choice)).encode(), OLDER
    ).prompt
    assert (prompt.tool_choice, prompt.parallel) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("claude-sonnet-4-6", (4, 6)), ("claude-opus-5", (5, 0)), ("claude-sonnet-4-20250514", (4, 0)), ("claude-3-5-haiku-latest", (3, 5)), ("tiny", None)],
)  # fmt: skip
def test_the_generation_of_a_model(model: str, expected: tuple[int, int] | None) -> None:
    assert model_generation(model) == expected


# ── What breaks the contract ──────────────────────────────────────────────────────────────────────


def user(*blocks: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


USE = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
HI = {"role": "user", "content": "Hi"}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"model": None}, "model: Field required"),
    ({"messages": None}, "messages: Field required"),
    ({"seed": 3}, "seed: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"temperature": "hot"}, "temperature: Input should be a valid number"),
    ({"top_p": -0.1}, "top_p: Input should be greater than or equal to 0"),
    ({"top_k": 1.5}, "top_k: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"temperature": 0, "top_p": 0.5}, "`temperature` and `top_p` cannot both be specified for this model"),
    ({"model": "claude-opus-5", "temperature": 0.5}, "`temperature` may only have its default value"),
    ({"model": "claude-opus-5", "top_k": 1}, "`top_k` may only have its default value"),
    ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid list"),
    ({"stop_sequences": [" "]}, "each stop sequence must contain non-whitespace"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"system": 3}, "system: Input should be a valid string or list"),
    ({"messages": "Hi"}, "messages: Input should be a valid list"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": [3]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "system", "content": "x"}]}, 'messages: Unexpected role "system"'),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
    ({"messages": [{"role": "assistant", "content": "x"}, HI]}, 'first message must use the "user" role'),
    ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "messages.0.name: Extra inputs are not permitted"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
    ({"messages": user({"type": "text", "text": ""})}, "text content blocks must be non-empty"),
    ({"messages": user({"type": "video"})}, "messages.0.content.0: Input tag 'video'"),
    ({"messages": user({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "AAAA"}})}, "media_type"),
    ({"messages": user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}})}, "Could not process image"),
    ({"messages": user({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": PIXEL}})}, "but is another"),
    ({"messages": user({"type": "image", "source": {"type": "path"}})}, "image.source: Input tag 'path'"),
    ({"messages": [HI, {"role": "assistant", "content": [USE]}, HI]}, "messages.1: `tool_use` ids were found without"),
    ({"messages": [HI, {"role": "assistant", "content": [USE]}]}, "messages.1: `tool_use` ids were found without"),
    ({"messages": user({"type": "tool_result", "tool_use_id": "toolu_9"})}, "unexpected `tool_use_id` found in `tool_result`"),
    ({"messages": [HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "b"}]}, HI]}, "messages.1.content.0: Invalid `signature` in `thinking` block"),
    ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name: String should match"),
    ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{"name": "f", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
    ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    ({"tool_choice": {"type": "auto"}}, "may only be specified while providing tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice: Input tag 'required'"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}, "Thinking may not be enabled when tool_choice"),
    ({"thinking": {"type": "hard"}}, "thinking: Input tag 'hard'"),
    ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "budget_tokens: Input should be greater than or equal to 1024"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    ({"thinking": {"type": "adaptive"}, "temperature": 0.5}, "`temperature` may only be set to 1 when thinking"),
    ({"thinking": {"type": "adaptive"}, "top_k": 5}, "`top_k` must be unset when thinking"),
    ({"thinking": {"type": "adaptive"}, "top_p": 0.5}, "`top_p` must be greater than or equal to 0.95"),
    ({"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
    ({"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}, "does not support the effort parameter"),
    ({"output_config": {"effort": "none"}}, "output_config.effort: Input should be one of low"),
    ({"output_config": {"style": "x"}}, "output_config.style: Extra inputs are not permitted"),
    ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format: Input should be"),
    ({"model": "claude-opus-5", "messages": [HI, {"role": "assistant", "content": "So"}]}, "does not support assistant message prefill"),
    ({"model": "claude-haiku-4-5", "max_tokens": 200_000}, "exceed context limit"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_what_breaks_the_contract_is_named(
    client: httpx.Client, change: dict[str, Any], said: str
) -> None:
    response = client.post(
        "/v1/messages", json=body(**change), headers={"anthropic-version": OLDER}
    )
    told = response.json()
    assert (response.status_code, told["type"], told["error"]["type"]) == (
        400,
        "error",
        "invalid_request_error",
    )
    assert said in told["error"]["message"]
    assert told["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize("key", ["temperature", "top_p", "top_k"])
def test_the_newer_version_knows_no_sampling_whatever_the_value(
    client: httpx.Client, key: str
) -> None:
    response = ask(client, NEWER, **{key: 1})
    assert (response.status_code, response.json()["error"]["message"]) == (
        400,
        f"{key}: Extra inputs are not permitted",
    )
    assert ask(client, OLDER, **{key: 1}).status_code == 200
    assert ask(client, NEWER).status_code == 200


def test_the_newer_version_refuses_documents_from_the_assistant(client: httpx.Client) -> None:
    messages = [
        HI,
        {"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "document"}]},
        HI,
    ]
    assert ask(client, OLDER, messages=messages).status_code == 200
    assert ask(client, NEWER, messages=messages).status_code == 400


def test_the_newer_version_refuses_citations_on_what_the_user_says(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hi", "citations": None}]}]
    assert ask(client, OLDER, messages=messages).status_code == 200
    assert ask(client, NEWER, messages=messages).status_code == 400


@pytest.mark.parametrize(
    ("version", "said"), [(None, "header is required"), ("2020-01-01", "is not a valid version")]
)
def test_a_version_must_be_named(client: httpx.Client, version: str | None, said: str) -> None:
    response = ask(client, version)
    assert (response.status_code, said in response.json()["error"]["message"]) == (400, True)


def test_what_is_no_json_or_no_post(client: httpx.Client) -> None:
    headers = {"anthropic-version": OLDER}
    assert (
        "not valid JSON"
        in client.post("/v1/messages", content=b"{", headers=headers).json()["error"]["message"]
    )
    assert client.post("/v1/messages", content=b"[]", headers=headers).status_code == 400
    assert client.get("/v1/messages").json()["error"]["type"] == "invalid_request_error"


def test_a_prompt_that_is_too_long_has_an_error_of_its_own(client: httpx.Client) -> None:
    message = ask(client, model="m", messages=[{"role": "user", "content": "a " * 200_001}]).json()[
        "error"
    ]["message"]
    assert message.startswith("prompt is too long: ")


# ── Faults ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"), (403, "permission_error"),
     (404, "not_found_error"), (413, "request_too_large"), (429, "rate_limit_error"), (500, "api_error"), (503, "api_error"),
     (504, "timeout_error"), (529, "overloaded_error")],
)  # fmt: skip
def test_errors_are_worded_as_anthropic_words_them(
    client: httpx.Client, status: int, kind: str
) -> None:
    client.put("/faults", json=[{"kind": "status", "status": status}]).raise_for_status()
    response = ask(client)
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.headers["request-id"] == response.json()["request_id"]


def test_a_stream_breaks_off_with_an_event_of_its_own(client: httpx.Client) -> None:
    client.put(
        "/faults", json=[{"kind": "error_event", "status": 529, "after": 4}]
    ).raise_for_status()
    response = ask(client, stream=True)
    name, data = events(response)[-1]
    assert (response.status_code, name, data["type"], data["error"]["type"]) == (
        200,
        "error",
        "error",
        "overloaded_error",
    )
    assert len(events(response)) == 5


def test_an_empty_success(client: httpx.Client) -> None:
    client.put("/faults", json=[{"kind": "empty"}]).raise_for_status()
    assert ask(client).json()["content"] == []
