"""Nothing that was paid for is lost, whatever stops a run; and what stopped it is said."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from harness.app.run import resume_requests, run_requests
from harness.errors import ExitCode, InfrastructureError, InterruptedRun
from harness.runs.folder import RECORDS, read_manifest, read_records
from harness.suite import Overrides
from tests.end_to_end.moments import After, Impatient, interrupt, wait_for_records
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated

SLOW = {"kind": "slow", "seconds": 0.1}
CONCURRENCY = 4


def asked(simulator: Simulated) -> Counter[str]:
    """How often the server was asked each trial's question."""
    return Counter(each["client_request_id"].split("-")[0] for each in simulator.requests())


def assert_complete(run: Path, trials: int) -> None:
    """Every trial has exactly one record, and it is an answer."""
    keys = Counter(record.key for record in read_records(run))
    assert len(keys) == trials
    assert set(keys.values()) == {1}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_interrupt_drains_and_resume_goes_on(
    simulator: Simulated, tmp_path: Path, sign: signal.Signals
) -> None:
    suite = write_sums(tmp_path, simulator.openai, f"run: {{concurrency: {CONCURRENCY}}}\n")
    simulator.faults(SLOW)  # so that more are in flight when the fifth is recorded
    run = tmp_path / "run"
    stopped = run_requests(suite, out=run, display=After(5, lambda: interrupt(sign)))
    assert stopped.codes == (ExitCode.INTERRUPTED,)
    assert set(asked(simulator).values()) == {1}
    assert sum(asked(simulator).values()) == sum(1 for _ in read_records(run)) < 40
    simulator.faults()
    assert resume_requests(run).codes == ()
    assert_complete(run, 40)
    assert set(asked(simulator).values()) == {1}


def test_an_interrupted_run_is_reported_with_how_to_continue(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, f"run: {{concurrency: {CONCURRENCY}}}\n")
    simulator.faults(SLOW)
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: (wait_for_records(tmp_path / "run", 5), interrupt()))
        ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.INTERRUPTED, ended.err
    assert "continue with: harness resume run" in ended.out


def test_a_second_interrupt_leaves_at_once_and_keeps_what_was_acknowledged(
    simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, f"run: {{concurrency: {CONCURRENCY}}}\n")
    simulator.faults({"kind": "hang", "after": 0, "requests": ["11-"]})
    run = tmp_path / "run"
    with pytest.raises(InterruptedRun) as left:
        run_requests(suite, out=run, display=Impatient(10))
    assert left.value.exit_code == ExitCode.INTERRUPTED
    assert "interrupted with 30 trials left to run" in str(left.value)
    assert f"harness resume {run}" in str(left.value)
    simulator.faults()
    assert resume_requests(run).codes == ()
    assert_complete(run, 40)
    assert sum(asked(simulator).values()) <= 40 + CONCURRENCY


def test_a_report_of_damaged_records_is_no_pass(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, "gates: [pass_rate >= 0]\n")
    run_requests(suite, out=tmp_path / "run")
    path = tmp_path / "run" / RECORDS
    lines = path.read_bytes().splitlines(keepends=True)
    spoilt = [lines[0].replace(b'"case"', b'"cAse"'), *lines[1:]]
    for kept, said in ((lines[:3], "3 of 40 trials"), (spoilt, "39 of 40 trials")):
        path.write_bytes(b"".join(kept))
        reported = cli("report", "run")
        assert reported.code == ExitCode.INFRASTRUCTURE, reported.err
        assert f"UNFINISHED  {said} recorded; the gate holds" in reported.out


def test_a_run_whose_records_are_cut_under_it_is_not_green(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, "gates: [pass_rate >= 0]\n")
    cut = After(3, lambda: os.truncate(tmp_path / "run" / RECORDS, 0))
    with pytest.raises(InfrastructureError, match=RECORDS):
        run_requests(suite, out=tmp_path / "run", overrides=Overrides(concurrency=2), display=cut)
    assert len(simulator.requests()) < 40
    assert cli("report", "run").code == ExitCode.INFRASTRUCTURE


