"""Whole runs against the simulator, in the formats of OpenAI and its kin: what was sent, and what
the records say."""

from __future__ import annotations

import json

import pytest

from harness.errors import ExitCode
from tests.support import Command, Simulated

SUITE = """
suite: kin
prompts:
  - user: What is 6 * 7? Answer with the number only.
cases: [{{id: one, expected: "42"}}]
graders: [equals: "{{{{ expected }}}}"]
targets: [{target}]
sampling: {sampling}
run: {{stream: {stream}}}
"""


SIMULATED = "{{name: {api}, provider: simulator, model: 17b, simulator: {{api: {api}, ttft: 0, inter_token: 0}}{more}}}"
SAMPLING = {
    "openai": "temperature: 0, seed: 3, logprobs: 2",
    "openai-responses": "temperature: 0, max_tokens: 64, logprobs: 2",
    "mistral": "temperature: 0, seed: 3, logprobs: 2",
    "vllm": "temperature: 0, seed: 3, logprobs: 2, top_k: 5, min_p: 0.1, repetition_penalty: 1.1",
}
streamed_or_whole = pytest.mark.parametrize("stream", ["true", "false"], ids=["streamed", "whole"])


@streamed_or_whole
def test_each_format_from_suite_to_record(cli: Command, stream: str) -> None:
    targets = ", ".join(
        SIMULATED.format(api=api, more=f", sampling: {{{sampling}}}")
        for api, sampling in SAMPLING.items()
    )
    path = cli.folder / "suite.yaml"
    path.write_text(SUITE.format(target=targets, sampling="{}", stream=stream))
    records = cli.record(path)
    assert {record.target for record in records} == SAMPLING.keys()
    for record in records:
        response = record.response
        assert (record.passed, record.error) == (True, None), record.target
        assert response is not None and response.usage is not None
        assert (response.text, response.finish_reason) == ("42", "stop"), record.target
        assert [each.token for each in response.logprobs] == ["42"], record.target
        assert response.usage.source == "reported"


def test_a_vendor_at_its_own_address_is_sent_its_own_words(
    cli: Command, simulator: Simulated
) -> None:
    target = f"{{name: t, provider: mistral, model: mistral-large-4, base_url: '{simulator.base_url}/mistral/v1'}}"
    path = cli.folder / "suite.yaml"
    sampling = "{temperature: 0, seed: 3, max_tokens: 20}"
    path.write_text(SUITE.format(target=target, sampling=sampling, stream="true"))
    (record,) = cli.record(path)
    assert simulator.bodies()[-1] == {
        "model": "mistral-large-4",
        "messages": [{"role": "user", "content": "What is 6 * 7? Answer with the number only."}],
        "max_tokens": 20,
        "random_seed": 3,
        "temperature": 0,
        "stream": True,
    }
    assert record.passed is True


@pytest.mark.parametrize(
    ("target", "sampling", "words"),
    [
        ("{name: t, provider: groq, model: m}", "{top_k: 5}", "m on groq does not support top_k"),
        ("{name: t, provider: mistral, model: m}", "{temperature: 1.8}", "temperature must be a number from 0 to 1.5"),
        ("{name: t, provider: openai-responses, model: gpt-4.1}", "{max_tokens: 5}", "a whole number of at least 16"),
        ("{name: t, provider: azure, model: m, api_version: soon}", "{}", "soon"),
        ("{name: t, provider: groc, model: m}", "{}", "did you mean `groq`"),
    ],
)  # fmt: skip
def test_what_a_vendor_cannot_take_is_found_before_the_run(
    cli: Command, target: str, sampling: str, words: str
) -> None:
    path = cli.folder / "suite.yaml"
    path.write_text(SUITE.format(target=target, sampling=sampling, stream="true"))
    cli.environment.update(
        GROQ_API_KEY="x" * 9,
        MISTRAL_API_KEY="x" * 9,
        OPENAI_API_KEY="x" * 9,
        AZURE_OPENAI_API_KEY="x" * 9,
    )
    cli.environment["AZURE_OPENAI_ENDPOINT"] = "http://127.0.0.1:9"
    ended = cli("run", path)
    assert ended.code == ExitCode.USAGE
    assert words in " ".join(ended.err.split())


def test_a_schema_for_who_follows_none_is_found_before_the_run(cli: Command) -> None:
    path = cli.folder / "suite.yaml"
    form = "response_format: {type: json_schema, schema: {type: object, properties: {a: {type: string}}}}\n"
    path.write_text(
        SUITE.format(target="{name: t, provider: deepseek, model: m}", sampling="{}", stream="true")
        + form
    )
    cli.environment["DEEPSEEK_API_KEY"] = "x" * 9
    ended = cli("run", path)
    assert ended.code == ExitCode.USAGE
    said = " ".join(ended.err.split())
    assert "suite.yaml:10" in said
    assert "m on deepseek does not support JSON Schema; use `type: json_object`" in said


SCHEMA = """
suite: schema
prompts: [user: "The total was $12.50."]
cases: [{id: one}]
graders: [{json_schema: {type: object, required: [total], properties: {total: {const: 12.5}}}}]
response_format: {type: json_schema, schema: {type: object, properties: {total: {type: number}}, required: [total]}}
targets: [{name: t, provider: simulator, model: 70b, simulator: {api: llamacpp, ttft: 0, inter_token: 0}}]
sampling: {temperature: 0}
"""


def test_llama_server_is_sent_a_schema_where_it_reads_one(cli: Command) -> None:
    path = cli.folder / "suite.yaml"
    path.write_text(SCHEMA)
    (record,) = cli.record(path)
    assert record.passed is True


TOOLS = """
suite: tools
prompts: [user: "What is the current weather in the city Oslo? Use the tool."]
cases: [{{id: oslo, expected: "17"}}]
graders: [contains: "{{{{ expected }}}}"]
tools:
  - name: get_weather
    description: Current weather in a city
    parameters:
      {{type: object, properties: {{city: {{type: string, description: City}}}}, required: [city], additionalProperties: false}}
    returns: {{temperature: 17, unit: C}}
targets: [{targets}]
sampling: {{max_tokens: 200, reasoning_effort: low}}
run: {{stream: {stream}}}
"""


@streamed_or_whole
def test_a_loop_of_tools_with_thoughts_in_each_format(cli: Command, stream: str) -> None:
    targets = ", ".join(SIMULATED.format(api=api, more="") for api in SAMPLING).replace(
        "17b", "70b"
    )
    path = cli.folder / "suite.yaml"
    path.write_text(TOOLS.format(targets=targets, stream=stream))
    records = cli.record(path)
    assert {record.target for record in records} == SAMPLING.keys()
    for record in records:
        called, answered = [exchange.response for exchange in record.exchanges]
        assert called.message is not None
        (call,) = called.message.tool_calls
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
        assert [called.finish_reason, answered.finish_reason, record.passed] == [
            "tool_calls",
            "stop",
            True,
        ], record.target
