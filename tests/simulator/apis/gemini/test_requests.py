"""The simulated Gemini API."""

# Requests stand here on one line.

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import httpx
import pytest

from harness.simulator import Config, SimulatorProcess, start
from harness.simulator.apis.gemini.requests import Request
from harness.simulator.apis.gemini.responses import RENDERERS
from harness.simulator.model.types import Call, Completion, Prompt, Reply, Sampling

WHOLE = "/v1beta/models/gemini-3.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-3.5-flash:streamGenerateContent"
EVENTS = STREAM + "?alt=sse"
QUESTION = {"role": "user", "parts": [{"text": "What is 6 * 7? Answer with the number only."}]}
WEATHER = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "parametersJsonSchema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
TOOLS = [{"functionDeclarations": [WEATHER]}]
OSLO = {"role": "user", "parts": [{"text": "What is the current weather in the city Oslo?"}]}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()


def ask(
    client: httpx.Client, path: str = WHOLE, config: Any = None, **change: Any
) -> httpx.Response:
    return client.post(
        path,
        json={
            "contents": [QUESTION],
            "generationConfig": {"temperature": 0, **(config or {})},
            **change,
        },
    )


def chunks(response: httpx.Response) -> list[Any]:
    *events, nothing = response.text.split("\r\n\r\n")
    assert nothing == ""
    return [json.loads(event.removeprefix("data: ")) for event in events]


def parts(body: Any) -> Any:
    return body["candidates"][0]["content"]["parts"]


def entry(client: httpx.Client) -> Any:
    return client.get("/ledger").json()["entries"][-1]


# ── Answers ───────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_answer(client: httpx.Client) -> None:
    body = ask(client).json()
    seen = entry(client)
    assert body["candidates"] == [
        {
            "content": {"parts": [{"text": "42"}], "role": "model"},
            "index": 0,
            "finishReason": "STOP",
        }
    ]
    assert body["usageMetadata"] == {
        "promptTokenCount": seen["prompt_tokens"],
        "candidatesTokenCount": seen["completion_tokens"],
        "totalTokenCount": seen["prompt_tokens"] + seen["completion_tokens"],
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": seen["prompt_tokens"]}],
    }
    assert body["modelVersion"] == "gemini-3.5-flash"
    assert body["responseId"]


STORY = {"contents": [{"parts": [{"text": "Tell me a story in 30 words."}]}]}


def test_a_stream_is_the_answer_in_chunks_of_several_tokens_each_with_a_usage(
    client: httpx.Client,
) -> None:
    whole = ask(client, config={"seed": 1}, **STORY).json()
    *some, last = streamed = chunks(ask(client, EVENTS, {"seed": 1}, **STORY))
    assert "".join(parts(chunk)[0]["text"] for chunk in streamed) == parts(whole)[0]["text"]
    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in some]
    assert counts == sorted(set(counts))
    assert any(later - earlier > 1 for earlier, later in pairwise(counts))
    assert last["usageMetadata"] == whole["usageMetadata"]
    assert [chunk["candidates"][0].get("finishReason") for chunk in streamed] == [None] * len(
        some
    ) + ["STOP"]
    assert (entry(client)["path"], entry(client)["query"]) == tuple(EVENTS.split("?"))


def test_without_alt_sse_the_same_chunks_are_one_array(client: httpx.Client) -> None:
    response = ask(client, STREAM, {"seed": 1}, **STORY)
    assert response.headers["content-type"] == "application/json"
    events = chunks(ask(client, EVENTS, {"seed": 1}, **STORY))
    assert [parts(chunk) for chunk in response.json()] == [parts(chunk) for chunk in events]


def test_thoughts_are_counted_apart_and_shown_where_asked_for(client: httpx.Client) -> None:
    shown = ask(
        client, config={"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}
    ).json()
    hidden = ask(client, config={"thinkingConfig": {"thinkingBudget": 1024}}).json()
    thought, said = parts(shown)
    assert thought["thought"] is True
    assert (said["text"], bool(said["thoughtSignature"])) == ("42", True)
    assert parts(hidden) == [said]
    usage = shown["usageMetadata"]
    assert (
        usage["totalTokenCount"]
        == usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]
    )
    assert usage["thoughtsTokenCount"] > 0
    assert hidden["usageMetadata"] == usage
    assert (
        "thoughtsTokenCount"
        not in ask(client, config={"thinkingConfig": {"thinkingBudget": 0}}).json()["usageMetadata"]
    )


