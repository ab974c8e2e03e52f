"""The command line as its users meet it: help, exit codes, what is printed and to whom, and what
happens when they leave."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from harness.cli.command_line import find_shortage
from harness.errors import ExitCode, UsageError
from harness.registry import registered_names
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated

COMMANDS = ("run", "resume", "report", "show", "validate", "schema", "simulate", "init", "list")
SUITE = r"""
suite: sums
prompts: [{id: terse, user: "{{ question }}"}, {id: words, user: "What is {{ question }}?"}]
cases:
  - {id: sum, vars: {question: 1 + 1}, expected: 2, tags: [easy]}
  - {id: product, vars: {question: 3 * 4}, expected: 12}
  - {id: hidden, vars: {question: "\e[2J5 + 5"}, expected: 10}
graders: [number]
targets: {name: fast, provider: simulator, model: llama-4-scout, simulator: {ttft: 0s, inter_token: 0s}}
sampling: {temperature: 0, max_tokens: 8}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of six requests without gates, in a workspace of its own."""
    path = tmp_path / "suites" / "sums.yaml"
    path.parent.mkdir()
    path.write_text(SUITE, "utf-8")
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of that suite; not to be changed."""
    folder = tmp_path_factory.mktemp("ran")
    path = folder / "sums.yaml"
    path.write_text(SUITE, "utf-8")
    assert Command(folder)("run", path, "--out", "run").code == ExitCode.OK
    return folder / "run"


