"""`run: {mode: batch}`: submitted once, answered in time, and what goes wrong on the way; over
sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from harness.app.report import load_run
from harness.app.run import resume_requests, run_requests
from harness.engine import batch
from harness.errors import ExitCode, InterruptedRun
from harness.metrics.table import RESPONSE_METRICS
from harness.model import Record
from harness.runs.folder import RECORDS, read_lines, read_records
from harness.runs.records import BatchLine, ExchangeLine, encode_line
from harness.runs.resume_state import ResumeState
from harness.simulator import Config, start
from tests.end_to_end.moments import Impatient, interrupt
from tests.support import Command, Simulated

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
SUITE = """\
suite: batched
prompts: [{{user: "What is {{{{ a }}}} * 7? Answer with the number only."}}]
cases: [cases.jsonl]
graders: [equals: "{{{{ expected }}}}"]
targets:
  - {{name: t, provider: {provider}, base_url: "{address}/client/v4/accounts/a", model: "{model}"}}
sampling: {{temperature: 0, max_tokens: 8}}
run: {{mode: batch{run}}}
{more}
"""


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first poll soon after the submission; the later ones are as many times as long apart as
    ever."""
    monkeypatch.setattr(batch, "FIRST_POLL_WAIT", 0.01)


def written(
    cli: Command,
    simulator: Simulated,
    cases: int = 4,
    run: str = "",
    more: str = "",
    provider: str = "cloudflare",
) -> Path:
    rows = [
        json.dumps({"id": f"c{a}", "vars": {"a": a}, "expected": str(a * 7)}) for a in range(cases)
    ]
    (cli.folder / "cases.jsonl").write_text("\n".join(rows))
    path = cli.folder / "suite.yaml"
    path.write_text(
        SUITE.format(address=simulator.base_url, model=SCOUT, run=run, more=more, provider=provider)
    )
    return path


def bodies(simulator: Simulated) -> list[dict[str, Any]]:
    with urlopen(f"{simulator.base_url}/ledger", timeout=30) as answer:
        return [entry["body"] for entry in json.loads(answer.read())["entries"]]


def submissions(simulator: Simulated) -> list[int]:
    """How many requests each submission had."""
    return [len(body["requests"]) for body in bodies(simulator) if "requests" in body]


def records(cli: Command) -> list[Record]:
    return list(read_records(cli.folder / "run"))


def answered(cli: Command, suite: Path) -> list[Record]:
    """The records of a run of `suite` that nothing stopped and no error marred."""
    assert run_requests(suite, out=cli.folder / "run").codes == ()
    found = records(cli)
    assert [record.error for record in found] == [None] * len(found)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_is_one_submission_some_polls_and_graded_records_without_latency(
    cli: Command, simulator: Simulated
) -> None:
    ended = cli("run", written(cli, simulator), "--out", "run")
    assert ended.code == ExitCode.OK, ended.err
    sent = bodies(simulator)
    assert [set(body) for body in sent] == [{"requests"}, *[{"request_id"}] * 3]
    found = records(cli)
    assert {each["external_reference"] for each in sent[0]["requests"]} == {
        record.key for record in found
    }
    assert all("stream" not in each and each["max_tokens"] == 8 for each in sent[0]["requests"])
    assert [(record.passed, record.response and record.response.flags) for record in found] == [
        (True, ("unknown_stop", "batched"))
    ] * 4
    trials = load_run(cli.folder / "run").trials
    for measure in (metric.name for metric in RESPONSE_METRICS):
        assert trials[measure].isna().all(), measure
    assert "4 answers came in batches and have no latency." in ended.out


def test_tokens_and_cost_add_up_to_what_the_service_told(
    cli: Command, simulator: Simulated
) -> None:
    answered(cli, written(cli, simulator, run=", budget: $0.01"))
    (entry,) = [entry for entry in simulator.requests() if entry["prompt_tokens"] is not None]
    usages = [
        record.response.usage
        for record in records(cli)
        if record.response and record.response.usage
    ]
    assert sum(usage.input_tokens or 0 for usage in usages) == entry["prompt_tokens"]
    assert sum(usage.output_tokens or 0 for usage in usages) == entry["completion_tokens"]
    assert {usage.source for usage in usages} == {"estimated"}
    cost = sum(record.cost or 0 for record in records(cli))
    assert cost == pytest.approx(
        (entry["prompt_tokens"] * 0.27 + entry["completion_tokens"] * 0.85) / 1e6
    )


