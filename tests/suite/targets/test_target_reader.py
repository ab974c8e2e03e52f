"""Targets: named or written out, with nothing secret in the file and no value that cannot be."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from harness.model import Timeouts
from harness.suite import Suite, load_suite, named_targets

SUITE = """\
suite: s
prompts: [{{user: hi}}]
cases: [{{id: c}}]
targets:
{targets}
"""


def test_a_target_written_out(suite: Callable[..., Suite]) -> None:
    (target,) = suite(
        SUITE.format(
            targets="  - {name: local, provider: openai, base_url: 'http://127.0.0.1:8000/v1', model: tiny, api_key: MY_KEY,\n"
            "     limits: {concurrency: 4, rpm: 1k, timeout: 5s}, price: {input: $0.27, output: 0.85}, context: 131k,\n"
            "     headers: {X-Org: '${ORG}'}, extra_body: {user: me}, sampling: {temperature: 0}, unsupported: drop}"
        )
    ).targets
    assert (target.limits.concurrency, target.limits.rpm, target.limits.tpm) == (4, 1000, None)
    assert target.limits.timeout is not None
    assert target.limits.timeout.with_defaults(Timeouts()) == Timeouts(total=5.0)
    assert target.price is not None
    assert (target.price.input, target.price.output) == (Decimal("0.27"), Decimal("0.85"))
    assert (target.api_key, target.context, target.sampling) == (
        "MY_KEY",
        131_000,
        {"temperature": 0.0},
    )


def test_a_simulated_target(suite: Callable[..., Suite]) -> None:
    (target,) = suite(
        SUITE.format(
            targets="  - {name: sim, provider: simulator, model: llama-4-scout,\n"
            "     simulator: {api: openai, seed: 3, ttft: 50ms, inter_token: 0, faults: [{kind: status, rate: 0.1}]}}"
        )
    ).targets
    assert target.simulator is not None
    assert (target.simulator.ttft, target.simulator.inter_token, target.simulator.jitter) == (
        0.05,
        0.0,
        None,
    )
    assert target.simulator.faults == [{"kind": "status", "rate": 0.1}]


def test_a_name_is_looked_up_beside_the_suite_then_among_the_built_in_ones(
    suite: Callable[..., Suite], write: Callable
) -> None:
    write(
        "suites/targets.yaml",
        "scout: {provider: openai, model: mine}\nbroken: {provider: nobody}\n",
    )
    targets = suite(SUITE.format(targets="  - scout\n  - scout-sim")).targets
    assert [(target.name, target.provider) for target in targets] == [
        ("scout", "openai"),
        ("scout-sim", "simulator"),
    ]


def test_the_names_there_are(write: Callable) -> None:
    path = write("suites/targets.yaml", "mine: {provider: openai, model: mine}\n")
    assert [spec.name for spec in named_targets(path.parent)] == ["mine", "scout", "scout-sim"]


def test_a_mistake_in_targets_yaml_is_told_in_that_file(
    problems: Callable[..., list[str]], write: Callable
) -> None:
    write("suites/targets.yaml", "mine:\n  provider: openai\n  modle: x\n")
    found = problems(SUITE.format(targets="  - mine"))
    assert any(
        "targets.yaml:3:3: unknown key `modle`; did you mean `model`?" in problem
        for problem in found
    )
    assert not any("is missing" in problem for problem in found)


BASE = "name: t, provider: openai, model: m"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("scuot", "there is no target `scuot` in targets.yaml or built in; did you mean `scout`?"),
        ("{name: t, provider: opnai, model: m}", "did you mean `openai`?"),
        (f"{{{BASE}, api_key: sk-proj-abcdef123456}}", "not the key"),
        (f"{{{BASE}, api_key: my_key}}", "not the key"),
        (f"{{{BASE}, tools: [t.py:f]}}", "there is no key `tools` here; set `tools:` in the eval"),
        (f"{{{BASE}, base_url: 'ftp://host'}}", "should start with http:// or https://"),
        (f"{{{BASE}, base_url: 'http://me:pw@host/v1'}}", "contains a user name or password"),
        (f"{{{BASE}, base_url: 'https://host/v1?key=abc'}}", "contains the secret `key`"),
        (f"{{{BASE}, base_url: 'https://[::1'}}", "is not a valid address: Invalid IPv6 URL"),
        (
            f"{{{BASE}, base_url: 'http://host/$ACCOUNT'}}",
            "contains a `$` that is not part of a `${NAME}`",
        ),
        (
            f"{{{BASE}, headers: {{Authorization: Bearer abc}}}}",
            "contains the secret of `Authorization` itself",
        ),
        (f'{{{BASE}, headers: {{X: "a\\nb"}}}}', "which is not a valid HTTP header"),
        ("{name: t, provider: openai, model: '${MODEL}'}", "cannot read the environment"),
        (f"{{{BASE}, limits: {{rpm: 0}}}}", "`rpm` should be greater than or equal to 1, not 0"),
        (
            f"{{{BASE}, limits: {{concurrency: 1.5}}}}",
            "`concurrency` should be a whole number, not 1.5",
        ),
        (f"{{{BASE}, price: {{input: -1, output: 0}}}}", "`input`: should be US dollars"),
        (
            f"{{{BASE}, price: {{input: 1}}}}",
            "a price needs `input` and `output` (it has no `output`)",
        ),
        (f"{{{BASE}, simulator: {{seed: 1}}}}", "has `simulator:` but its provider is openai"),
        (
            "{name: t, provider: simulator, model: m, api_key: KEY}",
            "is simulated: it has no `base_url` and no `api_key`",
        ),
        (
            f"{{{BASE}, api_version: 2026-10-21}}",
            "has `api_version:`, but openai has only one; remove it",
        ),
        (
            "{name: t, provider: simulator, model: m, api_version: 2026-10-21}",
            "but cloudflare has only one",
        ),
        (
            "{name: t, provider: anthropic, model: m, api_version: 2026-10-22}",
            "does not know; did you mean `2026-10-21`?",
        ),
        (f"{{{BASE}}}\n  - {{{BASE}}}", "two targets are called `t`"),
    ],
)
def test_a_mistake_is_told(problems: Callable[..., list[str]], target: str, said: str) -> None:
    (problem,) = problems(SUITE.format(targets=f"  - {target}"))
    assert said in problem


@pytest.mark.parametrize("secret", ["sk-proj-abcdef123456", "my_key"])
def test_a_literal_api_key_is_not_repeated(problems: Callable[..., list[str]], secret: str) -> None:
    assert secret not in problems(SUITE.format(targets=f"  - {{{BASE}, api_key: {secret}}}"))[0]


def test_the_runs_limits_are_complete(write: Callable) -> None:
    path = write(
        "suites/s.yaml",
        SUITE.format(targets="  - scout-sim")
        + "run: {timeout: {first: 1.5m}, budget: $0.50, tpm: 200k}\n",
    )
    run = load_suite(path).run
    assert run.timeout == Timeouts(first=90.0)
    assert (run.concurrency, run.rpm, run.tpm, run.retries, run.budget) == (
        8,
        None,
        200_000,
        4,
        Decimal("0.50"),
    )
    assert (run.stream, run.unsupported, run.seed, run.max_error_rate) == (True, "refuse", 0, 0.05)