def test_the_limit_cuts_and_a_stop_sequence_ends(client: httpx.Client) -> None:
    assert (
        ask(client, config={"maxOutputTokens": 3}, **STORY).json()["candidates"][0]["finishReason"]
        == "MAX_TOKENS"
    )
    stopped = ask(client, config={"stopSequences": ["2"]}).json()
    assert (parts(stopped)[0]["text"], stopped["candidates"][0]["finishReason"]) == ("4", "STOP")


def test_several_candidates(client: httpx.Client) -> None:
    config = {"candidateCount": 2, "temperature": 2, "seed": 3}
    whole = ask(client, config=config, **STORY).json()["candidates"]
    assert [candidate["index"] for candidate in whole] == [0, 1]
    streamed = chunks(ask(client, EVENTS, config, **STORY))
    for candidate in whole:
        pieces = [
            chunk["candidates"][0]
            for chunk in streamed
            if chunk["candidates"][0]["index"] == candidate["index"]
        ]
        assert (
            "".join(piece["content"]["parts"][0]["text"] for piece in pieces)
            == candidate["content"]["parts"][0]["text"]
        )


def test_a_schema_in_either_of_its_kinds(client: httpx.Client) -> None:
    asked = {"contents": [{"parts": [{"text": "Mail ada@example.org about it."}]}]}
    schema = {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]}
    own = {"type": "OBJECT", "properties": {"email": {"type": "STRING"}}, "required": ["email"]}
    for kind in ({"responseJsonSchema": schema}, {"responseSchema": own}, {"response_schema": own}):
        body = ask(client, config={"responseMimeType": "application/json", **kind}, **asked).json()
        assert json.loads(parts(body)[0]["text"]) == {"email": "ada@example.org"}


def test_log_probabilities_in_a_whole_answer_and_over_the_chunks(client: httpx.Client) -> None:
    config = {"responseLogprobs": True, "logprobs": 2}
    scored = ask(client, config=config).json()["candidates"][0]
    chosen = scored["logprobsResult"]["chosenCandidates"]
    assert "".join(each["token"] for each in chosen) == "42"
    assert all(len(place["candidates"]) <= 2 for place in scored["logprobsResult"]["topCandidates"])
    assert scored["avgLogprobs"] <= 0
    pieces = [
        chunk["candidates"][0].get("logprobsResult", {})
        for chunk in chunks(ask(client, EVENTS, config))
    ]
    assert [each for piece in pieces for each in piece.get("chosenCandidates", [])] == chosen


def test_an_image_counts(client: httpx.Client) -> None:
    plain = ask(client, contents=[{"parts": [{"text": "Hi"}]}]).json()["usageMetadata"][
        "promptTokenCount"
    ]
    image = {"inlineData": {"mimeType": "image/png", "data": PIXEL}}
    assert (
        ask(client, contents=[{"parts": [{"text": "Hi"}, image]}]).json()["usageMetadata"][
            "promptTokenCount"
        ]
        > plain + 100
    )


# ── Functions ─────────────────────────────────────────────────────────────────────────────────────


def called(client: httpx.Client, path: str = WHOLE, **config: Any) -> Any:
    response = ask(client, path, config, contents=[OSLO], tools=TOOLS)
    return response.json() if path == WHOLE else chunks(response)


THINKING = {"thinkingConfig": {"thinkingLevel": "LOW"}}


def test_a_call_is_an_object_and_ends_with_stop(client: httpx.Client) -> None:
    body = called(client)
    (part,) = parts(body)
    assert (part["functionCall"]["name"], part["functionCall"]["args"]) == (
        "get_weather",
        {"city": "Oslo"},
    )
    assert "thoughtSignature" not in part
    assert body["candidates"][0]["finishReason"] == "STOP"
    streamed = [part for chunk in called(client, EVENTS) for part in parts(chunk)]
    assert [part["functionCall"]["args"] for part in streamed if "functionCall" in part] == [
        {"city": "Oslo"}
    ]


def answered(
    client: httpx.Client, part: Any, config: Any = None, response: Any = None
) -> httpx.Response:
    """What comes of the result of the call in `part`."""
    result = {
        "functionResponse": {
            "name": "get_weather",
            "response": response or {"output": {"temperature": 17}},
        }
    }
    contents = [OSLO, {"role": "model", "parts": [part]}, {"role": "user", "parts": [result]}]
    return ask(client, config=config, contents=contents, tools=TOOLS)


def test_the_result_of_a_call_is_used(client: httpx.Client) -> None:
    (part,) = parts(called(client))
    assert "17" in parts(answered(client, part).json())[0]["text"]