def test_the_id_is_in_the_journal_before_the_first_poll(cli: Command, simulator: Simulated) -> None:
    answered(cli, written(cli, simulator))
    first, *others = read_lines(cli.folder / "run" / RECORDS)
    assert isinstance(first, BatchLine)
    assert {line.key for line in others} == set(first.trials)
    assert bodies(simulator)[1] == {"request_id": first.id}


def killed(cli: Command, simulator: Simulated, suite: Path) -> None:
    """A run that is killed after its first poll."""
    running = cli.begin("run", suite, "--out", "run")
    until(lambda: len(simulator.requests()) == 2)
    running.kill()
    running.communicate(timeout=60)


def interrupted_twice(cli: Command, simulator: Simulated, suite: Path) -> None:
    """A run that is left at once after its first poll."""
    with ThreadPoolExecutor(1) as aside, pytest.raises(InterruptedRun):
        aside.submit(lambda: (until(lambda: len(simulator.requests()) == 2), interrupt()))
        run_requests(suite, out=cli.folder / "run", display=Impatient(5))  # it has four trials


@pytest.mark.parametrize("stop", [killed, interrupted_twice])
def test_stopped_after_the_submission_and_resumed_it_was_submitted_once(
    cli: Command, simulator: Simulated, stop: Callable[[Command, Simulated, Path], None]
) -> None:
    simulator.faults({"kind": "hang", "requests": [2]})  # the first poll is never answered
    stop(cli, simulator, written(cli, simulator))
    assert records(cli) == []
    simulator.faults()
    assert resume_requests(cli.folder / "run").codes == ()
    assert submissions(simulator) == [4]
    assert len({body["request_id"] for body in bodies(simulator) if "request_id" in body}) == 1
    assert [record.passed for record in records(cli)] == [True] * 4


def test_killed_while_answers_are_written_the_rest_comes_from_the_same_batch(
    cli: Command, simulator: Simulated
) -> None:
    whole = answered(cli, written(cli, simulator))
    path = cli.folder / "run" / RECORDS
    path.write_bytes(
        b"".join(path.read_bytes().splitlines(keepends=True)[:3])
    )  # the batch's line and two records
    assert resume_requests(cli.folder / "run").codes == ()
    assert submissions(simulator) == [4]
    usages = {record.key: record.response.usage for record in whole if record.response}
    assert {
        record.key: record.response.usage for record in records(cli) if record.response
    } == usages


def test_more_than_fit_are_several_submissions(cli: Command, simulator: Simulated) -> None:
    found = answered(cli, written(cli, simulator, cases=1_100))
    assert sorted(submissions(simulator)) == [100, 1_000]
    assert len({record.key for record in found}) == 1_100


def test_what_the_service_finds_too_large_is_halved(cli: Command) -> None:
    with start(Config(ttft_s=0, inter_token_s=0, batch_polls=0, batch_bytes=600)) as small:
        simulator = Simulated(small.base_url)
        found = answered(cli, written(cli, simulator))
        assert submissions(simulator) == [4, 2, 2]
    assert [record.passed for record in found] == [True] * 4