@pytest.mark.parametrize(("concurrency", "budget", "cases"), [(4, 0.001, 10), (24, 0.0101, 100)])
def test_a_budget_is_never_overshot_and_a_larger_one_goes_on(
    cli: Command, simulator: Simulated, tmp_path: Path, concurrency: int, budget: float, cases: int
) -> None:
    # At $1 and $2 per MTok a request reserves some $0.0004 and costs some $0.00004, which is known
    # only after its answer.
    trials = 4 * cases
    run = f"run: {{concurrency: {concurrency}, budget: ${budget}}}\n"
    suite = write_sums(tmp_path, simulator.openai, run, cases)
    simulator.faults({**SLOW, "requests": [f"1-{concurrency}"]}, {"kind": "slow", "seconds": 0.02})
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.BUDGET, ended.err
    assert f"the budget of ${budget} is exhausted" in ended.out
    records = list(read_records(tmp_path / "run"))
    assert 0 < len(records) < trials
    assert f"{len(records):,} of {trials:,} trials" in ended.out
    spent = sum(
        (each["prompt_tokens"] * 1 + each["completion_tokens"] * 2) / 1e6
        for each in simulator.requests()
    )
    assert sum(record.cost or 0 for record in records) == pytest.approx(spent)
    assert spent <= budget
    in_flight = read_manifest(tmp_path / "run").sessions[0].in_flight
    assert in_flight is not None and in_flight >= concurrency / 2, (
        "the budget was not met by many at once"
    )
    simulator.faults()
    assert resume_requests(tmp_path / "run").codes == (ExitCode.BUDGET,)
    assert resume_requests(tmp_path / "run", budget=Decimal(1)).codes == ()
    assert_complete(tmp_path / "run", trials)


