"""SIGKILL again and again in one run, anywhere: nothing acknowledged is lost, and only what was in
flight is asked again.

The server kills the client at its k-th event (a request received, a piece of an answer sent), the
grader kills it while it grades, and the rest of the kills fall into the report. By default each
kind of instant has its turn; `--full` kills fifty times, and draws k and the moments of the report
from a seed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.model import Record
from harness.runs.folder import RECORDS, read_lines, read_records
from harness.runs.records import ToolLine
from tests.end_to_end import killer
from tests.end_to_end.killer import Killer
from tests.support import Command

CONCURRENCY, PIECES = 8, 3

Moment = str | float


@dataclass(frozen=True)
class Sweep:
    """How many trials, and the kills: `asking` at an event of the server, `grading` so often while
    a grader runs.

    `reporting` are moments after the last record: when a file of the report appears, or seconds.
    """

    trials: int
    asking: tuple[int, ...]
    grading: int
    reporting: tuple[Moment, ...]

    @property
    def kills(self) -> int:
        return len(self.asking) + self.grading + len(self.reporting)


# The first request; the first piece of an answer; when most slots have been used several times.
CHOSEN = Sweep(100, (1, CONCURRENCY + 1, 100), 1, ("report.html", "plots"))


def fifty() -> Sweep:
    """Drawn from a seed."""
    random = Random(50)
    asking = tuple(random.randint(1, 140) for _ in range(36))
    return Sweep(2000, asking, 8, tuple(random.uniform(0, 1.5) for _ in range(6)))


SUITE = """
suite: killed
prompts: [{{user: "How much is {{{{ x }}}}?"}}]
cases: [cases.jsonl]
graders: [{{contains: "is"}}, {{python: chance.py:grade}}]
targets: [{{name: m, provider: openai, base_url: "{address}", model: tiny, price: {{input: 1, output: 1}}}}]
sampling: {{max_tokens: 9}}
run: {{concurrency: {concurrency}}}
"""
# Another value each time it is called: a lost result would show.
GRADER = """
import os, random, signal
from pathlib import Path

HERE = Path(__file__).parent

def grade(answer):
    try:
        (HERE / "kill-while-grading").unlink()
        os.kill(os.getppid(), signal.SIGKILL)
    except FileNotFoundError:
        pass
    with open(HERE / "calls.log", "a") as log:
        log.write("called\\n")
    return random.random()
"""


class Handler(killer.Handler):
    """Repeats the question in `PIECES` pieces."""

    def deltas(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        question = body["messages"][-1]["content"]
        return [
            {"content": f"{question[:-1]} is "},
            *({"content": str(number)} for number in range(PIECES - 1)),
        ]


@pytest.fixture
def server() -> Iterator[Killer]:
    with Killer(Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def write_suite(folder: Path, server: Killer, trials: int) -> Path:
    cases = [
        json.dumps({"id": f"c{number}", "vars": {"x": f"{number} + {number}"}})
        for number in range(trials)
    ]
    (folder / "cases.jsonl").write_text("\n".join(cases) + "\n")
    (folder / "chance.py").write_text(GRADER)
    (folder / "suite.yaml").write_text(
        SUITE.format(address=server.address, concurrency=CONCURRENCY)
    )
    return folder / "suite.yaml"


def acknowledged(run: Path) -> dict[str, Record]:
    return {record.key: record for record in read_records(run)}


def results(run: Path) -> dict[str, float]:
    """The grader's results that were journalled, by trial."""
    lines = read_lines(run / RECORDS)
    return {
        line.key: json.loads(line.result.content) for line in lines if isinstance(line, ToolLine)
    }


def killed_while_reporting(process: subprocess.Popen[str], run: Path, moment: Moment) -> None:
    """Kill it at a moment of its report."""
    if isinstance(moment, str):
        before = _written(run / moment)
        while process.poll() is None and _written(run / moment) == before:
            time.sleep(0.001)
    else:
        time.sleep(moment)
    process.kill()


def _written(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


@pytest.mark.timeout(900)
def test_kills_anywhere_lose_nothing_acknowledged(
    cli: Command, server: Killer, tmp_path: Path, full: bool
) -> None:
    sweep = fifty() if full else CHOSEN
    suite, run = write_suite(tmp_path, server, sweep.trials), tmp_path / "run"
    kills: list[int | None] = [*sweep.asking, *[None] * sweep.grading]
    Random(50).shuffle(kills)
    before: dict[str, Record] = {}
    known: dict[str, float] = {}

    def died(process: subprocess.Popen[str], *codes: int) -> None:
        _, err = process.communicate(timeout=120)
        assert process.returncode in (-signal.SIGKILL, *codes), err
        after = acknowledged(run)
        assert before.items() <= after.items()
        before.update(after)
        known.update(results(run))

    begin = ["run", suite, "--out", run]
    for event in kills:
        process = cli.begin(*begin)
        if event is None:
            (tmp_path / "kill-while-grading").touch()
        else:
            server.arm(process, event)
        died(process)
        begin = (
            ["resume", run] if (run / "manifest.json").exists() else ["run", suite, "--out", run]
        )
    server.arm(process, 0)
    for moment in sweep.reporting:
        process = cli.begin("resume", run)
        while len(before) < sweep.trials:
            before.update(acknowledged(run))
            time.sleep(0.05)
        killed_while_reporting(process, run, moment)
        died(process, ExitCode.OK)  # it may have ended before it was killed
    last = cli("resume", run)
    assert last.code == ExitCode.OK, last.err

    records = list(read_records(run))
    assert len(records) == len({record.key for record in records}) == sweep.trials
    assert (run / "report.html").exists()
    asked = Counter(request_id.split("-")[0] for request_id in server.received)
    assert asked.keys() == {record.key for record in records}
    assert sum(asked.values()) <= sweep.trials + sweep.kills * CONCURRENCY
    for record in records:
        assert record.response is not None and record.response.usage is not None
        question = record.exchanges[0].request.messages[-1].text
        assert record.response.text == f"{question[:-1]} is " + "01"
        assert record.response.usage.input_tokens == len(question)
        assert record.grades[1].value == known.get(record.key, record.grades[1].value)
    calls = (tmp_path / "calls.log").read_text().count("called")
    assert calls <= sweep.trials + sweep.kills * 2, (
        "more grading was lost than the pool's two children had under way"
    )
    print(
        f"{sweep.kills} kills, {len(server.received)} requests for {sweep.trials} trials, {calls} grader calls"
    )
