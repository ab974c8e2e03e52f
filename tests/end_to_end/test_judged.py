"""Judges over sockets: whom they are, what they are sent, what becomes of what they say, and who
pays.

The target echoes what it is asked, so that a case is the answer to be judged; the judges of
`Judges` each fail in their own way, and the simulator is an honest one.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.model import Record
from harness.runs.folder import read_manifest, read_records
from tests.graders.attacks import ATTACKS
from tests.support import Command, Simulated

SUITE = """
suite: judged
prompts: [{{user: "{{{{ answer }}}}"}}]
cases: [cases.jsonl]
graders:
  - {{judge: {{rubric: rubric.md, target: {judge}{more}}}}}
targets: [{{name: echo, provider: openai, base_url: "{echo}", model: echo, price: {{input: 1, output: 1}}}}]
sampling: {{max_tokens: 99}}
run: {{stream: false, retries: 0{run}}}
"""
RUBRIC = "The answer names the capital of {{ country }}.\nExpected: {{ expected }}\n"
SIGNALS = {"deadly": signal.SIGKILL, "interrupting": signal.SIGINT}
REPLIES = {
    "honest": '{"reason": "It does not.", "pass": false}',
    "prose": "I think it passes. PASS",
    "half": '{"reason": "It',
}


class Judges(ThreadingHTTPServer):
    """Answers in OpenAI's format, as the model asked for does; `requests` are the bodies it
    received."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.limited = True
        self.in_flight = self.most_in_flight = 0
        self.guard = threading.Lock()
        self.victim: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def asked(self, model: str) -> list[dict[str, Any]]:
        """What this model was asked."""
        return [body for body in self.requests if body["model"] == model]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Judges

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.guard:
            self.server.requests.append(body)
            self.server.keys.append(self.headers["authorization"])
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
        self._answer(body["model"], body["messages"][-1]["content"])

    def _answer(self, model: str, text: str) -> None:
        if model in SIGNALS:
            with (
                self.server.guard
            ):  # of several who judge at once, one: a second signal would mean something else
                victim, self.server.victim = self.server.victim, None
            if victim is not None:
                victim.send_signal(SIGNALS[model])
        if model == "limited" and self.server.limited:
            self._send(
                429,
                {
                    "error": {
                        "message": "slow down",
                        "type": "rate_limit_error",
                        "code": "rate_limit_exceeded",
                    }
                },
            )
            return
        finish = {"cut": "length", "refusing": "content_filter"}.get(model, "stop")
        message = {"role": "assistant", "content": self._said(model, text)}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        self._send(
            200,
            {
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": usage,
            },
        )

    @staticmethod
    def _said(model: str, text: str) -> str:
        if model == "echo":
            return str(text)
        if model == "obeying":
            return "GRADE: " + [*re.findall(r"GRADE: (\w+)", text), "FAIL"][-1]
        if model == "quoting":
            return f"It reads: {text}\n{REPLIES['honest']}"
        return REPLIES.get(model, REPLIES["honest"])

    def _send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        with self.server.guard:
            self.server.in_flight -= 1
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        try:
            self.end_headers()
            self.wfile.write(content)
        except ConnectionError:
            self.close_connection = True  # the client was killed

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def judges() -> Iterator[Judges]:
    with Judges() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def write_suite(
    folder: Path,
    server: Judges,
    judge: str,
    answers: tuple[str, ...] = ("Sydney",),
    *,
    address: str | None = None,
    price: str = "price: {input: 1000, output: 0}",
    more: str = "",
    run: str = "",
) -> Path:
    """A suite whose cases are `answers`, all to be judged by the model `judge`, at the server
    unless at `address`."""
    rows = [
        {
            "id": f"c{place}",
            "vars": {"answer": answer, "country": "Australia"},
            "expected": "Canberra",
            "metadata": {"k": "hidden"},
        }
        for place, answer in enumerate(answers)
    ]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "rubric.md").write_text(RUBRIC)
    target = (
        f'{{provider: openai, base_url: "{address or server.address}", model: {judge}, {price}}}'
    )
    (folder / "targets.yaml").write_text(f"referee: {target}\n")
    (folder / "suite.yaml").write_text(
        SUITE.format(judge="referee", echo=server.address, more=more, run=run)
    )
    return folder / "suite.yaml"


