"""From YAML to report, over real sockets: every record once, and equal to what the server saw."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest

import harness
from harness.app.run import run_requests
from harness.errors import ExitCode
from harness.runs.folder import read_manifest, read_records
from harness.suite import Overrides
from tests.end_to_end.moments import After, interrupt
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated

CROSSING = 10**9
"""Nanoseconds by which the stamps that two processes put around one write may cross: either may be
held up before its own."""


def test_a_suite_becomes_a_report(simulator: Simulated, tmp_path: Path) -> None:
    cli = Command(tmp_path, draws=True)
    suite = write_sums(
        tmp_path,
        simulator.openai,
        "gates:\n  - pass_rate >= 10%\n  - error_rate == 0\n  - cost <= $1\n",
    )
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.OK, ended.err
    assert "40 of 40 trials" in ended.out
    assert "report: run/report.html" in ended.out
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "manifest.json",
        "records.jsonl",
        "records.parquet",
        "lock",
        "plots",
        "report.html",
        "report.md",
        "results.csv",
        "summary.json",
        "junit.xml",
    }
    summary = json.loads((run / "summary.json").read_text())
    assert summary["verdict"] == "pass"
    assert summary["totals"]["trials"] == 40
    assert duckdb.sql(f"SELECT count(*) FROM '{run}/records.parquet'").fetchall() == [(40,)]
    assert ElementTree.parse(run / "junit.xml").getroot().tag == "testsuites"


def test_records_are_what_the_server_saw(simulator: Simulated, tmp_path: Path) -> None:
    run_requests(write_sums(tmp_path, simulator.openai), out=tmp_path / "run")
    records = {record.key: record for record in read_records(tmp_path / "run")}
    seen = simulator.requests()
    assert Counter(each["client_request_id"] for each in seen) == Counter(
        f"{key}-t0-0" for key in records
    )
    for each in seen:
        response = records[each["client_request_id"].split("-")[0]].response
        assert response is not None
        assert response.usage is not None
        assert (response.usage.input_tokens, response.usage.output_tokens) == (
            each["prompt_tokens"],
            each["completion_tokens"],
        )
        marks = response.marks
        assert (
            marks.sent is not None
            and marks.first_token is not None
            and marks.last_token is not None
        )
        assert marks.sent - CROSSING <= each["arrived_ns"] <= marks.first_token
        assert each["events_ns"][0] <= marks.last_token + CROSSING


@pytest.mark.timeout(300)
def test_thousands_of_trials_are_each_recorded_exactly_once(
    simulator: Simulated, tmp_path: Path, full: bool
) -> None:
    trials = 10_000 if full else 2_000
    suite = write_sums(tmp_path, simulator.openai, "run: {concurrency: 64}\n", cases=trials // 4)
    run_requests(suite, out=tmp_path / "run")
    keys = Counter(record.key for record in read_records(tmp_path / "run"))
    assert len(keys) == read_manifest(tmp_path / "run").planned == trials
    assert set(keys.values()) == {1}
    assert Counter(each["client_request_id"].split("-")[0] for each in simulator.requests()) == keys


@pytest.mark.parametrize("stream", ["true", "false"])
def test_workers_ai_answers_are_graded_priced_and_marked(
    simulator: Simulated, tmp_path: Path, stream: str
) -> None:
    suite = write_sums(tmp_path, simulator.openai, f"run: {{stream: {stream}}}\n")
    model = "@cf/meta/llama-4-scout-17b-16e-instruct"
    target = f'{{name: scout, provider: cloudflare, base_url: "{simulator.cloudflare}", model: "{model}"}}'
    lines = [
        f"  - {target}" if "name: local" in line else line
        for line in suite.read_text().splitlines()
    ]
    suite.write_text("\n".join(lines) + "\n")
    run_requests(suite, out=tmp_path / "run", overrides=Overrides(limit=3))
    records = list(read_records(tmp_path / "run"))
    assert len(records) == 12
    for record in records:
        response = record.response
        assert response is not None
        assert response.headers["x-simulated"] == "evalharness"
        assert record.passed is not None
        cost = record.exchanges[0].cost
        assert cost.reported is not None and cost.priced is not None
        assert cost.reported == pytest.approx(cost.priced, rel=0.01)
        assert (response.marks.first_token is not None) is (stream == "true")


def test_a_simulated_target_needs_nothing_and_says_so(cli: Command, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, "http://unused/v1", cases=3)
    lines = [
        "  - {name: sim, provider: simulator, model: llama-4-scout, simulator: {ttft: 0s, inter_token: 0s}}"
        if "name: local" in line
        else line
        for line in suite.read_text().splitlines()
    ]
    suite.write_text("\n".join(lines) + "\n")
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.OK, ended.err
    assert "SIMULATED" in ended.out
    assert "SIMULATED" in (tmp_path / "run" / "report.html").read_text()
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["simulated"] is True


def test_several_runs_stand_side_by_side(simulator: Simulated, tmp_path: Path) -> None:
    cli = Command(tmp_path, draws=True)
    suite = write_sums(tmp_path, simulator.openai)
    run_requests(suite, out=tmp_path / "one")
    warmer = Overrides(sampling={"temperature": 0.5})
    run_requests(suite, out=tmp_path / "two", overrides=warmer)
    ended = cli("report", "one", "two", "--out", "both")
    assert ended.code == ExitCode.OK, ended.err
    assert [
        run["id"] for run in json.loads((tmp_path / "both" / "summary.json").read_text())["runs"]
    ] == ["one", "two"]


def test_one_transcript_is_shown(cli: Command, simulator: Simulated, tmp_path: Path) -> None:
    run_requests(write_sums(tmp_path, simulator.openai), out=tmp_path / "run")
    shown = cli("show", "run", "c3", "--prompt", "strict")
    assert shown.out.count("── user\nWhat is 3 + 9?") == 2
    assert "grade  number" in shown.out
    missing = cli("show", "run", "nobody")
    assert missing.code == ExitCode.USAGE
    assert "nobody" in missing.err


async def _run_inside_a_loop(suite: Path, out: Path) -> Path:
    return harness.run(suite, out=out).folder


def test_a_notebook_with_a_running_loop_gets_frames(simulator: Simulated, tmp_path: Path) -> None:
    folder = asyncio.run(
        _run_inside_a_loop(write_sums(tmp_path, simulator.openai), tmp_path / "run")
    )
    frames = harness.load_run(folder)
    assert len(frames.trials) == 40
    assert set(frames.trials["param_temperature"]) == {0, 1}
    assert frames.trials["cost"].sum() == pytest.approx(
        (frames.trials["input_tokens"].sum() * 1 + frames.trials["output_tokens"].sum() * 2) / 1e6
    )


def test_python_takes_the_options_of_the_command_line(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "gates: [pass_rate >= 0]\n")
    run = harness.run(
        suite,
        limit=2,
        targets="local",
        set={"sampling.temperature": 0.5},
        overrides=harness.Overrides(filters=("prompt=terse",)),
        out=tmp_path / "run",
    )
    assert repr(run) == f"<{tmp_path}/run: pass, 2 trials, exit code 0 (OK)>"
    assert run.exit_code == 0
    assert set(run.trials["case"]) == {"c0", "c1"}
    assert set(run.grades["name"]) == {"number", "length"}
    assert len(run.exchanges) == 2
    assert {body["temperature"] for body in simulator.bodies()[-2:]} == {0.5}
    for wrong in ({"targets": ["gone"]}, {"set": {"temperature": 0}}):
        with pytest.raises(harness.HarnessError):
            harness.run(suite, **wrong)


async def _run_and_interrupt(suite: Path, out: Path) -> None:
    with pytest.raises(harness.HarnessError, match="harness resume"):
        harness.run(suite, out=out, display=After(5, interrupt))


def test_a_notebook_can_stop_a_run(simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai, "run: {concurrency: 1}\n", cases=50)
    loop = asyncio.new_event_loop()  # not asyncio.run, whose handler of interrupts notebooks lack
    loop.run_until_complete(_run_and_interrupt(suite, tmp_path / "run"))
    loop.close()
    assert 5 <= len(harness.load_run(tmp_path / "run").trials) < 200
