"""Gemini models from a suite to the bytes that arrived and back to the record, on the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.runs.folder import RECORDS, read_records
from tests.pictures import picture
from tests.support import Command, Simulated

STARTED = """\
suite: sums
prompts: [{id: p, system: "Be brief.", user: "What is {{ x }}? Answer with the number only."}]
cases:
  - {id: a, vars: {x: "6 * 7"}, expected: "42"}
  - {id: b, vars: {x: "17 * 24"}, expected: "408"}
graders: [{equals: "{{ expected }}"}]
targets:
  - {name: flash, provider: simulator, model: gemini-2.5-flash, simulator: {api: gemini, ttft: 0ms, inter_token: 0ms}}
sampling: {temperature: 0, max_tokens: 200, reasoning_effort: low, logprobs: 2, stop: END, seed: 1}
run: {budget: $1}
gates: [pass_rate >= 0.5]
"""

REMOTE = """\
suite: remote
prompts: [{{id: p, user: "What is {{{{ x }}}}?"{images}}}]
cases: [{{id: a, vars: {{x: "6 * 7", seen: seen.{kind}}}}}]
targets: [{{name: flash, provider: gemini, model: {model}, base_url: "{url}"{target}}}]
sampling: {{temperature: 0, {sampling}}}
run: {{stream: {stream}}}
"""


def written(cli: Command, simulator: Simulated, **change: str) -> Path:
    usual = {
        "images": "",
        "kind": "png",
        "model": "gemini-3.5-flash",
        "target": "",
        "sampling": "seed: 1",
        "stream": "true",
    }
    path = cli.folder / "suite.yaml"
    path.write_text(REMOTE.format(**{**usual, **change}, url=simulator.base_url))
    return path


def test_a_simulator_of_its_own_answers_thinks_and_is_priced(cli: Command) -> None:
    (cli.folder / "suite.yaml").write_text(STARTED)
    ended = cli("run", "suite.yaml", "--out", "run")
    assert ended.code == ExitCode.OK, ended.err  # its gate is held
    records = list(read_records(cli.folder / "run"))
    assert [record.passed for record in records] == [True, True]
    for record in records:
        (exchange,) = record.exchanges
        response = exchange.response
        assert response.usage is not None and response.usage.reasoning > 0
        assert response.message is not None and response.message.reasoning
        assert "".join(each.token for each in response.logprobs) == response.text
        assert (response.finish_reason, response.model) == ("stop", "gemini-2.5-flash")
        tokens = response.usage
        assert record.cost == pytest.approx(
            ((tokens.input or 0) * 0.3 + (tokens.output_tokens or 0) * 2.5) / 1e6
        )


@pytest.mark.parametrize("stream", ["true", "false"])
def test_what_arrives_is_the_documented_request(
    cli: Command, simulator: Simulated, stream: str
) -> None:
    path = written(cli, simulator, target=", api_version: v1", stream=stream)
    (record,) = cli.record(path)
    (entry,) = simulator.requests()
    assert entry["path"].startswith("/v1/models/gemini-3.5-flash:")
    assert simulator.bodies() == [
        {
            "contents": [{"role": "user", "parts": [{"text": "What is 6 * 7?"}]}],
            "generationConfig": {"temperature": 0, "seed": 1},
        }
    ]
    assert record.response is not None and record.response.usage is not None
    assert record.response.usage.input_tokens == entry["prompt_tokens"]
    assert record.response.usage.output_tokens == entry["completion_tokens"]
    assert record.cost is None


def test_an_exhausted_minute_is_waited_for_as_the_body_says(
    cli: Command, simulator: Simulated
) -> None:
    simulator.faults({"kind": "status", "status": 429, "requests": [1]})
    (record,) = cli.record(written(cli, simulator))
    assert record.response is not None
    refused, answered = record.response.attempts
    assert refused.error is not None
    assert (refused.error.kind, refused.error.retry_after) == ("rate_limited", 1.0)
    assert answered.waited >= 1


def test_a_quota_of_the_day_is_not_tried_again(cli: Command, simulator: Simulated) -> None:
    simulator.faults(
        {
            "kind": "status",
            "status": 429,
            "code": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        }
    )
    assert cli("run", written(cli, simulator), "--out", "run").code == ExitCode.INFRASTRUCTURE
    assert len(simulator.requests()) == 1
    assert (
        json.loads((cli.folder / "run" / RECORDS).read_text().splitlines()[0])["error"]["kind"]
        == "quota_exhausted"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sampling": "top_p: 1.5"}, "top_p must be a number from 0 to 1 for gemini-3.5-flash on gemini, not 1.5"),
        ({"sampling": "min_p: 0.1"}, "gemini-3.5-flash on gemini does not support min_p"),
        ({"sampling": "frequency_penalty: 2"}, "frequency_penalty must be a number of at least -2 and below 2"),
        ({"sampling": "seed: 3000000000"}, "seed must be a whole number from -2147483648 to 2147483647"),
        ({"sampling": "reasoning_effort: none"}, "reasoning_effort must be one of minimal, low, medium, high, xhigh"),
        ({"sampling": "reasoning_effort: xhigh", "model": "gemini-2.5-flash"}, "must be one of none, low, medium, high"),
        ({"sampling": "reasoning_effort: none", "model": "gemini-2.5-pro"}, "must be one of low, medium, high"),
        ({"target": ", api_version: v2"}, "which gemini does not know; choose from `v1`, `v1beta`"),
        ({"images": ', images: "{{ seen }}"', "kind": "gif"}, "takes png, jpeg, webp, but the case `a` has image/gif"),
    ],
)  # fmt: skip
def test_what_a_model_does_not_take_is_found_before_the_run(
    cli: Command, simulator: Simulated, change: dict[str, str], said: str
) -> None:
    (cli.folder / "seen.gif").write_bytes(picture("GIF"))
    ended = cli("run", written(cli, simulator, **change))
    assert (ended.code, simulator.requests()) == (ExitCode.USAGE, [])
    assert said in " ".join(ended.err.split())


TOOLS = """\
suite: shop
prompts: [{user: "{{ question }}"}]
cases:
  - {id: price, vars: {question: "What is the price of the desk lamp?"}, tools: {get_price: {price: 40}}}
  - {id: failing, vars: {question: "What is the price of the desk lamp?"}, tools: {get_price: {raises: "not for sale"}}}