def test_one_request_that_fails_is_data_on_its_own_record(
    cli: Command, simulator: Simulated
) -> None:
    path = written(cli, simulator)
    with (cli.folder / "cases.jsonl").open("a") as cases:
        cases.write(
            '\n{"id": "long", "vars": {"a": 1}, "expected": "7", "sampling": {"max_tokens": 131000}}'
        )
    ended = cli("run", path, "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE
    failed = [record for record in records(cli) if record.error]
    assert [(record.case, record.error and record.error.kind) for record in failed] == [
        ("long", "context_length")
    ]
    assert failed[0].cost == 0
    assert len(records(cli)) == 5
    assert submissions(simulator) == [5]


def test_a_batch_the_service_has_lost_is_owed_and_asked_for_anew(
    cli: Command, simulator: Simulated
) -> None:
    simulator.faults({"kind": "status", "status": 404, "requests": [2]})
    ended = cli("run", written(cli, simulator), "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert {record.error.kind for record in records(cli) if record.error} == {"batch_lost"}
    simulator.faults()
    assert resume_requests(cli.folder / "run").codes == ()
    assert submissions(simulator) == [4, 4]


def test_a_poll_that_fails_for_a_while_is_tried_again(cli: Command, simulator: Simulated) -> None:
    simulator.faults({"kind": "status", "status": 503, "requests": ["2-3"]})
    assert len(answered(cli, written(cli, simulator, run=", retries: 0"))) == 4
    assert submissions(simulator) == [4]


@pytest.mark.parametrize(("times", "kinds"), [("2-4", set()), ("2-6", {"batch_lost"})])
def test_a_proxys_page_is_no_lost_batch_unless_it_stays(
    cli: Command, simulator: Simulated, times: str, kinds: set[str]
) -> None:
    simulator.faults({"kind": "html", "status": 200, "requests": [times]})
    run_requests(written(cli, simulator), out=cli.folder / "run")
    assert submissions(simulator) == [4]
    assert len(records(cli)) == 4
    assert {record.error.kind for record in records(cli) if record.error} == kinds


def test_a_submission_that_is_refused_is_the_error_of_each_trial(
    cli: Command, simulator: Simulated
) -> None:
    simulator.faults({"kind": "status", "status": 400, "requests": [1]})
    assert cli("run", written(cli, simulator), "--out", "run").code == ExitCode.INFRASTRUCTURE
    assert [record.error and record.error.kind for record in records(cli)] == ["bad_request"] * 4
    assert submissions(simulator) == [4]


def test_a_budget_takes_what_fits_and_never_more(cli: Command, simulator: Simulated) -> None:
    """A request may cost $0.0001, so that two fit at first; what they cost in truth leaves room for
    others after them."""
    found = answered(cli, written(cli, simulator, run=", budget: $0.00022"))
    assert submissions(simulator) == [2, 2]
    assert [record.passed for record in found] == [True] * 4


def test_a_budget_that_is_used_up_leaves_the_rest_owed(cli: Command, simulator: Simulated) -> None:
    suite = written(cli, simulator, cases=6, run=", budget: $0.00012")
    assert run_requests(suite, out=cli.folder / "run").codes == (ExitCode.BUDGET,)
    spent = sum(record.cost or 0 for record in records(cli))
    assert 0 < len(records(cli)) < 6
    assert spent <= 0.00012


@pytest.mark.parametrize("provider", ["openai", "cloudflare-chat", "cloudflare-gateway"])
def test_a_provider_without_batches_is_refused_with_its_place(
    cli: Command, simulator: Simulated, provider: str
) -> None:
    ended = cli("run", written(cli, simulator, provider=provider))
    assert ended.code == ExitCode.USAGE
    assert (
        f"suite.yaml:8:13: target 't': {SCOUT} on {provider} does not support batches; remove `mode: batch`"
        in ended.err
    )
    assert simulator.requests() == []


def test_a_run_that_changes_its_mode_is_not_gone_on_with(
    cli: Command, simulator: Simulated
) -> None:
    path = written(cli, simulator)
    answered(cli, path)
    path.write_text(path.read_text().replace("mode: batch", "stream: false"))
    ended = cli("resume", "run")
    assert ended.code == ExitCode.USAGE
    assert "mode" in ended.err


def test_a_judge_is_asked_at_once_and_apart(cli: Command, simulator: Simulated) -> None:
    path = written(cli, simulator)
    judged = '{judge: {rubric: "Is it a number?", target: scout-sim}, weight: 0}'
    path.write_text(path.read_text().replace("graders: [", f"graders: [{judged}, "))
    found = answered(cli, path)
    assert submissions(simulator) == [4]
    asked = [
        exchange for record in found for grade in record.grades for exchange in grade.exchanges
    ]
    assert len(asked) == 4
    assert all(exchange.response.marks.sent is not None for exchange in asked)
    assert all("batched" not in exchange.response.flags for exchange in asked)


def test_a_conversation_with_tools_goes_on_as_ever(cli: Command, simulator: Simulated) -> None:
    path = written(cli, simulator)
    tool = "{name: multiply, description: Multiplies, parameters: {type: object, properties: {}}, returns: 42}"
    path.write_text(path.read_text() + f"tools: [{tool}]\n")
    found = answered(cli, path)
    assert submissions(simulator) == []
    assert len(found) == 4
    assert all(record.response and record.response.marks.done for record in found)


def test_what_was_answered_before_a_kill_is_not_waited_for_again(
    cli: Command, simulator: Simulated
) -> None:
    first = answered(cli, written(cli, simulator))[0]
    path = cli.folder / "run" / RECORDS
    submission, *others = path.read_bytes().splitlines(keepends=True)
    line = encode_line(ExchangeLine(first.key, first.repeat, first.session, first.exchanges[0]))
    path.write_bytes(submission + line)
    owed = ResumeState.read(cli.folder / "run")
    assert (first.key in owed.batches, len(owed.batches)) == (False, 3)
    assert owed.spent == pytest.approx(first.cost)
    path.write_bytes(submission + b"".join(others))
    assert ResumeState.read(cli.folder / "run").batches == {}
