"""Other processes make a run's report: with the same words, files and exit codes, and none of them
is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.app.background import available_cores
from harness.errors import ExitCode
from harness.runs.folder import PARQUET, REPORTS, read_manifest
from tests.app.test_background import wait_until_gone
from tests.end_to_end.moments import wait_for_records
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated

pytestmark = pytest.mark.skipif(
    available_cores() < 2, reason="no process is begun where no core is to spare"
)

ROOT = Path(__file__).parents[2]
FILES = {*REPORTS.values(), PARQUET, "plots/pass_rate.svg", "plots/latency.svg"}


def files(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


def child_of(pid: int) -> int:
    """The process id of the one child, once there is one."""
    deadline = time.monotonic() + 60
    while not (
        found := subprocess.run(
            ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
        ).stdout.split()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (child,) = found
    return int(child)


def test_the_report_of_a_run_is_that_of_harness_report(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    process = cli.begin("run", suite, "--out", "run")
    child = child_of(process.pid)
    out, err = process.communicate(timeout=90)
    assert process.returncode == ExitCode.OK, err
    assert files(tmp_path / "run") >= FILES
    contents = {name: (tmp_path / "run" / name).read_bytes() for name in FILES}
    again = Command(tmp_path, draws=True)("report", "run")
    assert (again.out, again.code) == (out, ExitCode.OK)
    assert {name: (tmp_path / "run" / name).read_bytes() for name in FILES} == contents
    wait_until_gone(child)


def test_who_ends_the_process_that_makes_the_report_is_told_and_nothing_is_lost(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    process = cli.begin("run", suite, "--out", "run")
    subprocess.run(["kill", "-KILL", str(child_of(process.pid))], check=True)
    _, err = process.communicate(timeout=90)
    assert process.returncode == ExitCode.INFRASTRUCTURE
    assert err.endswith(
        "was killed by signal SIGKILL; every record is kept, and `harness report` makes the report\n"
    )
    assert cli("report", "run").code == ExitCode.OK
    assert files(tmp_path / "run") >= FILES


def test_a_file_that_cannot_be_written_is_told_after_the_table(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    simulator.faults({"kind": "slow", "seconds": 0.5})
    process = cli.begin("run", suite, "--out", "run")
    wait_for_records(tmp_path / "run", 1, process)
    (tmp_path / "run" / "report.md").mkdir()
    out, err = process.communicate(timeout=90)
    assert process.returncode == ExitCode.INFRASTRUCTURE
    assert "pass rate (95 %)" in out
    assert "report: run" not in out
    assert err.endswith("error: run/report.md: cannot be written: Is a directory\n")
    (tmp_path / "run" / "report.md").rmdir()
    assert cli("report", "run").code == ExitCode.OK
    assert files(tmp_path / "run") >= FILES


def wait_for_session_end(folder: Path) -> None:
    """Returns once the run's manifest says that its session has ended."""
    deadline = time.monotonic() + 60
    while read_manifest(folder).sessions[-1].ended is None:
        assert time.monotonic() < deadline, "the session does not end"
        time.sleep(0.01)


def test_an_interrupt_while_the_report_is_waited_for_leaves_nobody_behind(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    process = cli.begin("run", suite, "--out", "run")
    child = child_of(process.pid)
    subprocess.run(["kill", "-STOP", str(child)], check=True)
    wait_for_records(tmp_path / "run", 40, process)
    wait_for_session_end(tmp_path / "run")  # before it, an interrupt would only stop the sending
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert process.returncode == ExitCode.INTERRUPTED, err
    wait_until_gone(child)
    assert cli("report", "run").code == ExitCode.OK


def test_a_mistake_in_the_suite_leaves_nobody_behind(cli: Command, tmp_path: Path) -> None:
    process = cli.begin("run", "nothing.yaml")
    child = child_of(process.pid)
    _, err = process.communicate(timeout=90)
    assert process.returncode == ExitCode.USAGE
    assert err.startswith("error: ")
    wait_until_gone(child)


@pytest.mark.parametrize(
    ("worker", "forbidden"),
    [
        ("ReportMaker", {"scipy.stats", "matplotlib", "httpx", "anyio", "harness.app.run"}),
        (
            "PlotMaker",
            {"pandas", "scipy", "duckdb", "pydantic", "harness.suite", "harness.analysis.frame"},
        ),
    ],
)
def test_each_process_imports_only_what_it_needs(worker: str, forbidden: set[str]) -> None:
    program = f"import sys; from harness.app import report_job\nfor _ in report_job.{worker}().load(): pass\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & forbidden