def test_a_budget_counts_at_the_dearer_price_where_prices_changed(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {concurrency: 2, budget: $0.001}\n")
    assert run_requests(suite, out=tmp_path / "run").codes == (ExitCode.BUDGET,)
    sent = len(simulator.requests())
    suite.write_text(suite.read_text().replace("{input: 1, output: 2}", "{input: 0, output: 3}"))
    resumed = cli("resume", "run")
    assert resumed.code == ExitCode.BUDGET
    assert "prices changed" in resumed.err and "input $1 → $0, output $2 → $3" in resumed.err
    assert len(simulator.requests()) <= sent + 2, "the budget was all but spent"


def test_a_run_of_a_changed_suite_is_not_resumed_but_its_answers_are_reused(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    run_requests(suite, out=tmp_path / "run")
    suite.write_text(suite.read_text().replace("number only.", "number alone."))
    refused = cli("resume", "run")
    assert refused.code == ExitCode.USAGE
    assert "prompt strict changed" in refused.err
    simulator.forget()
    replayed = cli("run", suite, "--out", "again", "--replay", "run")
    assert replayed.code == ExitCode.OK, replayed.err
    assert len(simulator.requests()) == 20
    assert "20 reused, 20 new" in replayed.err
    assert "prompt strict changed since the recording run: 20 requests are new" in replayed.err


def test_what_answers_of_unknown_cost_may_have_cost_is_gone_from_a_resumed_budget(
    simulator: Simulated, tmp_path: Path
) -> None:
    """Streams that break off tell no usage: each counts as its reservation, in the next session as
    in this one."""
    simulator.faults({"kind": "cut", "how": "clean", "after": 2})
    suite = write_sums(tmp_path, simulator.openai, "run: {concurrency: 1, budget: $0.002}\n")
    assert run_requests(suite, out=tmp_path / "run").codes == (ExitCode.BUDGET,)
    assert 1 <= len(simulator.requests()) < 40
    simulator.forget()
    assert resume_requests(tmp_path / "run").codes == (ExitCode.BUDGET,)
    assert simulator.requests() == []


def test_answers_of_another_format_at_the_same_address_are_not_reused(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    suite.write_text(suite.read_text().replace(", seed: 7", ""))
    run_requests(suite, out=tmp_path / "run")
    suite.write_text(suite.read_text().replace("provider: openai,", "provider: openai-responses,"))
    replayed = cli("run", suite, "--out", "again", "--replay", "run")
    assert (replayed.code, "0 reused, 40 new" in replayed.err) == (ExitCode.OK, True), replayed.err


def test_offline_ci_answers_from_a_run_and_names_what_is_missing(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    gates = "gates: ['pass_rate{prompt=terse} >= 0', 'pass_rate{prompt=strict} >= 0']\n"
    suite = write_sums(tmp_path, simulator.openai, gates)
    run_requests(suite, out=tmp_path / "run")
    simulator.forget()
    assert cli("run", suite, "--out", "offline", "--replay-only", "run").code == ExitCode.OK
    suite.write_text(suite.read_text().replace("number only.", "number alone."))
    missed = cli("run", suite, "--out", "missed", "--replay-only", "run")
    assert missed.code == ExitCode.INFRASTRUCTURE
    reason = "prompt strict changed since the recording run: 20 requests are new"
    assert reason in missed.err
    assert reason in (tmp_path / "missed" / "report.md").read_text()
    assert "harness resume" not in missed.out
    resumed = cli("resume", "missed")
    assert (resumed.code, "start a new run" in resumed.err) == (ExitCode.USAGE, True)
    assert simulator.requests() == []


def test_a_report_says_which_part_of_the_suite_was_run(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    ended = cli("run", suite, "--out", "run", "--limit", "2", "--filter", "prompt=terse")
    assert ended.code == ExitCode.OK, ended.err
    part = "part of the suite: --limit 2 --filter prompt=terse"
    for text in (
        ended.out,
        *((tmp_path / "run" / f"report.{end}").read_text() for end in ("md", "html")),
    ):
        assert part in " ".join(text.split())


def test_a_wrong_api_key_stops_the_target_at_once(tmp_path: Path, simulator: Simulated) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    simulator.faults({"kind": "status", "status": 401})
    cli = Command(tmp_path)
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE, ended.err
    assert "because it would fail the same way" in ended.out
    assert len(simulator.requests()) <= 16
    simulator.faults()
    assert resume_requests(tmp_path / "run").codes == ()
    last = {record.key: record.error for record in read_records(tmp_path / "run")}
    assert list(last.values()) == [None] * 40


def test_errors_are_counted_apart_and_never_as_zero(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(
        tmp_path,
        simulator.openai,
        "run: {retries: 0, max_error_rate: 50%}\ngates: [error_rate <= 50%]\n",
    )
    simulator.faults({"kind": "status", "status": 400, "requests": ["1-10"]})
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.OK, ended.err
    assert "10 trials ended in a permanent error" in ended.out and "--retry-errors" in ended.out
    records = list(read_records(tmp_path / "run"))
    broken = [record for record in records if record.error]
    assert len(broken) == 10
    assert {(record.score, record.passed) for record in broken} == {(None, None)}
    assert cli("run", suite, "--out", "strict", "--limit", "1").code == ExitCode.OK


def test_the_error_budget_fails_the_run(cli: Command, simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {retries: 0}\n")
    simulator.faults({"kind": "status", "status": 400, "requests": ["1-10"]})
    assert cli("run", suite, "--out", "run").code == ExitCode.INFRASTRUCTURE


def test_what_can_be_retried_is_and_every_attempt_is_recorded(
    simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, cases=2)
    simulator.faults(
        {"kind": "status", "status": 429, "headers": {"retry-after": "0"}, "requests": [1, 2, 3]}
    )
    assert run_requests(suite, out=tmp_path / "run").codes == ()
    attempts = [record.exchanges[0].response.attempts for record in read_records(tmp_path / "run")]
    assert sum(len(each) for each in attempts) == len(simulator.requests()) == 11
    assert [each.status for tries in attempts for each in tries].count(429) == 3
