"""A signal at any instant of any command: a word, an exit code, the truth about what is kept, and
nobody left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.app.run import resume_requests, run_requests
from harness.errors import ExitCode
from harness.runs.folder import MANIFEST, RECORDS
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

STAGES = [MANIFEST, RECORDS, "report.md"]
"""Files that come to be one after the other."""

COMMANDS: dict[str, list[str]] = {
    "run": ["run", "suites/sums.yaml", "--out", "run"],
    "resume": ["resume", "done"],
    "report": ["report", "done"],
    "show": ["show", "done", "--failed"],
    "validate": ["validate", "suites/sums.yaml"],
    "init": ["init", "new"],
    "simulate": ["simulate", "--port", "0"],
}


def is_handled(process: subprocess.Popen[str]) -> bool:
    """Whether the process has come to its own first line: SIGTERM is caught."""
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    found = re.search(r"^SigCgt:\t(\w+)", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGTERM - 1) & 1)


def wait_for(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    while process.poll() is None and not reached():
        time.sleep(0.005)


def processes_of(mark: str) -> list[int]:
    """The processes whose environment holds `mark`: a command and all it started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:  # another user's, or gone
            continue
    return found


def check_end(process: subprocess.Popen[str], folder: Path, mark: str) -> None:
    """What holds after a signal, whenever it came."""
    _, err = process.communicate(timeout=60)
    assert process.returncode in {ExitCode.INTERRUPTED, ExitCode.OK}, err
    assert "Traceback" not in err and "Exception ignored" not in err and "this is a bug" not in err
    if process.returncode == ExitCode.INTERRUPTED and "simulate" not in process.args:
        assert "interrupted" in err or "stopping" in err
    for named in re.findall(r"harness (?:resume|report) (\S+)", err):
        assert (folder / named / MANIFEST).exists(), err
    deadline = time.monotonic() + 10
    while left := processes_of(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


@pytest.fixture
def marked(simulator: Simulated, tmp_path: Path) -> tuple[Command, str]:
    """The command line in a folder with a suite and a run of it, and what marks its processes."""
    suite = write_sums(tmp_path, simulator.openai, cases=4)
    run_requests(suite, out=tmp_path / "done")
    mark = f"INTERRUPTED_TEST={os.getpid()}-{tmp_path.name}"
    name, _, value = mark.partition("=")
    return Command(tmp_path, {name: value}), mark


@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_from_the_first_instant_to_the_last(
    marked: tuple[Command, str], tmp_path: Path, full: bool, command: str
) -> None:
    cli, mark = marked
    delays = [step / 20 for step in range(60)] if full else [0.0]
    for number, delay in enumerate(delays):
        process = cli.begin(*COMMANDS[command])
        wait_for(process, lambda process=process: is_handled(process))
        time.sleep(delay)
        process.send_signal(SIGNALS[number % 3])
        check_end(process, tmp_path, mark)
        for made in ("run", "new"):
            shutil.rmtree(tmp_path / made, ignore_errors=True)


@pytest.mark.parametrize("stage", range(3), ids=STAGES)
def test_a_signal_at_each_stage_of_a_run(
    marked: tuple[Command, str], tmp_path: Path, full: bool, stage: int
) -> None:
    cli, mark = marked
    for number in SIGNALS if full else [SIGNALS[stage]]:
        process = cli.begin(*COMMANDS["run"])
        wait_for(process, (tmp_path / "run" / STAGES[stage]).exists)
        process.send_signal(number)
        check_end(process, tmp_path, mark)
        assert resume_requests(tmp_path / "run").codes == ()
        shutil.rmtree(tmp_path / "run")
