"""`run --failed-of`: only what failed, broke or was not graded in an earlier run is asked again."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ExitCode
from harness.runs.folder import read_records
from harness.suite import Overrides
from tests.support import Command

GRADER = """
def check(answer):
    if answer.expected == "broken":
        raise ValueError("no verdict")
    return answer.expected == "right"
"""
SUITE = """
suite: sums
prompts: [{id: plain, user: "{{ question }}"}, {id: polite, user: "Please: {{ question }}"}]
cases:
  - {id: good, vars: {question: 1 + 1}, expected: right}
  - {id: bad, vars: {question: 2 + 2}, expected: wrong}
  - {id: odd, vars: {question: 3 + 3}, expected: broken}
graders: [{python: "check.py:check"}]
targets: {name: fast, provider: simulator, model: llama-4-scout, simulator: {ttft: 0s, inter_token: 0s}}
repeats: 2
run: {max_ungraded_rate: 1}
"""


def asked(run: Path) -> set[tuple[str, str, int]]:
    return {(record.case, record.prompt, record.repeat) for record in read_records(run)}


def test_only_what_failed_is_asked_and_resumed(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(GRADER, "utf-8")
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE, "utf-8")
    cli.record(suite, "reports/runs/first")
    suite.write_text(SUITE.replace("Please: ", "Kindly: "), "utf-8")  # identity, not content

    dry = cli("run", suite, "--failed-of", "latest", "--dry-run", "--filter", "prompt=polite")
    assert "= 6 requests, 4 selected" in dry.out
    assert "Kindly: 1 + 1" not in dry.out

    again = cli("run", suite, "--failed-of", "latest", "--out", "again", "--budget", "0.0003")
    assert "8 requests to fast" in again.err
    assert "only the 8 trials that failed" in again.err
    assert again.code == ExitCode.BUDGET
    assert cli("resume", "again", "--budget", "1").code == ExitCode.OK
    assert asked(tmp_path / "again") == {
        (case, prompt, repeat)
        for case in ("bad", "odd")
        for prompt in ("plain", "polite")
        for repeat in (0, 1)
    }


def test_a_run_without_failures_selects_nothing(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(GRADER, "utf-8")
    (tmp_path / "suite.yaml").write_text(SUITE, "utf-8")
    for name in ("good", "bad"):
        cli.record("suite.yaml", name, overrides=Overrides(filters=(f"id={name}",)))
    for run, words in (("good", []), ("bad", ["--filter", "id=good"])):
        ended = cli("run", "suite.yaml", "--failed-of", run, *words)
        assert (ended.code, ended.out) == (ExitCode.USAGE, "")
        assert run in ended.err
