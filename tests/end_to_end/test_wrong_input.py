"""Whatever a person gets wrong is answered with a sentence that says what and where, and never with
a traceback."""

from __future__ import annotations

import os
import shutil
import socket
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from harness.errors import ExitCode
from tests.end_to_end.suites import write_sums
from tests.support import Command, Ended, Simulated

FREE = "http://127.0.0.1:9/v1"


def assert_sentence(ended: Ended, code: ExitCode, *says: str) -> None:
    """It ended with this code and a message, not a traceback."""
    assert "Traceback" not in ended.err + ended.out
    assert ended.code == code, ended.err
    for text in says:
        assert text in ended.err


def edited(suite: Path, old: str, new: str) -> Path:
    """The suite, with one thing wrong."""
    assert old in suite.read_text()
    suite.write_text(suite.read_text().replace(old, new))
    return suite


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("sampling:", "sampilng:", ["sums.yaml:", "did you mean `sampling`?"]),
        ("temperature: [0, 1]", "temprature: [0, 1]", ["did you mean `temperature`?"]),
        ("  - number\n", "  - nubmer\n", ["did you mean `number`?"]),
        ("provider: openai", "provider: opneai", ["openai"]),
        ("cases: [cases.csv]", "cases: [gone.csv]", ["gone.csv"]),
        ("cases: [cases.csv]", "cases: []", ["cases"]),
        ("cases: [cases.csv]", "cases: [../../outside.csv]", ["outside.csv"]),
        ("seed: 7}", "seed: 7}\nload: {rate: 5/s}", ["`load:` is not supported by this version"]),
        (
            "seed: 7}",
            "seed: 7}\ngates: [no_drop: pass_rate]",
            ["no_drop", "not supported by this version"],
        ),
        ("seed: 7}", "seed: 7}\ngates: ['pas_rate >= 0.9']", ["pass_rate"]),
        ("seed: 7}", "seed: 7}\nrun: {rpm: 0}", ["rpm"]),
        ("seed: 7}", "seed: 7}\nrun: {timeout: -5s}", ["should be a duration", "-5s"]),
        ("suite: sums", "suite: sums\nsuite: again", ["suite"]),
        (
            "{{ question }}",
            "{{ qestion }}",
            ["uses `qestion`, for which none of the", "did you mean `question`?"],
        ),
        (
            "temperature: [0, 1]",
            "temperature: [0, 9]",
            ["temperature must be a number from 0 to 2"],
        ),
        (
            "model: tiny",
            "model: tiny, api_key: sk-live-1234567890",
            ["name of an environment variable"],
        ),
        (
            "model: tiny",
            "model: tiny, api_key: UNSET_VARIABLE_OF_MINE",
            ["UNSET_VARIABLE_OF_MINE", "not set"],
        ),
        ("price: {input: 1, output: 2}", "limits: {retries: 0}", ["a budget", "price"]),
        (
            "seed: 7}",
            "seed: 7}\nrun: {budget: 0.0000001}",
            ["sums.yaml:13:15: the budget of $0.0000001 is below"],
        ),
    ],
)
def test_a_wrong_suite(
    cli: Command, simulator: Simulated, tmp_path: Path, old: str, new: str, says: list[str]
) -> None:
    more = "run: {budget: $1}\n" if "price" in old else ""
    ended = cli("run", edited(write_sums(tmp_path, simulator.openai, more), old, new))
    assert_sentence(ended, ExitCode.USAGE, *says)
    assert simulator.requests() == []
    assert not (tmp_path / "reports").exists()


def test_what_a_model_cannot_take_is_refused_or_left_out(cli: Command, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, FREE)
    scout = edited(suite, "provider: openai", "provider: cloudflare")
    edited(scout, "model: tiny", 'model: "@cf/meta/llama-4-scout-17b-16e-instruct"')
    assert cli("validate", scout).code == ExitCode.OK
    edited(scout, "temperature: [0, 1]", "min_p: [0, 0.1]")
    assert_sentence(
        cli("validate", scout), ExitCode.USAGE, "does not support min_p", "unsupported: drop"
    )
    scout.write_text(scout.read_text() + "run: {unsupported: drop}\n")
    dropped = cli("validate", scout)
    assert dropped.code == ExitCode.OK
    assert "local: parameters left out because it does not support them: min_p" in dropped.out