def test_while_thinking_a_call_needs_its_own_signature(client: httpx.Client) -> None:
    (part,) = parts(called(client, **THINKING))
    assert "17" in parts(answered(client, part, THINKING).json())[0]["text"]
    bare = {"functionCall": part["functionCall"]}
    refused = answered(client, bare, THINKING)
    assert refused.status_code == 400
    assert "missing a thought_signature in functionCall parts" in refused.json()["error"]["message"]
    forged = {
        "functionCall": {"name": "get_weather", "args": {"city": "Bergen"}},
        "thoughtSignature": part["thoughtSignature"],
    }
    assert (
        answered(client, forged, THINKING).json()["error"]["message"]
        == "Thought signature is not valid."
    )
    assert answered(client, bare).status_code == 200


def test_the_modes_of_calling(client: httpx.Client) -> None:
    def mode(**calling: Any) -> Any:
        body = ask(
            client, tools=TOOLS, contents=[OSLO], toolConfig={"functionCallingConfig": calling}
        ).json()
        return ["functionCall" in part for part in parts(body)]

    assert (
        mode(mode="ANY")
        == mode(mode="ANY", allowedFunctionNames=["get_weather"])
        == mode(mode="AUTO")
        == [True]
    )
    assert mode(mode="NONE") == [False]


def reply(*answers: Completion) -> Reply:
    return Reply("12345678-1234-4234-8234-123456789abc", 0, 10, answers)


REQUEST = Request(Prompt("m", (), Sampling(0.0), reasoning=True), 1, "whole", thoughts=True)


def test_of_parallel_calls_the_first_is_signed_and_one_that_was_cut_does_not_come() -> None:
    calls = (Call("a", ('{"x":', "1}")), Call("b", ("{", "}")), Call("c", ('{"y"',)))
    answer = reply(Completion((), "length", thoughts=("Hm",), calls=calls))
    (candidate,) = json.loads(RENDERERS["whole"](REQUEST, answer).content)["candidates"]
    thought, first, second = candidate["content"]["parts"]
    assert thought == {"text": "Hm", "thought": True}
    assert (first["functionCall"]["args"], second["functionCall"]["args"]) == ({"x": 1}, {})
    assert "thoughtSignature" in first
    assert "thoughtSignature" not in second
    assert candidate["finishReason"] == "MAX_TOKENS"


