"""The user's own application as a target, from a suite to its report: replay, resume, secrets,
Ctrl-C."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

import harness
from harness.app.run import resume_requests, run_requests
from harness.errors import ExitCode
from harness.runs.folder import read_records
from tests.end_to_end.moments import After, interrupt
from tests.support import Command

APP = """
import asyncio
import os

async def answer(request):
    await asyncio.sleep(0)
    first, _, second = request["messages"][-1]["content"].split()
    return {"text": str(int(first) + int(second)), "usage": {"input": 3, "output": 1}, "cost": 0.001}

def leak(request):
    return "the key is " + os.environ["APP_API_KEY"]
"""
PACED = """
import asyncio
from pathlib import Path

async def paced(request):
    await asyncio.sleep(float(Path("PACE").read_text()))
    return "1"
"""
SUITE = """
suite: own
prompts: ["{{ question }}"]
cases: [cases.csv]
graders: [{equals: "{{ expected }}"}]
targets: [{name: mine, TARGET}]
run: {concurrency: 4}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A suite of 20 sums for a function of the user's own."""
    suites = tmp_path / "suites"
    suites.mkdir()
    (suites / "prompt.md").write_text("{{ question }}")
    rows = [f"c{number},{number} + {number},{2 * number}" for number in range(20)]
    (suites / "cases.csv").write_text("\n".join(["id,question,expected", *rows]) + "\n")
    (suites / "app.py").write_text(APP)
    return write(suites, 'provider: python, model: "app.py:answer"')


def write(suites: Path, target: str) -> Path:
    (suites / "own.yaml").write_text(
        SUITE.replace('["{{ question }}"]', "prompt.md").replace("TARGET", target)
    )
    return suites / "own.yaml"


def test_an_application_is_run_graded_priced_and_replayed(
    cli: Command, own: Path, tmp_path: Path
) -> None:
    ended = cli("run", own, "--out", "first")
    assert ended.code == 0, ended.err
    trials = harness.load_run(tmp_path / "first").trials
    assert trials["passed"].all() and len(trials) == 20
    assert trials["cost"].sum() == pytest.approx(0.02)
    assert set(trials["tokens_source"]) == {"reported"}
    assert "20 reused, 0 new" in cli("run", own, "--out", "second", "--replay", "first").err
    own.with_name("app.py").write_text(APP + "# edited\n")
    assert "0 reused, 20 new" in cli("run", own, "--out", "third", "--replay", "first").err


def test_an_edited_application_cannot_go_on_with_an_old_run(
    cli: Command, own: Path, tmp_path: Path
) -> None:
    run_requests(own, out=tmp_path / "run")
    own.with_name("app.py").write_text(APP + "# edited\n")
    ended = cli("resume", "run")
    assert ended.code == ExitCode.USAGE
    assert "target mine changed" in ended.err


def test_validate_runs_no_line_of_it(cli: Command, own: Path) -> None:
    own.with_name("app.py").write_text("raise RuntimeError('must not run')\n" + APP)
    assert cli("validate", own).code == 0
    assert "CALL file://" in cli("run", own, "--dry-run").out
    ended = cli("run", own, "--out", "run")
    assert ended.code == ExitCode.USAGE
    assert "cannot be imported: RuntimeError: must not run (app.py:1)" in ended.err
    assert not own.parent.with_name("run").exists()


@pytest.mark.parametrize(
    "target",
    [
        'provider: python, model: "app.py:leak", env: [APP_API_KEY]',
        'provider: command, model: [sh, -c, "echo $APP_API_KEY"], env: [APP_API_KEY]',
    ],
)
def test_a_key_it_lets_out_is_redacted(
    cli: Command, own: Path, tmp_path: Path, target: str
) -> None:
    write(own.parent, target)
    assert "needs the environment variable APP_API_KEY, which is not set" in cli("run", own).err
    (tmp_path / "keys.env").write_text("APP_API_KEY=sk-very-secret-1234\n")
    assert cli("run", own, "--out", "run", "--limit", "2", "--env-file", "keys.env").code == 0
    texts = {record.response.text for record in read_records(tmp_path / "run") if record.response}
    assert texts <= {"the key is [redacted APP_API_KEY]", "[redacted APP_API_KEY]"}
    assert not any(
        b"sk-very-secret" in each.read_bytes()
        for each in (tmp_path / "run").rglob("*")
        if each.is_file()
    )


@pytest.mark.parametrize(
    "target",
    [
        'provider: python, model: "app.py:paced"',
        "provider: command, model: [sh, -c, 'sleep $(cat PACE); echo 1']",
    ],
)
def test_ctrl_c_lets_what_runs_finish_and_resume_goes_on(
    own: Path, tmp_path: Path, target: str
) -> None:
    pace = tmp_path / "pace"
    pace.write_text("0.2")
    own.with_name("app.py").write_text(PACED.replace("PACE", str(pace)))
    write(own.parent, target.replace("PACE", str(pace)))
    stopped = run_requests(own, out=tmp_path / "run", display=After(2, interrupt))
    assert stopped.codes == (ExitCode.INTERRUPTED,)
    before = list(read_records(tmp_path / "run"))
    assert 2 <= len(before) < 20
    assert all(record.error is None for record in before)
    pace.write_text("0")  # what is left needs no time
    assert resume_requests(tmp_path / "run").codes == ()
    assert len({record.key for record in read_records(tmp_path / "run")}) == 20


def test_a_second_ctrl_c_leaves_a_function_that_hangs(
    cli: Command, own: Path, tmp_path: Path
) -> None:
    """A thread cannot be ended, and must not keep the process from ending."""
    own.with_name("app.py").write_text(
        "import time\n\ndef answer(request):\n    open(__file__ + '.started', 'w').close()\n    time.sleep(600)\n"
    )
    process = cli.begin("run", own, "--out", "run")
    deadline = time.monotonic() + 60
    while not own.with_name("app.py.started").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "interrupt again to exit now" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
