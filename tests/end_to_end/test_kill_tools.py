"""SIGKILL, often, in a run whose trials take two answers and a tool: no completed exchange and no
tool's result is lost.

The tool draws its result at random, so a call that was made again would show; the second answer
repeats it, so one that was lost on the way would show too. What the run says it used and cost is
held against what the server says it answered. By default each kind of instant has its turn;
`--full` kills twenty times, at events drawn from a seed.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.model import Exchange, Record
from harness.runs.folder import RECORDS, read_lines, read_records
from harness.runs.records import ExchangeLine, ToolLine
from tests.end_to_end import killer
from tests.end_to_end.killer import Killer
from tests.support import Command

CONCURRENCY = 6

# A call's only piece; all slots at their tools; amid tools and second answers.
CHOSEN = (40, (2, 2 * CONCURRENCY, 41))


def twenty() -> tuple[int, tuple[int, ...]]:
    """How many trials, and the events at which they are killed: twenty."""
    random = Random(20)
    return 240, tuple(random.randint(1, 70) for _ in range(20))


SUITE = """
suite: killed
prompts: [{{user: "Draw for {{{{ name }}}}."}}]
cases: [cases.jsonl]
tools: [draw.py:draw]
graders: [{{contains: drawn}}]
targets: [{{name: m, provider: openai, base_url: "{address}", model: tiny, price: {{input: 1, output: 2}}}}]
sampling: {{max_tokens: 9}}
run: {{concurrency: {concurrency}}}
"""
TOOL = '''
import random
from pathlib import Path

def draw(name: str) -> int:
    """Draws a number.

    Args:
        name: For whom
    """
    with open(Path(__file__).parent / "calls.log", "a") as log:
        log.write(name + "\\n")
    return random.randint(10**8, 10**9)
'''


class Handler(killer.Handler):
    """Calls the tool for who is named in the question, then says what was drawn."""

    def deltas(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        last = body["messages"][-1]
        if last["role"] == "tool":
            return [{"content": "drawn: "}, {"content": last["content"]}]
        name = last["content"].split()[-1].rstrip(".")
        function = {"name": "draw", "arguments": json.dumps({"name": name})}
        return [
            {
                "tool_calls": [
                    {"index": 0, "id": f"call_{name}", "type": "function", "function": function}
                ]
            }
        ]


@pytest.fixture
def server() -> Iterator[Killer]:
    with Killer(Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def write_suite(folder: Path, server: Killer, trials: int) -> Path:
    cases = [
        json.dumps({"id": f"c{number}", "vars": {"name": f"n{number}"}}) for number in range(trials)
    ]
    (folder / "cases.jsonl").write_text("\n".join(cases) + "\n")
    (folder / "draw.py").write_text(TOOL)
    (folder / "suite.yaml").write_text(
        SUITE.format(address=server.address, concurrency=CONCURRENCY)
    )
    return folder / "suite.yaml"


def completed(run: Path) -> dict[str, Exchange]:
    """Every completed exchange on file, journalled or in a record, by trial and position."""
    found: dict[str, Exchange] = {}
    for line in read_lines(run / RECORDS):
        several = (
            line.exchanges
            if isinstance(line, Record)
            else (line.exchange,)
            if isinstance(line, ExchangeLine)
            else ()
        )
        found |= {f"{line.key}-{each.position}": each for each in several}
    return found


def drawn(run: Path) -> dict[str, str]:
    """Every tool's result on file, by trial."""
    return {
        line.key: line.result.content
        for line in read_lines(run / RECORDS)
        if isinstance(line, ToolLine)
    }


def texts(steps: dict[str, Exchange]) -> dict[str, str]:
    return {name: exchange.response.text for name, exchange in steps.items()}


@pytest.mark.timeout(600)
def test_kills_between_the_steps_lose_none_that_was_completed(
    cli: Command, server: Killer, tmp_path: Path, full: bool
) -> None:
    trials, kills = twenty() if full else CHOSEN
    suite, run = write_suite(tmp_path, server, trials), tmp_path / "run"
    steps: dict[str, Exchange] = {}
    results: dict[str, str] = {}
    begin: list[str | Path] = ["run", suite, "--out", run]
    for event in kills:
        server.arm(process := cli.begin(*begin), event)
        _, err = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, err
        begin = ["resume", run] if (run / "manifest.json").exists() else begin
        if (run / RECORDS).exists():
            now = completed(run)
            assert texts(steps).items() <= texts(now).items()
            steps, before, results = now, results, drawn(run)
            assert before.items() <= results.items()
    last = cli(*begin)
    assert last.code == ExitCode.OK, last.err

    records = list(read_records(run))
    assert len(records) == len({record.key for record in records}) == trials
    for record in records:
        first, second = record.exchanges
        told = second.request.messages[-1]
        assert (told.role, second.response.text) == ("tool", f"drawn: {told.text}")
        assert results.get(record.key, told.text) == told.text, (
            "a tool's result was lost and drawn again"
        )
        assert (
            steps.get(f"{record.key}-{first.position}", first).response.message
            == first.response.message
        )
    asked = Counter(server.received)
    assert {name.rsplit("-", 1)[0] for name in asked} == {
        f"{each.key}-{at}" for each in records for at in ("t0", "t2")
    }
    assert sum(asked.values()) <= 2 * trials + len(kills) * CONCURRENCY, (
        "more was asked again than was in flight"
    )
    calls = (tmp_path / "calls.log").read_text().split()
    assert set(calls) == {f"n{number}" for number in range(trials)}
    assert len(calls) <= trials + len(kills) * 2, (
        "more calls were repeated than the pool's two children had under way"
    )
    _hold_against(server, records)
    print(
        f"{len(kills)} kills, {sum(asked.values())} requests for {2 * trials} exchanges, {len(calls)} tool calls for {trials}"
    )


def _hold_against(server: Killer, records: list[Record]) -> None:
    """Usage and cost of every exchange as the server counted them."""
    billed = {
        identifier.rsplit("-", 1)[0]: (read, written)
        for identifier, read, written in server.answered
    }
    for record in records:
        expected = [billed[f"{record.key}-{position}"] for position in ("t0", "t2")]
        used = [
            (each.response.usage.input_tokens, each.response.usage.output_tokens)
            for each in record.exchanges
            if each.response.usage
        ]
        assert used == expected
        assert record.cost == pytest.approx(
            sum(read + 2 * written for read, written in expected) / 1e6
        )