def test_chunks_leave_with_their_last_token() -> None:
    answer = reply(
        Completion(tuple("abcdefghi"), "stop"),
        Completion((), "tool_calls", calls=(Call("f", ("{", "}")),)),
    )
    frames = RENDERERS["events"](REQUEST._replace(form="events"), answer).frames or ()
    assert [frame.step for frame in frames] == [3, 4, 8, 9, 9, 9]


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"foo": 1}, 'Invalid JSON payload received. Unknown name "foo": Cannot find field.'),
        ({"generationConfig": {"top_q": 1}}, "Unknown name \"top_q\" at 'generation_config': Cannot find field."),
        ({"contents": [{"parts": [{"txt": "Hi"}]}]}, "Unknown name \"txt\" at 'contents[0].parts[0]': Cannot find field."),
        ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
        ({"contents": [{"parts": []}]}, "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n"),
        ({"contents": [{"parts": [{}]}]}, "required oneof field 'data' must have one initialized field"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "Hi"}]}]}, "Please use a valid role: user, model."),
        ({"contents": {"parts": []}}, "Invalid value at 'contents'"),
        ({"generationConfig": {"temperature": 2.1}}, "generation_config.temperature: temperature must be in the range [0, 2]."),
        ({"generationConfig": {"temperature": "hot"}}, "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\""),
        ({"generationConfig": {"topP": 1.5}}, "generation_config.top_p: top_p must be in the range [0, 1]."),
        ({"generationConfig": {"topK": 0}}, "generation_config.top_k: top_k must be positive."),
        ({"generationConfig": {"candidateCount": 9}}, "candidate_count must be in the range [1, 8]."),
        ({"generationConfig": {"maxOutputTokens": 0}}, "max_output_tokens must be positive."),
        ({"generationConfig": {"seed": 2**31}}, "generation_config.seed"),
        ({"generationConfig": {"seed": 0.5}}, "(TYPE_INT32), 0.5"),
        ({"generationConfig": {"presencePenalty": 2}}, "presence_penalty must be in the range [-2, 2)."),
        ({"generationConfig": {"stopSequences": ["a"] * 6}}, "stop_sequences"),
        ({"generationConfig": {"logprobs": 2}}, "only allowed when response_logprobs is true."),
        ({"generationConfig": {"responseMimeType": "text/csv"}}, "allowed mimetypes are text/plain, application/json."),
        ({"generationConfig": {"responseJsonSchema": {}}}, "only allowed when response_mime_type is `application/json`."),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "HUGE"}}}, "thinking_level"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}}, "only set one of"),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": True}}}, "when thinking is enabled."),
        ({"tools": [{"functionDeclarations": [WEATHER, WEATHER]}]}, "Duplicate function declaration found: get_weather"),
        ({"tools": [{"functionDeclarations": [{"description": "nameless"}]}]}, "Invalid function name."),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}}, "function_calling_config.mode"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}}, "f is not a function declared"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/gif", "data": PIXEL}}]}]}, "Unsupported MIME type: image/gif"),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "???"}}]}]}, "Base64 decoding failed"),
        ({"contents": [OSLO, {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}, OSLO]}, "the number of function response parts"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]}, "immediately after a function call turn"),
        ({"contents": [{"parts": [{"text": "word " * 1_100_000}]}]}, "exceeds the maximum number of tokens allowed (1048576)."),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_refused_in_googles_words(
    client: httpx.Client, change: Any, message: str
) -> None:
    response = client.post(WHOLE, json={"contents": [QUESTION], **change})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in error["message"]
    assert entry(client)["outcome"] == "refused"


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b""])
def test_what_is_no_object_is_refused(client: httpx.Client, content: bytes) -> None:
    assert client.post(WHOLE, content=content).json()["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/gemini-3.5-flash:countTokens",
        "/v1beta/models",
        "/v1beta/models/:generateContent",
    ],
)
def test_a_path_that_is_not_served(client: httpx.Client, path: str) -> None:
    response = client.post(path, json={})
    assert (response.status_code, response.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_both_versions_of_the_api_are_served(client: httpx.Client) -> None:
    assert (
        ask(client, WHOLE.replace("v1beta", "v1")).json()["candidates"]
        == ask(client).json()["candidates"]
    )


def test_a_wrong_key_is_a_400_with_a_reason() -> None:
    locked = Config(ttft_s=0, inter_token_s=0, api_key="right-one")
    with (
        start(locked) as running,
        httpx.Client(base_url=running.base_url, trust_env=False) as client,
    ):
        client.headers["x-goog-api-key"] = "wrong-one"
        response = ask(client)
        assert response.status_code == 400
        (detail,) = response.json()["error"]["details"]
        assert detail["reason"] == "API_KEY_INVALID"
        client.headers["x-goog-api-key"] = "right-one"
        assert ask(client).status_code == 200


# ── Faults ────────────────────────────────────────────────────────────────────────────────────────


def test_a_429_says_how_long_to_wait_and_which_quota_it_was(client: httpx.Client) -> None:
    client.put("/faults", json=[{"kind": "status", "status": 429}])
    quota, wait = ask(client).json()["error"]["details"]
    assert quota["violations"][0]["quotaId"] == "GenerateRequestsPerMinutePerProjectPerModel"
    assert wait == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}
    client.put(
        "/faults",
        json=[
            {
                "kind": "status",
                "status": 429,
                "code": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            }
        ],
    )
    assert "PerDay" in ask(client).json()["error"]["details"][0]["violations"][0]["quotaId"]


def test_an_error_in_the_middle_of_a_stream_is_bare_json_over_several_lines(
    client: httpx.Client,
) -> None:
    client.put("/faults", json=[{"kind": "error_event", "status": 503, "after": 1}])
    response = ask(client, EVENTS, **STORY)
    assert response.status_code == 200
    event, rest = response.text.split("\r\n\r\n")
    assert event.startswith("data: ")
    assert rest.startswith('{\n  "error": {\n')
    assert json.loads(rest)["error"]["status"] == "UNAVAILABLE"


def test_other_faults_happen_to_this_format_too(client: httpx.Client) -> None:
    client.put("/faults", json=[{"kind": "empty"}])
    assert ask(client).json() == {}
    assert ask(client, EVENTS).text == ""
    client.put("/faults", json=[{"kind": "cut", "after": 2}])
    assert len(chunks(ask(client, EVENTS, **STORY))) == 2


def test_it_is_entered_in_the_ledger_without_the_key(
    client: httpx.Client, simulator: SimulatorProcess
) -> None:
    client.post(WHOLE, json={"contents": [QUESTION]}, headers={"x-goog-api-key": "a-secret-value"})
    assert entry(client)["model"] == "gemini-3.5-flash"
    assert "a-secret-value" not in client.get("/ledger").text
