"""SIGKILL fifty times in one run, anywhere: nothing acknowledged is lost, and only what was in flight is asked again.

The server kills the client at its k-th event (a request received, a piece of an answer sent), the grader kills it while it
grades, and the rest of the kills fall into the report. k is drawn from a seed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
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

TRIALS, CONCURRENCY = 2000, 8
KILLS_ASKING, KILLS_GRADING, KILLS_REPORTING = 36, 8, 6
PIECES = 3

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
        return [{"content": f"{question[:-1]} is "}, *({"content": str(number)} for number in range(PIECES - 1))]


@pytest.fixture
def server() -> Iterator[Killer]:
    with Killer(Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def write_suite(folder: Path, server: Killer) -> Path:
    cases = [json.dumps({"id": f"c{number}", "vars": {"x": f"{number} + {number}"}}) for number in range(TRIALS)]
    (folder / "cases.jsonl").write_text("\n".join(cases) + "\n")
    (folder / "chance.py").write_text(GRADER)
    (folder / "suite.yaml").write_text(SUITE.format(address=server.address, concurrency=CONCURRENCY))
    return folder / "suite.yaml"


def acknowledged(run: Path) -> dict[str, Record]:
    return {record.key: record for record in read_records(run)}


def results(run: Path) -> dict[str, float]:
    """The grader's results that were journalled, by trial."""
    lines = read_lines(run / RECORDS)
    return {line.key: json.loads(line.result.content) for line in lines if isinstance(line, ToolLine)}


@pytest.mark.timeout(900)
def test_fifty_kills_lose_nothing_acknowledged(cli: Command, server: Killer, tmp_path: Path) -> None:
    random = Random(50)
    suite, run = write_suite(tmp_path, server), tmp_path / "run"
    kills = ["asking"] * KILLS_ASKING + ["grading"] * KILLS_GRADING
    random.shuffle(kills)
    before: dict[str, Record] = {}
    known: dict[str, float] = {}

    def died(process: subprocess.Popen[str]) -> None:
        _, err = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, err
        after = acknowledged(run)
        assert before.items() <= after.items()
        before.update(after)
        known.update(results(run))

    begin = ["run", suite, "--out", run]
    for kill in kills:
        process = cli.begin(*begin)
        if kill == "asking":
            server.arm(process, random.randint(1, 140))
        else:
            (tmp_path / "kill-while-grading").touch()
        died(process)
        begin = ["resume", run] if (run / "manifest.json").exists() else ["run", suite, "--out", run]
    server.arm(process, 0)
    for _ in range(KILLS_REPORTING):
        process = cli.begin("resume", run)
        while len(before) < TRIALS:
            before.update(acknowledged(run))
            time.sleep(0.05)
        time.sleep(random.uniform(0, 1.5))
        process.kill()
        died(process)
    _, err = (last := cli.begin("resume", run)).communicate(timeout=120)
    assert last.returncode == ExitCode.OK, err

    records = list(read_records(run))
    total = KILLS_ASKING + KILLS_GRADING + KILLS_REPORTING
    assert len(records) == len({record.key for record in records}) == TRIALS
    assert (run / "report.html").exists()
    asked = Counter(request_id.split("-")[0] for request_id in server.received)
    assert asked.keys() == {record.key for record in records}
    assert sum(asked.values()) <= TRIALS + total * CONCURRENCY
    for record in records:
        assert record.response is not None and record.response.usage is not None
        question = record.exchanges[0].request.messages[-1].text
        assert record.response.text == f"{question[:-1]} is " + "01"
        assert record.response.usage.input_tokens == len(question)
        assert record.grades[1].value == known.get(record.key, record.grades[1].value)
    calls = (tmp_path / "calls.log").read_text().count("called")
    assert calls <= TRIALS + total * 2, "more grading was lost than the pool's two children had under way"
    print(f"{total} kills, {len(server.received)} requests for {TRIALS} trials, {calls} grader calls")
