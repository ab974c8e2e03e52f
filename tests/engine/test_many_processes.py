"""The door to many processes: a plan's trials, and the stack that sends them, go to others as JSON
and run there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import orjson
import pytest
from msgspec.structs import replace

from harness import plan
from harness.model import Limits, Price, Record, Target, Trial
from harness.runs import records
from harness.suite import load_suite
from harness.transport.stack import StackConfig, divide_limits
from tests.support import Simulated

ROOT = Path(__file__).parents[2]
SUITE = """\
suite: shared-out
prompts: [{system: Answer with the number only., user: "How much is {{ a }} + {{ b }}?"}]
cases: [sums.jsonl]
graders:
  - number: "{{ expected }}"
  - {not: {json_schema: schema.json}, weight: 0}
targets: [scout-sim]
sampling: {max_tokens: 8, seed: 1, temperature: 0}
repeats: 2
"""
SHARES = 3


@pytest.fixture
def trials(tmp_path: Path, target: Target) -> list[Trial]:
    rows = [
        {"id": f"s{place}", "vars": {"a": place, "b": 7}, "expected": place + 7}
        for place in range(30)
    ]
    (tmp_path / "sums.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    (tmp_path / "schema.json").write_text(
        '{"type": "object", "description": "not a template: {{ 7 * 7 }}"}', "utf-8"
    )
    (tmp_path / "suite.yaml").write_text(SUITE, "utf-8")
    return list(plan.Plan(load_suite(tmp_path / "suite.yaml"), (target,)).trials(target))


@pytest.fixture
def target(simulator: Simulated) -> Target:
    price, limits = Price(Decimal(1), Decimal(2)), Limits(concurrency=7, rpm=60_000)
    return Target(
        "scout-sim",
        "openai",
        "tiny",
        simulator.openai,
        simulator.openai,
        limits=limits,
        price=price,
        context=1000,
    )


def run_share(
    terms: StackConfig, targets: Sequence[Target], trials: Sequence[Trial]
) -> subprocess.Popen[bytes]:
    """Begin a share in a process of its own."""
    share = {
        "terms": msgspec.to_builtins(terms),
        "targets": msgspec.to_builtins(targets),
        "trials": [orjson.loads(plan.encode_trial(trial)) for trial in trials],
    }
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("worker.py")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    process.stdin.write(orjson.dumps(share))
    process.stdin.close()
    return process


def finished(process: subprocess.Popen[bytes]) -> list[Record]:
    assert process.stdout
    with process, process.stdout as lines:
        found = [records.decode_line(line) for line in lines]
    assert process.returncode == 0
    return [record for record in found if isinstance(record, Record)]


def test_a_trial_survives_the_way_through_json(trials: list[Trial]) -> None:
    for trial in trials:
        assert plan.decode_trial(plan.encode_trial(trial)) == trial


def test_several_processes_run_one_plan_and_keep_its_limits(
    simulator: Simulated, target: Target, trials: list[Trial]
) -> None:
    shares = divide_limits(StackConfig(budget=0.5), (target,), SHARES)
    begun = [
        run_share(
            terms, targets, [trial for trial in trials if int(trial.key[:16], 16) % SHARES == share]
        )
        for share, (terms, targets) in enumerate(shares)
    ]
    found = [record for process in begun for record in finished(process)]
    assert sorted(record.key for record in found) == sorted(trial.key for trial in trials)
    assert all(record.passed is not None for record in found)
    asked = [request["client_request_id"] for request in simulator.requests()]
    assert sorted(asked) == sorted(f"{trial.key}-t0-0" for trial in trials)
    assert sum(record.cost or 0 for record in found) <= 0.5


def test_shares_add_up_to_the_whole(target: Target) -> None:
    whole = replace(target, limits=replace(target.limits, concurrency=8, rpm=100, tpm=1000))
    for count in (1, 2, 3, 7, 8):
        shares = divide_limits(StackConfig(budget=1.0, spent=0.25), [whole], count)
        for name in ("concurrency", "rpm", "tpm"):
            assert sum(getattr(targets[0].limits, name) for _, targets in shares) == getattr(
                whole.limits, name
            )
        assert sum(terms.budget or 0 for terms, _ in shares) == pytest.approx(0.75)
        assert len({terms.seed for terms, _ in shares}) == count


def test_a_limit_that_cannot_be_divided_is_named(target: Target) -> None:
    with pytest.raises(ValueError, match="a concurrency of 7 cannot be divided by 8"):
        divide_limits(StackConfig(), [target], 8)