def test_every_problem_is_told_at_once(cli: Command, tmp_path: Path) -> None:
    suite = edited(write_sums(tmp_path, FREE), "sampling:", "sampilng:")
    ended = cli("validate", edited(suite, "  - number", "  - nubmer"))
    assert_sentence(ended, ExitCode.USAGE, "sampilng", "nubmer")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("{kind: cutt}", "there is no fault 'cutt'"),
        ("{status: 500}", "a fault has a `kind`, which {'status': 500} lacks"),
    ],
)
def test_a_fault_the_simulator_has_not_is_told_where_its_target_is(
    cli: Command, tmp_path: Path, fault: str, said: str
) -> None:
    suite = edited(
        write_sums(tmp_path, FREE),
        f'openai, base_url: "{FREE}"',
        f"simulator, simulator: {{faults: [{fault}]}}",
    )
    for command in (("validate", suite), ("run", suite), ("run", suite, "--dry-run")):
        assert_sentence(
            cli(*command), ExitCode.USAGE, "suites/sums.yaml:11:5: target 'local'", said
        )


def test_every_variable_that_is_not_set_is_told_at_once_where_its_target_is(
    cli: Command, tmp_path: Path
) -> None:
    suite = edited(
        write_sums(tmp_path, "http://${MY_HOST}/v1"), "model: tiny", "model: tiny, api_key: MY_KEY"
    )
    edited(suite, "  - number\n", "  - number\n  - {judge: {rubric: good, target: scout}}\n")
    ended = cli("run", suite)
    assert_sentence(
        ended, ExitCode.USAGE, "MY_HOST", "MY_KEY", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_AUTH_TOKEN"
    )
    assert ended.err.count("sums.yaml:9:36: target 'scout' needs the environment variable") == 2


def test_a_suite_that_is_not_there(cli: Command) -> None:
    assert_sentence(cli("run", "nowhere.yaml"), ExitCode.USAGE, "nowhere.yaml")


def test_a_filter_that_leaves_nothing_is_not_green(cli: Command, tmp_path: Path) -> None:
    ended = cli("run", write_sums(tmp_path, FREE), "--filter", "tag=prime")
    assert_sentence(ended, ExitCode.USAGE, "prime")


