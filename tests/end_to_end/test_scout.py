"""Llama 4 Scout by its three doors, from a suite to the bytes that arrived
and back to the record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from harness.app.report import load_run
from harness.errors import ExitCode
from tests.support import Command, Simulated

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
SAMPLING = {
    "temperature": 0.5, "top_p": 0.9, "top_k": 40, "max_tokens": 48, "seed": 7, "repetition_penalty": 1.1,
    "frequency_penalty": 0.1, "presence_penalty": 0.2,
}  # fmt: skip

SUITE = """\
suite: scout
prompts: [{{id: p, {prompt}}}]
cases: [{{id: c, vars: {{x: "Mail ada@example.org."}}}}]
targets:
  - {{name: t, {target}, model: "{model}"}}
{more}
"""
NATIVE = "provider: cloudflare, base_url: '{address}/client/v4/accounts/a'"
CHAT = "provider: cloudflare-chat, base_url: '{address}/client/v4/accounts/a'"
GATEWAY = "provider: cloudflare-gateway, base_url: '{address}/v1/a/g/workers-ai'"


def written(
    cli: Command, simulator: Simulated, target: str, more: str = "", prompt: str = 'user: "{{ x }}"'
) -> Path:
    path = cli.folder / "suite.yaml"
    address = target.format(address=simulator.base_url)
    path.write_text(SUITE.format(prompt=prompt, target=address, model=SCOUT, more=more))
    return path


def arrived(simulator: Simulated) -> list[dict[str, Any]]:
    """The bodies the simulator received."""
    with urlopen(f"{simulator.base_url}/ledger", timeout=30) as answer:
        return [entry["body"] for entry in json.loads(answer.read())["entries"]]


def test_every_sampling_parameter_arrives_and_is_recorded_as_sent(
    cli: Command, simulator: Simulated
) -> None:
    path = written(
        cli, simulator, NATIVE, f"sampling: {json.dumps(SAMPLING)}\nrun: {{stream: false}}"
    )
    (record,) = cli.record(path)
    (body,) = arrived(simulator)
    assert body == {"messages": [{"role": "user", "content": "Mail ada@example.org."}], **SAMPLING}
    assert record.exchanges[0].request.sampling == SAMPLING


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        ("temperature", 5.1, "temperature must be a number from 0 to 5"),
        ("top_p", 2.1, "top_p must be a number from 0 to 2"),
        ("top_k", 0, "top_k must be a whole number from 1 to 50"),
        ("top_k", 51, "top_k must be a whole number from 1 to 50"),
        ("seed", 0, "seed must be a whole number from 1 to 9999999999"),
        ("seed", 10_000_000_000, "seed must be a whole number from 1 to 9999999999"),
        ("max_tokens", 0, "`max_tokens` should be greater than or equal to 1"),
        ("repetition_penalty", 2.1, "repetition_penalty must be a number from 0 to 2"),
        ("frequency_penalty", -0.1, "frequency_penalty must be a number from 0 to 2"),
        ("presence_penalty", -0.1, "presence_penalty must be a number from 0 to 2"),
        ("stop", "x", "does not support stop"),
    ],
)
@pytest.mark.parametrize("target", [NATIVE, GATEWAY])
def test_a_parameter_out_of_range_is_refused_before_the_run(
    cli: Command, simulator: Simulated, target: str, parameter: str, value: float | str, said: str
) -> None:
    ended = cli(
        "run", written(cli, simulator, target, f"sampling: {json.dumps({parameter: value})}")
    )
    assert (ended.code, simulator.requests()) == (ExitCode.USAGE, [])
    assert said in ended.err


WRONG = """\
suite: wrong
prompts: [{user: "{{ x }}"}]
cases:
  - {id: a, vars: {x: hi}}
  - {id: b, vars: {x: ho}, sampling: {top_k: 99}}
  - {id: c, vars: {x: hu}, sampling: {top_p: 99}}
