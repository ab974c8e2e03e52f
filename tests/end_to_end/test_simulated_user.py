"""A simulated user over sockets: it carries the conversation on, is paid apart, and is owed like
anything else that failed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.model import Record
from harness.runs.folder import read_manifest, read_records
from tests.support import Command, Ended, Simulated

SUITE = """
suite: visited
prompts: [{{system: Be kind., user: "Hello, my {{{{ thing }}}} is broken."}}]
cases:
  - {{id: lamp, vars: {{thing: lamp, order: A-12}}}}
simulated_user:
  target: actor
  prompt: |
    A customer whose {{{{ thing }}}} broke. They say "My order is {{{{ order }}}}." and then "I want my money back."
{more}
graders: [{{length: {{min: 1}}}}]
targets: [{{name: desk, provider: openai, base_url: "{address}", model: tiny, price: {{input: 1, output: 1}}}}]
sampling: {{max_tokens: 9, seed: 7}}
run: {{retries: 0{run}}}
"""


PRICED = "price: {input: 1000, output: 0}"


def run(
    cli: Command,
    folder: Path,
    simulator: Simulated,
    more: str = "",
    *,
    price: str = PRICED,
    run: str = "",
) -> Ended:
    """Run the suite with the simulator as both the desk and its customer."""
    (folder / "suite.yaml").write_text(SUITE.format(address=simulator.openai, more=more, run=run))
    actor = f'{{provider: openai, base_url: "{simulator.openai}", model: actor, {price}}}'
    (folder / "targets.yaml").write_text(f"actor: {actor}\n")
    return cli("run", folder / "suite.yaml", "--out", folder / "run")


def asked(simulator: Simulated) -> Counter[str]:
    """How often each model was asked."""
    return Counter(entry["model"] for entry in simulator.requests())


def one(folder: Path) -> Record:
    return list(read_records(folder / "run"))[-1]


def test_it_speaks_until_it_is_done_and_is_kept_apart(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    ended = run(cli, tmp_path, simulator)
    assert ended.code == ExitCode.OK, ended.err
    record = one(tmp_path)
    assert [(each.position, each.role, each.target) for each in record.exchanges] == [
        ("t0", "target", "desk"),
        ("t1", "user", "actor"),
        ("t2", "target", "desk"),
        ("t3", "user", "actor"),
        ("t4", "target", "desk"),
        ("t5", "user", "actor"),
    ]
    assert [each.response.text for each in record.exchanges[1::2]] == [
        "My order is A-12.",
        "I want my money back.",
        "DONE",
    ]
    last = record.exchanges[4].request.messages
    assert [message.role for message in last] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert [message.text for message in last[1::2]] == [
        "Hello, my lamp is broken.",
        "My order is A-12.",
        "I want my money back.",
    ]
    assert record.response == record.exchanges[4].response
    assert record.flags == ()
    usage = [each.response.usage for each in record.exchanges[::2]]
    assert record.cost == pytest.approx(
        sum(each.input + each.output for each in usage if each) / 1e6
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    (helper,) = summary["helpers"]
    assert (helper["name"], helper["role"], helper["requests"]) == ("actor", "user", 3)
    assert summary["totals"]["users"] == pytest.approx(helper["input_tokens"] / 1_000)
    assert summary["totals"]["spent"] == pytest.approx(record.cost)
    assert summary["totals"]["output_tokens"] == sum(
        each.output for each in usage if each and each.output
    )
    assert list(read_manifest(tmp_path / "run").helpers) == ["actor"]
    shown = cli("show", tmp_path / "run", "lamp").out
    assert (
        "── actor, the user: My order is A-12.\n── user\nMy order is A-12.\n── desk answered"
        in shown
    )


def test_it_says_no_more_than_its_turns_and_that_is_flagged(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    run(cli, tmp_path, simulator, "  max_turns: 1")
    record = one(tmp_path)
    assert [each.role for each in record.exchanges] == ["target", "user", "target"]
    assert record.flags == ("user_not_done",)


def test_its_word_for_done_can_be_another(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    run(cli, tmp_path, simulator, "  stop: GOODBYE")
    assert one(tmp_path).exchanges[-1].response.text == "GOODBYE"


def test_what_was_said_before_it_failed_is_not_asked_again(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    simulator.faults({"kind": "status", "status": 429, "requests": [4], "model": "actor"})
    run(cli, tmp_path, simulator)
    record = one(tmp_path)
    assert record.error is not None
    assert (record.error.kind, record.error.retryable) == ("rate_limited", True)
    assert record.error.message.startswith("the simulated user 'actor': ")
    assert asked(simulator) == {"tiny": 2, "actor": 2}
    simulator.faults()
    simulator.forget()
    ended = cli("resume", tmp_path / "run")
    assert ended.code == ExitCode.OK, ended.err
    assert asked(simulator) == {"tiny": 1, "actor": 2}
    assert [each.response.text for each in one(tmp_path).exchanges[1::2]][-1] == "DONE"


def test_a_budget_needs_its_price(cli: Command, simulator: Simulated, tmp_path: Path) -> None:
    ended = run(cli, tmp_path, simulator, price="context: 9000", run=", budget: $1")
    assert ended.code == ExitCode.USAGE
    assert "'actor' has none" in ended.err
    assert simulator.requests() == []
