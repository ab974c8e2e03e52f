"""What can go wrong with a run, its replayed answers and its clock, by the
ids of docs/engine.md."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import time
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest
from msgspec.structs import replace

from harness.app.python_api import resume
from harness.app.report import load_run
from harness.app.run import Silent, resume_requests, run_requests
from harness.engine.loop_monitor import STALL, LoopMonitor
from harness.errors import ExitCode, UsageError
from harness.model import STALLED, Attempt, Exchange, Marks, Request, Response
from harness.runs.folder import LOCK, RECORDS, read_manifest, read_records, write_manifest
from harness.runs.redaction import Redactor
from tests.end_to_end.moments import wait_for_records
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated


def test_R04_a_killed_run_is_reported_as_unfinished_and_the_next_session_says_so(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    simulator.faults({"kind": "slow", "seconds": 0.05})
    process = cli.begin("run", write_sums(tmp_path, simulator.openai), "--out", "run")
    wait_for_records(tmp_path / "run", 3, process)
    process.kill()
    process.communicate()
    simulator.faults()
    reported = cli("report", "run")
    assert reported.code == ExitCode.INFRASTRUCTURE, reported.err
    assert "UNFINISHED" in reported.out
    assert "of 40 trials" in reported.out
    assert "the previous session of this run crashed or was killed" in cli("resume", "run").err
    assert "the previous session of this run crashed or was killed" not in cli("resume", "run").err


def test_R13_another_order_or_a_case_more_reuses_nothing_wrongly(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {seed: 1}\n")
    run_requests(suite, out=tmp_path / "run")
    answers = {
        (record.key, record.response and record.response.text)
        for record in read_records(tmp_path / "run")
    }
    simulator.forget()
    write_sums(tmp_path, simulator.openai, "run: {seed: 2}\n")
    assert resume_requests(tmp_path / "run").codes == ()
    assert simulator.requests() == []
    write_sums(tmp_path, simulator.openai, "run: {seed: 2}\n", cases=11)
    refused = cli("resume", "run")
    assert refused.code == ExitCode.USAGE
    assert "cases of sums" in refused.err
    run_requests(suite, out=tmp_path / "more", replay=tmp_path / "run")
    assert len(simulator.requests()) == 4
    assert answers < {
        (record.key, record.response and record.response.text)
        for record in read_records(tmp_path / "more")
    }


def test_C02_repeats_are_asked_each_for_itself(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "repeats: 5\n", cases=1)
    run_requests(suite, out=tmp_path / "run")
    assert len(simulator.requests()) == 20
    simulator.forget()
    run_requests(suite, out=tmp_path / "again", replay=tmp_path / "run")
    assert len(list(read_records(tmp_path / "again"))) == 20
    assert simulator.requests() == []


def test_C03_an_error_or_a_cut_is_never_replayed(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {retries: 0}\n", cases=1)
    simulator.faults({"kind": "cut", "how": "clean"})
    run_requests(suite, out=tmp_path / "run")
    assert all(record.error for record in read_records(tmp_path / "run"))
    simulator.faults()
    simulator.forget()
    run_requests(suite, out=tmp_path / "again", replay=tmp_path / "run")
    assert len(simulator.requests()) == 4


def test_C06_a_replayed_answer_is_neither_latency_nor_spending(
    simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    run_requests(suite, out=tmp_path / "run")
    run_requests(suite, out=tmp_path / "again", replay=tmp_path / "run")
    first, second = load_run(tmp_path / "run").trials, load_run(tmp_path / "again").trials
    assert first["latency"].notna().all()
    assert second["latency"].isna().all()
    assert second["replayed"].all()
    assert second["spent"].sum() == 0
    assert second["cost"].sum() == pytest.approx(first["cost"].sum())


def test_T01_a_jumping_wall_clock_moves_no_duration(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    jumps = count()
    real = time.time
    with patch("time.time", lambda: real() + (3600 if next(jumps) % 2 else -3600)):
        run_requests(suite, out=tmp_path / "run")
    latency = load_run(tmp_path / "run").trials["latency"]
    assert ((latency > 0) & (latency < 60)).all()


def test_T02_a_suspended_client_flags_what_it_slept_through(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    simulator.faults({"kind": "slow", "seconds": 0.2})
    suite = write_sums(tmp_path, simulator.openai, "run: {concurrency: 4}\n", cases=3)
    process = cli.begin("run", suite, "--out", "run")
    wait_for_records(tmp_path / "run", 3, process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(STALL * 1.5)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK, err
    stalled = [
        record
        for record in read_records(tmp_path / "run")
        if record.response and STALLED in record.response.flags
    ]
    assert stalled
    assert f"The latency of {len(stalled)} answer" in out
    assert load_run(tmp_path / "run").trials["latency"].notna().sum() == 12 - len(stalled)


def test_T02_only_what_was_under_way_is_flagged() -> None:
    def exchange(sent: int, done: int) -> Exchange:
        return Exchange(
            "t0",
            "target",
            "m",
            Request(),
            Response(attempts=(Attempt(Marks(sent=sent, done=done)),)),
        )

    async def blocked() -> tuple[Exchange, Exchange]:
        async with LoopMonitor() as lag:
            await asyncio.sleep(0.05)
            before = time.perf_counter_ns()
            time.sleep(STALL * 1.2)
            after = time.perf_counter_ns()
            await asyncio.sleep(0.05)
            assert (lag.percentile(1.0) or 0) >= STALL
            return lag.flag_stalled(exchange(before, after)), lag.flag_stalled(
                exchange(before - 10**9, before - 5 * 10**8)
            )

    across, earlier = asyncio.run(blocked())
    assert across.response.flags == (STALLED,)
    assert earlier.response.flags == ()


def test_T03_grading_keeps_off_the_event_loop(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {concurrency: 32}\n", cases=5)
    suite.write_text(suite.read_text().replace("  - number\n", "  - {python: slow.py:grade}\n"))
    (suite.parent / "slow.py").write_text(
        "import time\ndef grade(answer):\n    end = time.process_time() + 0.05\n"
        "    while time.process_time() < end:\n        pass\n    return True\n"
    )
    run_requests(suite, out=tmp_path / "run")
    (session,) = read_manifest(tmp_path / "run").sessions
    # 20 trials × 50 ms of pure computing: on the loop, one slice of it would be a lag of 50 ms at
    # the median.
    trials = load_run(tmp_path / "run").trials
    assert (trials["passed"] == True).all()  # noqa: E712 — a nullable column
    assert session.in_flight is not None and session.in_flight >= 2


def test_T04_failed_requests_are_in_no_percentile(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {retries: 0}\n")
    simulator.faults(
        {"kind": "status", "status": 500, "requests": ["1-20"]}, {"kind": "slow", "seconds": 0.2}
    )
    run_requests(suite, out=tmp_path / "run")
    latency = load_run(tmp_path / "run").trials["latency"].dropna()
    assert len(latency) == 20
    assert latency.min() > 0.19


def test_R10_a_run_that_is_being_written_is_left_as_it_is(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    run_requests(write_sums(tmp_path, simulator.openai), out=tmp_path / "run")
    simulator.forget()
    manifest = (tmp_path / "run" / "manifest.json").read_bytes()
    with (tmp_path / "run" / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = cli("resume", "run")
    assert (ended.code, "another process" in ended.err) == (ExitCode.USAGE, True), ended.err
    assert (tmp_path / "run" / "manifest.json").read_bytes() == manifest
    assert simulator.requests() == []


def test_R10_what_another_process_did_meanwhile_is_not_done_again(
    simulator: Simulated, tmp_path: Path
) -> None:
    """The other one went on with the run, and ended, between our reading of the folder and our
    lock."""
    suite = write_sums(tmp_path, simulator.openai)
    run_requests(suite, out=tmp_path / "run")
    lines = (tmp_path / "run" / RECORDS).read_bytes()
    (tmp_path / "run" / RECORDS).write_bytes(lines[: lines.index(b"\n") + 1])
    simulator.forget()

    class Late(Silent):
        def say(self, text: str) -> None:
            if "previous session" in text:
                (tmp_path / "run" / RECORDS).write_bytes(lines)

    manifest = read_manifest(tmp_path / "run")
    died = replace(manifest, sessions=(replace(manifest.sessions[0], ended=None),))
    write_manifest(tmp_path / "run", died, Redactor({}))
    with pytest.raises(UsageError, match="another process"):
        resume(tmp_path / "run", display=Late())
    assert simulator.requests() == []