def without_reader(
    cli: Command, *words: str | Path, stream: str = "stdout"
) -> tuple[int, str, str]:
    """Exit code and the other stream's text of a command whose reader has left."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writing}
    command = [sys.executable, "-m", "harness", *map(str, words)]
    process = subprocess.Popen(command, cwd=cli.folder, env=cli.environment, text=True, **streams)  # type: ignore[call-overload]
    os.close(writing)
    out, err = process.communicate(timeout=60)
    return process.returncode, out or "", err or ""


# ── Help ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_one_example_on_a_line_of_its_own(cli: Command, command: str) -> None:
    ended = cli(command, "--help")
    assert ended.code == ExitCode.OK
    lines = ended.out.splitlines()
    assert lines.count("  Example:") == 1
    example = shlex.split(lines[lines.index("  Example:") + 1])
    assert example[:2] == ["harness", command]
    assert not [word for word in example if word.startswith("$")], "a shell would replace it"
    assert max(map(len, lines)) <= 100


def test_the_first_help_tells_every_command_whole_and_the_exit_codes(cli: Command) -> None:
    ended = cli("--help")
    assert "..." not in ended.out.partition("Commands:")[2]
    assert all(f"\n  {command} " in ended.out for command in COMMANDS)
    assert all(f"\n    {code.value} " in ended.out for code in ExitCode)


# ── Exit codes and messages ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run"],
        ["run", "gone.yaml"],
        ["run", "suites/sums.yaml", "--limit", "0"],
        ["run", "suites/sums.yaml", "--nonsense"],
        ["run", "suites/sums.yaml", "--set", "temperature=0"],
        ["run", "suites/sums.yaml", "--set", "sampling.temprature=0"],
        ["run", "suites/sums.yaml", "--replay", "a", "--replay-only", "b"],
        ["run", "suites/sums.yaml", "--filter", "tag=gone"],
        ["run", "suites/sums.yaml", "--target", "gone"],
        ["report", "gone"],
        ["resume", "gone"],
        ["show", "gone", "sum"],
        ["list", "nonsense"],
        ["list", "targets", "--suites", "gone"],
        ["simulate", "--config", "gone.json"],
        ["simulate", "--port", "99999"],
    ],
)
def test_wrong_usage_is_2_and_says_so_on_standard_error(
    cli: Command, suite: Path, words: list[str]
) -> None:
    ended = cli(*words)
    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert ended.err
    assert "Traceback" not in ended.err
    assert "Errno" not in ended.err


def test_an_error_that_was_taken_out_of_a_group_is_searched_but_once() -> None:
    wrong = UsageError("wrong")
    try:
        try:
            raise ExceptionGroup("", [wrong])
        except* UsageError as group:
            raise group.exceptions[0] from None
    except UsageError as raised:
        assert raised.__context__ is not None
        assert find_shortage(raised) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("eval", "run"), ("rn", "run"), ("test", "run"), ("lint", "validate"), ("diff", "report")],
)
def test_an_unknown_command_suggests_the_one_that_is_meant(
    cli: Command, typed: str, meant: str
) -> None:
    ended = cli(typed)
    assert ended.code == ExitCode.USAGE
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in ended.err


def test_list_says_what_each_name_is_what_it_takes_and_what_it_costs(
    cli: Command, tmp_path: Path
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "targets.yaml").write_text(
        "mine: {provider: openai, model: m, base_url: 'http://127.0.0.1:9/v1'}\n"
        "own: {provider: openai, model: gpt-4o, price: {input: 1.5, output: 6}}\n",
        "utf-8",
    )
    lines = [line.split(maxsplit=1) for line in cli("list").out.splitlines()]
    shown = {line[0]: line[1] for line in lines if len(line) == 2}
    everything = {*registered_names("providers"), *registered_names("graders")}
    assert everything <= shown.keys()
    number = shown["number"]
    assert number.startswith("has this number as its last one: [expected], [which], ")
    assert number.endswith(", [tolerance], [relative]")
    assert shown["regex"].endswith("pattern, [ignore_case], [full]")
    assert shown["groq"] == "Groq; https://api.groq.com/openai/v1; GROQ_API_KEY"
    assert shown["mine"] == "openai, m; price unknown"
    assert shown["own"] == "openai, gpt-4o; $1.5 in, $6 out per MTok"
    assert shown["scout"].endswith("$0.27 in, $0.85 out per MTok")
    (tmp_path / "suites" / "targets.yaml").write_text("mine: {provider: gone, model: m}\n")
    wrong = cli("list", "targets")
    assert (wrong.code, "suites/targets.yaml:1" in wrong.err) == (ExitCode.USAGE, True)


def test_a_budget_that_a_shell_took_apart_is_explained(cli: Command, suite: Path) -> None:
    ended = cli("run", suite, "--budget", "bash.50")
    assert ended.code == ExitCode.USAGE
    assert "leave the dollar sign out" in ended.err


def test_a_run_without_gates_is_no_verdict_and_no_failure(cli: Command, suite: Path) -> None:
    ended = cli("run", suite, "--filter", "tag=easy", "--set", "sampling.max_tokens=4")
    assert ended.code == ExitCode.OK
    assert "no gates: not a verdict" in ended.out
    assert "2 of 2 trials" in ended.out
    assert "2 requests to fast\n" in ended.err


def test_a_spent_budget_is_5_and_tells_how_to_go_on(cli: Command, suite: Path) -> None:
    ended = cli("run", suite, "--budget", "0.00009", "--out", "a run")
    assert ended.code == ExitCode.BUDGET
    assert "continue with: harness resume 'a run' --budget DOLLARS\n" in ended.out
    assert cli("resume", "a run", "--budget", "1").code == ExitCode.OK


# ── Those who leave ───────────────────────────────────────────────────────────────────────────────


def test_a_reader_who_leaves_is_no_failure(cli: Command, ran: Path) -> None:
    for words in (["schema"], ["list"], ["show", ran, "sum"]):
        assert without_reader(cli, *words) == (ExitCode.OK, "", "")


def test_a_closed_pipe_does_not_hide_a_failed_gate(cli: Command, suite: Path) -> None:
    suite.write_text(SUITE + "gates: [pass_rate < 0.1]\n", "utf-8")
    code, _, err = without_reader(cli, "run", suite)
    assert code == ExitCode.GATE_FAILED
    assert "Error" not in err


def test_a_closed_standard_error_does_not_stop_a_run(cli: Command, suite: Path) -> None:
    code, out, _ = without_reader(cli, "run", suite, stream="stderr")
    assert code == ExitCode.OK
    assert "6 of 6 trials" in out


def test_an_interrupt_while_a_run_starts_is_130(cli: Command, suite: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "held")
    (suite.parent / "cases.py").write_text(
        f"def generate():\n    yield {{'text': open({str(tmp_path / 'held')!r}).read()}}\n"
    )
    written = yaml.safe_load(suite.read_text()) | {"cases": {"python": "cases.py:generate"}}
    suite.write_text(yaml.safe_dump(written))
    process = cli.begin("run", suite)
    with open(_writer_once_it_is_read(tmp_path / "held", process), "w"):
        process.send_signal(signal.SIGINT)  # while the run waits for its cases
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert err.startswith("interrupted")
    assert not (tmp_path / "reports").exists()


def _writer_once_it_is_read(fifo: Path, process: subprocess.Popen[str]) -> int:
    """The writing end of the pipe that the process's child has begun to read: a write-only open is
    refused until then."""
    while True:
        assert process.poll() is None, process.communicate()
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.01)


# ── The commands ──────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_prints_prompts_and_requests_as_text_and_sends_nothing(
    cli: Command, suite: Path, tmp_path: Path
) -> None:
    ended = cli(
        "run", suite, "--dry-run", "--filter", "id=hidden", "--set", "sampling.temperature=0.5"
    )
    assert ended.code == ExitCode.OK
    assert ended.out.startswith("2 prompts × 1 target × 1 case")
    assert "␛[2J5 + 5" in ended.out
    assert "\x1b" not in ended.out
    assert '"temperature":0.5' in ended.out
    assert not (tmp_path / "reports").exists()


GOES_ON = """
suite: on
prompts: [{user: "{{ q }}", turns: ["And why is it {{ a }}?"]}]
cases: [{id: c, vars: {q: hi, a: so}}]
tools: [{name: t, parameters: {}, returns: 1}]
max_turns: 3
simulated_user: {target: scout-sim, prompt: A child., max_turns: 1}
graders: [{length: 9}]
targets: scout
"""


def test_a_dry_run_says_how_a_conversation_goes_on(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "on.yaml").write_text(GOES_ON)
    *_, tools, turn, said, user = cli("run", "on.yaml", "--dry-run").out.splitlines()
    assert tools == "── then its tool calls are executed: at most 3 requests"
    assert (turn, said) == ("── then, user", "And why is it so?")
    assert user == "── then scout-sim plays the user: at most 1 message"


def test_validate_names_the_variables_that_a_run_will_need(tmp_path: Path) -> None:
    (tmp_path / "on.yaml").write_text(GOES_ON)
    ended = Command(tmp_path, {"CLOUDFLARE_ACCOUNT_ID": "abc"})("validate", "on.yaml")
    assert ended.code == ExitCode.OK
    assert (
        "a run needs the environment variable CLOUDFLARE_AUTH_TOKEN, which is not set\nok\n"
        in ended.out
    )
    assert "CLOUDFLARE_ACCOUNT_ID, which" not in ended.out
    model = "@cf/meta/llama-4-scout-17b-16e-instruct"
    account = "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}"
    assert f"\nscout: POST {account}/ai/run/{model}\n" in ended.out


def test_show_prints_a_cases_trials_in_the_suites_terms(cli: Command, ran: Path) -> None:
    ended = cli("show", ran, "sum")
    assert ended.code == ExitCode.OK
    headings = [line for line in ended.out.splitlines() if line.startswith("━━")]
    assert headings == [
        "━━ sums/sum · terse · fast · repeat 0",
        "━━ sums/sum · words · fast · repeat 0",
    ]
    assert "── user\nWhat is 1 + 1?\n── fast answered (stop, " in ended.out
    assert cli("show", ran, "sum", "--prompt", "terse").out.count("━━") == 1
    assert "\x1b" not in cli("show", ran, "hidden").out


def test_show_says_where_there_was_no_answer(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    simulator.faults({"kind": "status", "status": 400})
    path = write_sums(tmp_path, simulator.openai, cases=1)
    cli(
        "run",
        path,
        "--out",
        "broken",
        "--set",
        "sampling.temperature=0",
        "--filter",
        "prompt=terse",
    )
    assert (
        "── local gave no answer (1 attempt)\nerror at provider" in cli("show", "broken", "c0").out
    )


def test_show_says_which_case_was_meant(cli: Command, ran: Path) -> None:
    ended = cli("show", ran, "prodcut")
    assert ended.code == ExitCode.USAGE
    assert "did you mean `product`?" in ended.err
    assert "omit --prompt and --target" in cli("show", ran, "sum", "--prompt", "gone").err


def test_two_runs_are_reported_side_by_side(cli: Command, ran: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert (
        cli("run", ran.parent / "sums.yaml", "--out", other, "--replay-only", ran).code
        == ExitCode.OK
    )
    ended = cli("report", ran, other, "--out", "both")
    assert ended.code == ExitCode.OK
    assert "report: both/report.html\n" in ended.out
    assert cli("report", ran, ran).code == ExitCode.USAGE


def test_init_writes_a_workspace_that_runs_and_overwrites_nothing(
    cli: Command, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".gitignore").write_bytes(b"node_modules\n.env")
    ended = cli("init", "new")
    assert "next: harness run new/suites/quickstart.yaml\n" in ended.out
    assert (tmp_path / "new" / ".gitignore").read_bytes() == b"node_modules\n.env\nreports/runs/\n"
    assert cli("run", "new/suites/quickstart.yaml", "--limit", "1", "--dry-run").code == ExitCode.OK
    again = cli("init", "new")
    assert again.code == ExitCode.USAGE
    assert "overwrites nothing" in again.err


def test_simulate_tells_a_script_its_address_and_a_person_what_is_there(cli: Command) -> None:
    process = cli.begin("simulate", "--port", "0")
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    with urlopen(f"{address}/v1/models", timeout=30) as answer:
        assert json.loads(answer.read())["data"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK
    assert out == ""
    assert f"{address}/client/v4/accounts/any" in err
    assert "Traceback" not in err


def test_completion_knows_the_commands(cli: Command) -> None:
    asked = {"_HARNESS_COMPLETE": "complete_bash", "COMP_WORDS": "harness re", "COMP_CWORD": "1"}
    script = Path(sys.executable).with_name("harness")
    completed = subprocess.run(
        [script],
        env=cli.environment | asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.stdout.split() == ["resume", "report"]