targets:
  - {name: t, provider: simulator, model: llama-4-scout, sampling: {repetition_penalty: 3}}
sampling:
  temperature: 9
sweep:
  top_p: [0.5, 3]
  zip: {seed: [0, 1]}
"""


def test_each_parameter_out_of_range_is_told_where_it_is_written(cli: Command) -> None:
    """Also a case's own, but for what the sweep overrides."""
    (cli.folder / "suite.yaml").write_text(WRONG)
    ended = cli("validate", "suite.yaml")
    told = re.findall(r"suite\.yaml:(\d+:\d+): target 't': (\w+) must be", ended.err)
    assert told == [
        ("5:5", "top_k"),
        ("8:5", "repetition_penalty"),
        ("10:16", "temperature"),
        ("12:10", "top_p"),
        ("13:15", "seed"),
    ]
    ended = cli("run", "suite.yaml", "--set", "sampling.temperature=8")
    assert "--set sampling: target 't': temperature must be a number from 0 to 5" in ended.err


@pytest.mark.parametrize("raw", [True, False])
def test_a_plain_prompt_is_completed(cli: Command, simulator: Simulated, raw: bool) -> None:
    text = "<|header_start|>user<|header_end|>\\n\\n{{ x }}<|eot|>" if raw else "{{ x }}"
    (record,) = cli.record(
        written(cli, simulator, NATIVE, prompt=f'prompt: "{text}", raw: {str(raw).lower()}')
    )
    (body,) = arrived(simulator)
    sent = text.replace("\\n", "\n").replace("{{ x }}", "Mail ada@example.org.")
    assert body == {
        "prompt": sent,
        "max_tokens": 256,
        "stream": True,
        **({"raw": True} if raw else {}),
    }
    assert (record.exchanges[0].request.prompt, record.exchanges[0].request.raw) == (sent, raw)
    assert record.error is None
    assert f"── prompt\n{sent}" in cli("show", "run", "c").out


def test_guided_json_arrives_beside_the_messages_and_the_answer_fits(
    cli: Command, simulator: Simulated
) -> None:
    schema = {"type": "object", "properties": {"email": {"type": "string"}}, "required": ["email"]}
    form = f"response_format: {{type: guided_json, schema: {json.dumps(schema)}}}"
    (record,) = cli.record(written(cli, simulator, NATIVE, form))
    assert arrived(simulator)[0]["guided_json"] == schema
    assert record.response is not None
    assert json.loads(record.response.text) == {"email": "ada@example.org"}


@pytest.mark.parametrize("target", [CHAT, "provider: openai, base_url: '{address}/v1'"])
def test_forms_a_provider_has_not_are_refused_with_their_place(
    cli: Command, simulator: Simulated, target: str
) -> None:
    form = "response_format: {type: guided_json, schema: {type: object}}"
    ended = cli("run", written(cli, simulator, target, form, prompt='prompt: "{{ x }}"'))
    assert (ended.code, simulator.requests()) == (ExitCode.USAGE, [])
    assert "suite.yaml:2:11: target 't': " in ended.err
    assert "takes messages, not a plain `prompt:`; write it as {user: …}" in ended.err
    assert "suite.yaml:6:1: target 't': " in ended.err
    assert "does not support guided_json; use `type: json_schema`" in ended.err


def test_the_deprecated_functions_are_sent_with_a_warning_that_names_tools(
    cli: Command, simulator: Simulated
) -> None:
    target = NATIVE + ", functions: [{{name: f, code: return 1}}]"
    ended = cli("run", written(cli, simulator, target))
    assert ended.code == ExitCode.OK, ended.err
    assert arrived(simulator)[0]["functions"] == [{"name": "f", "code": "return 1"}]
    assert (
        "warning: the target `t` has `functions:`, which Workers AI has deprecated; use `tools:`"
        in ended.err
    )