tools:
  - name: get_price
    description: The price of a product.
    parameters: {type: object, properties: {product: {type: string, description: "The product's name"}}, required: [product]}
graders: [{tool_calls: get_price}]
targets:
  - {name: flash, provider: simulator, model: gemini-3.5-flash, simulator: {api: gemini, ttft: 0ms, inter_token: 0ms}}
sampling: {temperature: 0, max_tokens: 400, reasoning_effort: low}
"""


def test_a_tool_loop_goes_on_from_signed_thoughts(cli: Command) -> None:
    (cli.folder / "suite.yaml").write_text(TOOLS)
    records = {record.case: record for record in cli.record("suite.yaml")}
    assert [record.error for record in records.values()] == [None, None]
    first, second = records["price"].exchanges
    assert first.response.finish_reason == "tool_calls"
    assert (
        first.response.message is not None
        and first.response.message.echo["gemini"][0]["thoughtSignature"]
    )
    assert "40" in second.response.text
    assert "not for sale" in records["failing"].exchanges[-1].response.text


LATE = """\
suite: late
prompts:
  - messages: [{role: user, content: Hi}, {role: system, content: Be brief.}, {role: user, content: Go on}]
cases: [{id: one}]
targets: [{name: flash, provider: simulator, model: gemini-3.5-flash, simulator: {api: gemini}}]
"""


def test_late_system_text_is_refused_with_its_place(cli: Command) -> None:
    (cli.folder / "suite.yaml").write_text(LATE)
    ended = cli("run", "suite.yaml")
    assert ended.code == ExitCode.USAGE
    assert (
        "suite.yaml:3:5: target 'flash': gemini-3.5-flash on gemini accepts system messages only before the first"
        in ended.err
    )
