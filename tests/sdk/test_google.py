"""Google's own Python SDK against the simulator: what it reads is what the ledger says was
answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from tests.pictures import picture
from tests.sdk.asked import billed
from tests.support import Simulated

MODEL = "gemini-3.5-flash"
QUESTION = "What is 6 * 7? Answer with the number only."
OSLO = "What is the current weather in the city Oslo?"
STORY = "Tell me a story in 30 words."
THINKING = types.ThinkingConfig(thinking_level=types.ThinkingLevel.HIGH, include_thoughts=True)


def get_weather(city: str) -> dict[str, Any]:
    """Current weather in a city.

    Args:
        city: City
    """
    return {"city": city, "temperature": 17}


WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Current weather in a city",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)


@pytest.fixture(params=["v1beta", "v1"])
def sdk(simulator: Simulated, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=simulator.base_url, api_version=request.param)
    with genai.Client(api_key="any", http_options=options) as client:
        yield client


def counted(answer: types.GenerateContentResponse) -> tuple[int | None, int]:
    """The tokens of an answer; those of thought are output."""
    usage = answer.usage_metadata
    assert usage is not None
    return usage.prompt_token_count, (usage.candidates_token_count or 0) + (
        usage.thoughts_token_count or 0
    )


def config(**options: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(temperature=0, **options)


def test_an_answer_and_its_usage(sdk: genai.Client, simulator: Simulated) -> None:
    answer = sdk.models.generate_content(
        model=MODEL, contents=QUESTION, config=config(system_instruction="Be brief.")
    )
    assert answer.text == "42"
    assert answer.model_version == MODEL
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert counted(answer) == billed(simulator)


def test_a_stream(sdk: genai.Client, simulator: Simulated) -> None:
    whole = sdk.models.generate_content(model=MODEL, contents=STORY, config=config())
    chunks = list(sdk.models.generate_content_stream(model=MODEL, contents=STORY, config=config()))
    assert len(chunks) > 2
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert counted(chunks[-1]) == counted(whole) == billed(simulator)


def test_thoughts(sdk: genai.Client, simulator: Simulated) -> None:
    answer = sdk.models.generate_content(
        model=MODEL, contents=QUESTION, config=config(thinking_config=THINKING)
    )
    assert answer.parts is not None
    assert [bool(part.thought) for part in answer.parts] == [True, False]
    assert answer.text == "42"
    assert counted(answer) == billed(simulator)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_loop_that_the_sdk_drives_by_hand(
    sdk: genai.Client, simulator: Simulated, streamed: bool
) -> None:
    """A chat of the SDK's sends the model's turn back as it came, signature and all."""
    chat = sdk.chats.create(model=MODEL, config=config(tools=[WEATHER], thinking_config=THINKING))
    chunks = list(chat.send_message_stream(OSLO)) if streamed else [chat.send_message(OSLO)]
    (call,) = [call for chunk in chunks for call in chunk.function_calls or []]
    assert (call.name, call.args) == ("get_weather", {"city": "Oslo"})
    assert counted(chunks[-1]) == billed(simulator)
    assert call.name is not None
    answer = chat.send_message(
        types.Part.from_function_response(name=call.name, response={"output": {"temperature": 17}})
    )
    assert "17" in (answer.text or "")


def test_a_python_function_that_the_sdk_calls_by_itself(
    sdk: genai.Client, simulator: Simulated
) -> None:
    answer = sdk.models.generate_content(
        model=MODEL, contents=OSLO, config=config(tools=[get_weather])
    )
    assert "17" in (answer.text or "")
    assert len(simulator.requests()) == 2


def test_a_schema(sdk: genai.Client) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    for given in ({"response_json_schema": schema}, {"response_schema": schema}):
        options = config(response_mime_type="application/json", **given)
        answer = sdk.models.generate_content(
            model=MODEL, contents="The total was $12.50.", config=options
        )
        assert answer.parsed == {"total": 12.5}


def test_log_probabilities(sdk: genai.Client) -> None:
    options = config(response_logprobs=True, logprobs=2)
    answer = sdk.models.generate_content(model=MODEL, contents=QUESTION, config=options)
    assert answer.candidates is not None
    scored = answer.candidates[0].logprobs_result
    assert (
        scored is not None
        and scored.chosen_candidates is not None
        and scored.top_candidates is not None
    )
    assert "".join(each.token or "" for each in scored.chosen_candidates) == answer.text
    assert len(scored.top_candidates) == len(scored.chosen_candidates)


def test_an_image(sdk: genai.Client, simulator: Simulated) -> None:
    image = types.Part.from_bytes(data=picture("PNG"), mime_type="image/png")
    answer = sdk.models.generate_content(model=MODEL, contents=["Look", image], config=config())
    assert counted(answer) == billed(simulator)


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [(429, 429, "RESOURCE_EXHAUSTED"), (503, 503, "UNAVAILABLE"), (404, 404, "NOT_FOUND")],
)
def test_errors(
    sdk: genai.Client, simulator: Simulated, fault: int, code: int, status: str
) -> None:
    simulator.faults({"kind": "status", "status": fault})
    with pytest.raises(errors.APIError) as refused:
        sdk.models.generate_content(model=MODEL, contents=QUESTION)
    assert (refused.value.code, refused.value.status) == (code, status)


def test_an_error_in_the_middle_of_a_stream(sdk: genai.Client, simulator: Simulated) -> None:
    simulator.faults({"kind": "error_event", "status": 503, "after": 1})
    with pytest.raises(errors.ServerError) as broken:
        list(sdk.models.generate_content_stream(model=MODEL, contents=STORY, config=config()))
    assert broken.value.status == "UNAVAILABLE"


def test_a_parameter_out_of_range(sdk: genai.Client) -> None:
    with pytest.raises(errors.ClientError) as refused:
        sdk.models.generate_content(
            model=MODEL, contents=QUESTION, config=types.GenerateContentConfig(temperature=3)
        )
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