def test_functions_are_no_other_providers(cli: Command, simulator: Simulated) -> None:
    ended = cli("run", written(cli, simulator, CHAT + ", functions: [{{name: f, code: return 1}}]"))
    assert ended.code == ExitCode.USAGE
    assert (
        "suite.yaml:5:5: the target `t` has `functions:`, which cloudflare-chat does not have; use `tools:`"
        in ended.err
    )


@pytest.mark.parametrize("target", [NATIVE, CHAT, GATEWAY])
@pytest.mark.parametrize("stream", [True, False])
def test_each_endpoint_answers_with_tokens_neurons_and_a_price(
    cli: Command, simulator: Simulated, target: str, stream: bool
) -> None:
    more = f"sampling: {{temperature: 0, max_tokens: 20}}\nrun: {{stream: {str(stream).lower()}, budget: $1}}"
    (record,) = cli.record(written(cli, simulator, target, more))
    (entry,) = simulator.requests()
    assert record.response is not None
    assert record.response.usage is not None
    usage = record.response.usage
    assert (usage.input_tokens, usage.output_tokens) == (
        entry["prompt_tokens"],
        entry["completion_tokens"],
    )
    assert usage.neurons == pytest.approx(
        (usage.input_tokens * 24_545 + usage.output_tokens * 77_273) / 1e6, abs=1e-4
    )
    cost = record.exchanges[0].cost
    assert cost.reported == pytest.approx(cost.priced, rel=0.001)
    assert record.response.headers["cf-ai-req-id"]


def test_a_gateways_cache_is_passed_by_unless_asked_for_and_is_no_latency(
    cli: Command, simulator: Simulated
) -> None:
    path = written(cli, simulator, GATEWAY, "repeats: 2\nrun: {concurrency: 1}")
    fresh = cli.record(path)
    assert [each.response.headers["cf-aig-cache-status"] for each in fresh if each.response] == [
        "MISS",
        "MISS",
    ]
    wanted = GATEWAY + ", headers: {{cf-aig-skip-cache: 'false'}}, limits: {{concurrency: 1}}"
    written(cli, simulator, wanted, "repeats: 3")
    ended = cli("run", path, "--out", "cached")
    trials = load_run(cli.folder / "cached").trials
    assert ended.code == ExitCode.OK
    assert sorted(trials["flags"]) == ['["cached"]', '["cached"]', "[]"]
    assert trials["latency"].isna().sum() == 2
    assert "2 answers were served from a gateway's cache and left out of latency" in ended.out


def test_an_account_that_is_not_named_is_found_before_anything_is_sent(cli: Command) -> None:
    path = cli.folder / "suite.yaml"
    path.write_text(
        SUITE.format(prompt="user: hi", target="provider: cloudflare-gateway", model=SCOUT, more="")
    )
    cli.environment["CLOUDFLARE_AUTH_TOKEN"] = "a-token-of-nobody"
    cli.environment["CLOUDFLARE_ACCOUNT_ID"] = "0123"
    ended = cli("run", path)
    assert ended.code == ExitCode.USAGE
    assert (
        "suite.yaml:5:5: target 't' needs the environment variable CLOUDFLARE_GATEWAY_ID, which is not set; export"
        in ended.err
    )
    assert not (cli.folder / "reports").exists()


def test_each_door_can_be_simulated(cli: Command) -> None:
    path = cli.folder / "suite.yaml"
    doors = ("cloudflare", "cloudflare-chat", "cloudflare-gateway")
    simulated = "name: {api}, provider: simulator, model: llama-4-scout, simulator: {{api: {api}, ttft: 0, inter_token: 0}}"
    targets = "".join(f"  - {{{simulated.format(api=api)}}}\n" for api in doors)
    path.write_text(
        "suite: scout\nprompts: [user: hi]\ncases: [id: c]\nrun: {budget: $1}\ntargets:\n" + targets
    )
    records = cli.record(path)
    assert {record.target for record in records} == {*doors}
    assert all(record.error is None and record.cost is not None for record in records)