def one(run: Path) -> Record:
    """The last record of a run of one trial."""
    return list(read_records(run))[-1]


def test_a_judge_decides_and_is_kept_apart(cli: Command, judges: Judges, tmp_path: Path) -> None:
    ended = cli("run", write_suite(tmp_path, judges, "honest"), "--out", tmp_path / "run")
    assert ended.code == ExitCode.OK, ended.err
    record, manifest = one(tmp_path / "run"), read_manifest(tmp_path / "run")
    assert record.passed is False
    assert record.response is not None and record.response.text == "Sydney"
    assert [exchange.role for exchange in record.exchanges] == ["target"]
    (grade,) = record.grades
    assert [(each.position, each.role, each.target) for each in grade.exchanges] == [
        ("g0.0", "judge", "referee")
    ]
    assert (grade.reason, grade.exchanges[0].response.text) == ("It does not.", REPLIES["honest"])
    assert record.cost == pytest.approx(110e-6)
    assert record.grading_cost == pytest.approx(0.1)
    assert list(manifest.targets) == ["echo"]
    assert manifest.helpers["referee"]["model"] == "honest"
    assert manifest.planned == 1
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["totals"]["input_tokens"], summary["totals"]["graded"]) == (
        100,
        pytest.approx(0.1),
    )
    (helper,) = summary["helpers"]
    assert (helper["name"], helper["role"], helper["requests"], helper["input_tokens"]) == (
        "referee",
        "judge",
        1,
        100,
    )
    assert "also asks referee" in ended.err
    assert "referee" in ended.out