def test_an_unreachable_host_is_named_before_anything_is_written(
    cli: Command, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ended = cli("run", write_sums(tmp_path, f"http://127.0.0.1:{port}/v1"))
    assert_sentence(ended, ExitCode.INFRASTRUCTURE, f"127.0.0.1:{port}", "nothing was sent")
    assert not (tmp_path / "reports").exists()


def test_a_host_nobody_knows(cli: Command, tmp_path: Path) -> None:
    assert_sentence(
        cli("run", write_sums(tmp_path, "http://nosuch.invalid/v1")),
        ExitCode.INFRASTRUCTURE,
        "nosuch.invalid",
    )


def test_an_out_folder_that_holds_a_run(cli: Command, simulator: Simulated, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    assert cli("run", suite, "--out", "run").code == ExitCode.OK
    assert_sentence(cli("run", suite, "--out", "run"), ExitCode.USAGE, "harness resume run")


def test_an_out_folder_that_holds_something_else(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    assert_sentence(
        cli("run", suite, "--out", "suites"),
        ExitCode.USAGE,
        "suites contains other files (cases.csv, sums.yaml)",
    )
    assert {path.name for path in suite.parent.iterdir()} == {"cases.csv", "sums.yaml"}
    assert simulator.requests() == []


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_folder_that_is_no_run(cli: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for path in ("empty", "file", "nowhere"):
        assert_sentence(cli(command, path), ExitCode.USAGE, f"{path}: not a run folder")


def test_a_folder_that_cannot_be_written(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    (tmp_path / "file").write_text("")
    assert_sentence(
        cli("run", suite, "--out", "file/run"), ExitCode.INFRASTRUCTURE, "cannot be created"
    )
    assert simulator.requests() == []


def test_a_grader_that_raises_is_data_on_the_record(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = edited(
        write_sums(tmp_path, simulator.openai, cases=2),
        "  - number\n",
        "  - number\n  - {python: mine.py:grade}\n",
    )
    (suite.parent / "mine.py").write_text(
        "def grade(answer):\n    raise ValueError('cannot judge this')\n"
    )
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE, ended.err
    assert "ungraded 8" in ended.out
    assert "cannot judge this" in cli("show", "run", "c1").out


def test_a_grader_that_asks_for_what_an_answer_has_not(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = edited(
        write_sums(tmp_path, simulator.openai, cases=1),
        "  - number\n",
        "  - {python: mine.py:grade}\n",
    )
    (suite.parent / "mine.py").write_text("def grade(answer):\n    return answer.txt == '4'\n")
    cli("run", suite, "--out", "run")
    assert (
        "AttributeError: 'GradedAnswer' object has no attribute 'txt' (mine.py:2)"
        in cli("show", "run", "c0").out
    )


def test_an_expected_answer_that_its_own_grader_would_fail(cli: Command, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, FREE, cases=2)
    assert cli("validate", suite, "--references").code == ExitCode.OK
    (suite.parent / "cases.csv").write_text("id,question,expected\nc1,1 + 2,three\n")
    told = "error: suites/sums.yaml: eval 'sums', case 'c1': its expected answer would not pass its grader 'number'"
    assert_sentence(cli("validate", suite, "--references"), ExitCode.USAGE, told)
    assert_sentence(cli("validate", suite, "--gold"), ExitCode.USAGE, told)  # its older name


def test_an_unknown_word_on_the_command_line(cli: Command, tmp_path: Path) -> None:
    suite = write_sums(tmp_path, FREE)
    assert_sentence(cli("run", suite, "--target", "locl"), ExitCode.USAGE, "local")
    assert_sentence(
        cli("run", suite, "--set", "temperature=1"), ExitCode.USAGE, "sampling.PARAMETER"
    )
    assert_sentence(cli("run", suite, "--budget", "lots"), ExitCode.USAGE, "--budget")
    assert_sentence(cli("frobnicate"), ExitCode.USAGE, "frobnicate")


@pytest.mark.skipif(
    shutil.which("prlimit") is None, reason="needs a program that limits the size of files"
)
def test_a_full_disk_stops_the_run_and_says_so(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    ended = cli.under(["prlimit", "--fsize=20000"], "run", suite, "--out", "run")
    assert_sentence(ended, ExitCode.INFRASTRUCTURE, "cannot be written", "harness resume run")
    assert cli("resume", "run").code == ExitCode.OK


def test_secrets_reach_no_file_and_no_screen(simulator: Simulated, tmp_path: Path) -> None:
    canary = "canary-7f3a+/=x9"
    suite = edited(
        write_sums(tmp_path, simulator.openai), "model: tiny", "model: tiny, api_key: MY_KEY"
    )
    edited(suite, '"{{ question }}"', f'"{{{{ question }}}} Repeat: {canary}"')
    cli = Command(tmp_path, {"MY_KEY": canary})
    simulator.faults(
        {"kind": "status", "status": 400, "message": f"bad key {canary}", "requests": [1]}
    )
    ended = cli("run", suite, "--out", "run")
    assert ended.code in (ExitCode.OK, ExitCode.INFRASTRUCTURE)
    assert canary not in ended.out + ended.err
    held = [
        path.name
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and canary.encode() in path.read_bytes()
    ]
    assert held == []
    assert b"[redacted MY_KEY]" in (tmp_path / "run" / "records.jsonl").read_bytes()
    assert {
        each["headers"] and dict(each["headers"]).get("authorization", "")[:7]
        for each in simulator.requests()
    } != {"Bearer "}


def test_the_reason_a_target_was_stopped_tells_no_secret(
    simulator: Simulated, tmp_path: Path
) -> None:
    canary = "canary-7f3a+/=x9"
    suite = edited(
        write_sums(tmp_path, simulator.openai), "model: tiny", "model: tiny, api_key: MY_KEY"
    )
    simulator.faults(
        {"kind": "status", "status": 401, "message": f"Incorrect API key provided: {canary}"}
    )
    ended = Command(tmp_path, {"MY_KEY": canary})("run", suite, "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "Incorrect API key provided: [redacted MY_KEY]" in ended.out + ended.err
    assert canary not in ended.out + ended.err


def test_secrets_are_found_in_every_form_a_server_or_a_grader_may_give_them(
    simulator: Simulated, tmp_path: Path
) -> None:
    key, token = "canary-7f3a+/=x9", "canary token/8b1c?&"
    forms = [form(secret) for secret in (key, token) for form in (str, quote, quote_plus, _base64)]
    suite = edited(
        write_sums(tmp_path, simulator.openai),
        "model: tiny",
        'model: tiny, api_key: MY_KEY, headers: {X-T: "${T}"}',
    )
    (suite.parent / "grader.py").write_text(
        f"def grade(answer):\n    raise ValueError({' '.join(forms)!r})\n", "utf-8"
    )
    edited(suite, "  - number\n", "  - number\n  - {python: grader.py:grade, weight: 0}\n")
    said = [
        {"kind": "status", "status": 400, "message": f"no: {form}", "requests": [place]}
        for place, form in enumerate(forms, 1)
    ]
    simulator.faults(
        *said,
        {
            "kind": "error_event",
            "message": f"broke {forms[0]} {forms[3]}",
            "after": 1,
            "requests": [20, 21],
        },
    )
    ended = Command(tmp_path, {"MY_KEY": key, "T": token})("run", suite, "--out", "run")
    assert ended.code in (ExitCode.OK, ExitCode.INFRASTRUCTURE), ended.err
    written = {
        str(path): path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()
    }
    written |= {"the screen": (ended.out + ended.err).encode()}
    assert [
        (place, form)
        for place, content in written.items()
        for form in forms
        if form.encode() in content
    ] == []
    lines = written[str(tmp_path / "run" / "records.jsonl")]
    assert lines.count(b"[redacted MY_KEY]") >= 4
    assert lines.count(b"[redacted T]") >= 4


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 400}, {"kind": "error_event", "after": 1}]
)
def test_a_secret_where_a_message_is_cut_loses_no_end_that_would_hide_it(
    simulator: Simulated, tmp_path: Path, fault: dict[str, Any]
) -> None:
    key = "canary-7f3a-0123456789-0123456789"
    suite = edited(
        write_sums(tmp_path, simulator.openai, "run: {retries: 0}\n"),
        "model: tiny",
        "model: tiny, api_key: MY_KEY",
    )
    simulator.faults(
        *(
            {**fault, "message": "x" * place + key, "requests": [place - 460]}
            for place in range(461, 501)
        )
    )
    ended = Command(tmp_path, {"MY_KEY": key})("run", suite, "--out", "run")
    records = (tmp_path / "run" / "records.jsonl").read_bytes()
    assert records.count(b"xxx[redacted MY_KEY") > 20
    assert "canary-7" not in ended.out + ended.err
    held = [
        path.name
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and b"canary-7" in path.read_bytes()
    ]
    assert held == []


def test_a_word_that_is_also_a_short_secret_is_left_in_answers(
    simulator: Simulated, tmp_path: Path
) -> None:
    suite = edited(
        write_sums(tmp_path, simulator.openai), "model: tiny", "model: tiny, api_key: MY_KEY"
    )
    edited(suite, '"{{ question }}"', '"{{ question }} none of this is a test"')
    ended = Command(tmp_path, {"MY_KEY": "test"})("run", suite, "--out", "run", "--limit", "1")
    assert ended.code == ExitCode.OK
    assert "the value of MY_KEY has fewer than 8 characters" in ended.err
    assert b"none of this is a test" in (tmp_path / "run" / "records.jsonl").read_bytes()


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_what_is_written_has_the_permissions_of_the_umask(
    cli: Command, simulator: Simulated, tmp_path: Path, umask: int
) -> None:
    suite = write_sums(tmp_path, simulator.openai)
    before = os.umask(umask)
    try:
        assert cli("run", suite, "--limit", "1", "--out", "run").code == ExitCode.OK
    finally:
        os.umask(before)
    for path in [tmp_path / "run", *(tmp_path / "run").rglob("*")]:
        most = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == most & ~umask, path


def test_loopback_is_never_sent_to_a_proxy(simulator: Simulated, tmp_path: Path) -> None:
    cli = Command(
        tmp_path, {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    )
    assert (
        cli("run", write_sums(tmp_path, simulator.openai), "--out", "run", "--limit", "1").code
        == ExitCode.OK
    )


def test_a_budget_below_one_request_is_refused_before_anything_is_sent(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    ended = cli("run", write_sums(tmp_path, simulator.openai, "run: {budget: $0.00001}\n"))
    assert_sentence(ended, ExitCode.USAGE, "below what a single request to 'local' may cost")
    assert simulator.requests() == []


def test_a_budget_needs_a_limit_on_the_answer(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = edited(
        write_sums(tmp_path, simulator.openai, "run: {budget: $1}\n"), "max_tokens: 32, ", ""
    )
    assert_sentence(cli("run", suite), ExitCode.USAGE, "max_tokens")


@pytest.mark.parametrize("special", ["pipe", "zero", "loop"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["validate", "SPECIAL"], ExitCode.USAGE),
        (["run", "SUITE", "--env-file", "SPECIAL"], ExitCode.USAGE),
        (["simulate", "--config", "SPECIAL"], ExitCode.USAGE),
        (["report", "RUN"], ExitCode.INFRASTRUCTURE),
        (["resume", "RUN"], ExitCode.INFRASTRUCTURE),
        (["run", "SUITE", "--replay-only", "RUN", "--out", "loop"], ExitCode.INFRASTRUCTURE),
    ],
)
def test_what_is_no_regular_file_is_not_read(
    cli: Command, tmp_path: Path, special: str, words: list[str], code: ExitCode
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "recorded").mkdir()
    (tmp_path / "recorded" / "manifest.json").symlink_to(tmp_path / special)
    named = {"SPECIAL": special, "SUITE": write_sums(tmp_path, FREE), "RUN": "recorded"}
    assert_sentence(cli(*(named.get(word, word) for word in words)), code, "error: ")


def test_a_loop_of_links_is_no_run_folder(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    suite = write_sums(tmp_path, simulator.openai)
    for folder in ("loop", "loop/inside"):
        ended = cli("run", suite, "--out", folder)
        assert_sentence(ended, ExitCode.INFRASTRUCTURE, f"{folder}: cannot be created")
    assert simulator.requests() == []