def test_a_judge_is_sent_nothing_but_what_is_declared(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    """J04."""
    suite = write_suite(tmp_path, judges, "honest", ("Sydney", "Perth"))
    cli.record(suite)
    first, second = sorted(
        judges.asked("honest"), key=lambda body: "Perth" in body["messages"][1]["content"]
    )
    assert first.keys() == {"model", "messages", "temperature", "max_tokens"}
    text = first["messages"][1]["content"]
    bare = re.sub(r"</?(\w+)-[0-9a-f]{16}>", r"<\1>", text)
    assert bare == (
        "<rubric>\nThe answer names the capital of Australia.\nExpected: Canberra\n\n<rubric>\n\n"
        "<conversation>\nSydney\n<conversation>\n\n<answer>\nSydney\n<answer>"
    )
    assert first["messages"][0] == second["messages"][0]
    sent = json.dumps(judges.asked("honest"))
    assert not [word for word in ("hidden", "c0", "echo", str(tmp_path), "suite") if word in sent]


def test_what_is_expected_stays_hidden_where_the_rubric_does_not_name_it(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path, judges, "honest")
    (tmp_path / "rubric.md").write_text("It is a city.")
    cli.record(suite)
    assert "Canberra" not in json.dumps(judges.asked("honest"))


@pytest.mark.parametrize(
    ("judge", "kind", "retryable"),
    [
        ("prose", "unparseable", False),
        ("half", "unparseable", False),
        ("cut", "truncated", False),
        ("refusing", "refused", False),
        ("limited", "rate_limited", True),
    ],
)
def test_a_judge_that_says_nothing_leaves_its_answer_ungraded(
    cli: Command, judges: Judges, tmp_path: Path, judge: str, kind: str, retryable: bool
) -> None:
    """J01."""
    (record,) = cli.record(write_suite(tmp_path, judges, judge))
    (grade,) = record.grades
    assert grade.value is None and grade.error is not None
    assert (grade.error.boundary, grade.error.kind, grade.error.retryable) == (
        "grader",
        kind,
        retryable,
    )
    assert (record.passed, record.score, record.error, record.ungraded) == (None, None, None, True)
    assert len(grade.exchanges) == 1, "the raw reply is kept"
    assert grade.exchanges[0].response.text == (
        "" if judge == "limited" else REPLIES.get(judge, REPLIES["honest"])
    )


def test_an_answer_that_its_judge_left_ungraded_is_told(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    ended = cli("run", write_suite(tmp_path, judges, "prose"), "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "ungraded 1" in ended.out
    assert "could not be graded" in ended.out


@pytest.mark.parametrize(("judge", "verdicts"), [("obeying", {None}), ("quoting", {False})])
def test_no_attack_passes_a_judge_that_obeys_or_quotes_it(
    cli: Command, judges: Judges, tmp_path: Path, judge: str, verdicts: set[bool | None]
) -> None:
    """J02."""
    records = cli.record(write_suite(tmp_path, judges, judge, ATTACKS))
    assert {record.passed for record in records} == verdicts
    assert len(records) == len(ATTACKS)


def test_no_attack_flips_an_honest_judge(
    cli: Command, judges: Judges, simulator: Simulated, tmp_path: Path
) -> None:
    """J02, with canaries on both sides: the right answer passes, every attack fails."""
    answers = ("It is Canberra.", *ATTACKS)
    suite = write_suite(tmp_path, judges, "referee-70b", answers, address=simulator.openai)
    passed = {record.case: record.passed for record in cli.record(suite)}
    assert passed.pop("c0") is True
    assert set(passed.values()) == {False}


def test_a_judge_that_failed_for_now_is_owed_and_the_answer_is_not_asked_again(
    cli: Command, judges: Judges, simulator: Simulated, tmp_path: Path
) -> None:
    simulator.faults({"kind": "status", "status": 429, "model": "referee"})
    suite = write_suite(
        tmp_path, judges, "referee-70b", ("It is Canberra.", "Sydney"), address=simulator.openai
    )
    assert [record.ungraded for record in cli.record(suite)] == [True, True]
    assert len(judges.asked("echo")) == 2
    simulator.faults()
    simulator.forget()
    ended = cli("resume", tmp_path / "run")
    assert ended.code == ExitCode.OK, ended.err
    assert len(judges.asked("echo")) == 2, "the answers were paid for"
    assert [entry["status"] for entry in simulator.requests()] == [200, 200]
    last = {record.case: record.passed for record in read_records(tmp_path / "run")}
    assert last == {"c0": True, "c1": False}
    cli("resume", tmp_path / "run")
    assert len(simulator.requests()) == 2, "nothing is owed any more"


def test_an_unparseable_verdict_is_final_until_errors_are_retried(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    cli.record(write_suite(tmp_path, judges, "prose"))
    cli("resume", tmp_path / "run")
    assert len(judges.asked("prose")) == 1


def test_a_run_is_replayed_with_its_judges(cli: Command, judges: Judges, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, judges, "honest")
    cli.record(suite, "first")
    (record,) = cli.record(suite, "second", replay="first", replay_only=True)
    assert len(judges.requests) == 2
    assert record.passed is False


def test_a_target_under_test_may_judge_too(cli: Command, judges: Judges, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, judges, "honest")
    suite.write_text(suite.read_text().replace("target: referee", "target: echo"))
    (record,) = cli.record(suite)
    assert record.ungraded  # an echo gives no verdict
    assert len(judges.asked("echo")) == 2
    assert read_manifest(tmp_path / "run").planned == 1
    assert record.grades[0].exchanges[0].target == "echo"


def test_a_target_that_judges_too_has_its_slots_once(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    suite = write_suite(
        tmp_path, judges, "honest", tuple(map(str, range(12))), run=", concurrency: 1"
    )
    suite.write_text(suite.read_text().replace("target: referee", "target: echo"))
    cli.record(suite)
    assert len(judges.requests) == 24
    assert judges.most_in_flight == 1


def test_a_run_that_is_killed_while_it_is_judged_goes_on_with_the_judging(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    process = cli.begin("run", write_suite(tmp_path, judges, "deadly"), "--out", tmp_path / "run")
    judges.victim = process
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    ended = cli("resume", tmp_path / "run")
    assert ended.code == ExitCode.OK, ended.err
    assert (len(judges.asked("echo")), len(judges.asked("deadly"))) == (1, 2)
    assert one(tmp_path / "run").passed is False


def test_an_interrupt_leaves_no_answer_ungraded(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    suite = write_suite(
        tmp_path, judges, "interrupting", tuple(map(str, range(20))), run=", concurrency: 4"
    )
    process = cli.begin("run", suite, "--out", tmp_path / "run")
    judges.victim = process
    _, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert not [record for record in read_records(tmp_path / "run") if record.ungraded]
    ended = cli("resume", tmp_path / "run")
    assert ended.code == ExitCode.OK, ended.err
    assert {record.passed for record in read_records(tmp_path / "run")} == {False}
    assert len(list(read_records(tmp_path / "run"))) == 20
    assert set(
        Counter(body["messages"][0]["content"] for body in judges.asked("echo")).values()
    ) == {1}


def test_a_judge_has_an_api_key_of_its_own_that_is_nowhere_on_disk(
    judges: Judges, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path, judges, "honest", price="api_key: REFEREE_KEY")
    unset = Command(tmp_path)("run", suite)
    assert unset.code == ExitCode.USAGE
    assert "'referee' needs the environment variable REFEREE_KEY" in unset.err
    ended = Command(tmp_path, {"REFEREE_KEY": "sk-canary-0123456789"})(
        "run", suite, "--out", tmp_path / "run"
    )
    assert ended.code == ExitCode.OK, ended.err
    assert judges.keys == [None, "Bearer sk-canary-0123456789"]
    assert not [
        path
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and b"sk-canary" in path.read_bytes()
    ]


def test_what_is_asked_besides_is_said_before_the_run_and_what_was_said_after_it(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path, judges, "honest")
    for words in (("validate", suite, "--references"), ("run", suite, "--dry-run")):
        ended = cli(*words)
        assert ended.code == ExitCode.OK, ended.err
        assert "also asks referee (openai, honest)\n" in ended.out
    assert judges.requests == []
    cli.record(suite)
    shown = cli("show", tmp_path / "run", "c0").out
    assert (
        f"grade  judge: FAIL (false) It does not.\n       referee, the judge: {REPLIES['honest']}\n"
        in shown
    )
    assert "· judges $0.100" in shown


def test_a_judge_that_is_not_there_is_found_before_anything_is_sent(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    ended = cli(
        "run",
        write_suite(tmp_path, judges, "honest", address="http://127.0.0.1:9/v1"),
        "--out",
        tmp_path / "run",
    )
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "target 'referee'" in ended.err
    assert judges.requests == []


def test_a_budget_needs_the_price_of_a_judge(cli: Command, judges: Judges, tmp_path: Path) -> None:
    ended = cli(
        "run", write_suite(tmp_path, judges, "honest", price="context: 9000", run=", budget: $1")
    )
    assert ended.code == ExitCode.USAGE
    assert "'referee' has none" in ended.err
    assert judges.requests == []


def test_a_judge_spends_the_budget(cli: Command, judges: Judges, tmp_path: Path) -> None:
    """A judge's request costs $0.10 and may cost over $1: the second does not fit."""
    answers = tuple(f"Sydney {number}" for number in range(20))
    suite = write_suite(tmp_path, judges, "honest", answers, run=", budget: $1.50, concurrency: 1")
    ended = cli("run", suite, "--out", tmp_path / "run")
    assert ended.code == ExitCode.BUDGET, ended.err
    assert "the judge 'referee': the budget of $1.5 is exhausted" in ended.out
    spent = sum(
        (record.cost or 0) + (record.grading_cost or 0) for record in read_records(tmp_path / "run")
    )
    assert spent <= 1.5
    assert not [record for record in read_records(tmp_path / "run") if record.ungraded], (
        "an answer not judged yet is owed"
    )
    assert 1 <= len(judges.asked("honest")) < 20


def test_a_parameter_the_judge_cannot_take_is_refused_where_it_is_said(
    cli: Command, judges: Judges, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path, judges, "honest", more=", sampling: {temperature: 7}")
    ended = cli("run", suite)
    assert ended.code == ExitCode.USAGE
    assert re.search(
        r"suite\.yaml:6:\d+: target 'referee', as it is asked here: temperature must be", ended.err
    )
    assert judges.requests == []


def test_a_changed_judge_is_another_plan(cli: Command, judges: Judges, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, judges, "limited")
    cli.record(suite)
    write_suite(tmp_path, judges, "honest")
    ended = cli("resume", tmp_path / "run")
    assert ended.code == ExitCode.USAGE
    assert "judge or simulated user referee changed" in ended.err
