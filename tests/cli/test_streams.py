"""Runs whose output cannot be shown go on, and one that has too little of something ends with a
sentence."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.runs.folder import read_records
from tests.end_to_end.suites import write_sums
from tests.support import Command, Simulated


def in_shell(cli: Command, setting: str, *words: str | Path) -> tuple[int, str, str]:
    """The command as a shell redirects or limits it; `{}` in `setting` stands for it."""
    ended = cli.under(["bash", "-c", setting.replace("{}", '"$@"'), "harness"], *words)
    return ended.code, ended.out, ended.err


OUTPUTS = {
    "{} <&- >&- 2>&-": "",
    "{} >/dev/full": "could not be written: No space left",
    "{} 2>/dev/full": "",
    "{} 2>&-": "",
    "{} >&-": "",
}
"""How the output of a run is lost, and what is said of it where something can be."""


def test_output_that_cannot_be_shown_never_stops_a_run(
    cli: Command, simulator: Simulated, tmp_path: Path, full: bool
) -> None:
    """With `--full`, also where one of the two is full or closed, and not both."""
    suite = write_sums(tmp_path, simulator.openai, cases=2)
    for place, (setting, said) in enumerate([*OUTPUTS.items()][: None if full else 2]):
        run = tmp_path / f"run-{place}"
        code, _, err = in_shell(cli, setting, "run", suite, "--out", run)
        assert code == ExitCode.OK, setting
        assert said in err, setting
        assert len(list(read_records(run))) == 8
        assert (run / "report.html").exists()


SETTINGS = [
    "{} >&-",
    "{} 2>&-",
    "{} >&- 2>&-",
    "{} >/dev/full",
    "{} >/dev/full 2>&1",
    "{} | head -c1; exit ${PIPESTATUS[0]}",
    "export TERM=dumb; {}",
    "export LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0; {}",
]
COMMANDS = [
    (["report", "run"], ExitCode.OK),
    (["show", "run", "c0"], ExitCode.OK),
    (["validate", "suites/sums.yaml"], ExitCode.OK),
    (["run", "suites/sums.yaml", "--dry-run"], ExitCode.OK),
    (["schema"], ExitCode.OK),
    (["list"], ExitCode.OK),
    (["--help"], ExitCode.OK),
    (["report", "nowhere"], ExitCode.USAGE),
]


def test_every_command_has_its_exit_code_whatever_its_streams_are(
    cli: Command, simulator: Simulated, tmp_path: Path, full: bool
) -> None:
    suite = write_sums(tmp_path, simulator.openai, cases=2)
    assert cli("run", suite, "--out", "run").code == ExitCode.OK
    pairs = zip(COMMANDS, SETTINGS, strict=True)
    for (words, expected), setting in product(COMMANDS, SETTINGS) if full else pairs:
        code, out, err = in_shell(cli, setting, *words)
        assert code == expected, (words, setting, err)
        assert "Traceback" not in out + err


def test_a_terminal_of_any_width_will_do(simulator: Simulated, tmp_path: Path, full: bool) -> None:
    """A run, whose table is that of its report, is watched in one of them, or with `--full` in
    all."""
    suite = write_sums(tmp_path, simulator.openai, cases=1)
    Command(tmp_path).record(suite)
    for columns in ("0", "1", "10", "-5", "wide"):
        cli = Command(tmp_path, {"COLUMNS": columns, "LINES": columns, "FORCE_COLOR": "1"})
        for words in (["report", "run"], ["show", "run", "c0"]):
            assert cli(*words).code == ExitCode.OK, columns
        if full or columns == "1":
            assert cli("run", suite, "--out", f"run {columns}").code == ExitCode.OK, columns


def test_too_little_memory_is_a_sentence_and_loses_no_record(
    cli: Command, simulator: Simulated, tmp_path: Path, full: bool
) -> None:
    """At 500 MB the report's process would wait for numpy's threads for ever."""
    suite = write_sums(tmp_path, simulator.openai, cases=1)
    for megabytes in (300, 400, 500, 650, 800) if full else (500,):
        folder = f"run-{megabytes}"
        code, _, err = in_shell(
            cli, f"ulimit -v {megabytes}000; {{}}", "run", suite, "--out", folder
        )
        assert code in {ExitCode.OK, ExitCode.INFRASTRUCTURE}, err
        assert "Traceback" not in err
        if code != ExitCode.OK:
            assert "ran out of memory" in err and "`harness report RUN` makes its report" in err
        assert len(list(read_records(tmp_path / folder))) == 4
        assert cli("report", folder).code == ExitCode.OK


@pytest.mark.parametrize("files", [12, 16])
def test_too_few_open_files_are_a_sentence(
    cli: Command, simulator: Simulated, tmp_path: Path, files: int
) -> None:
    suite = write_sums(tmp_path, simulator.openai, cases=2)
    code, _, err = in_shell(cli, f"ulimit -n {files}; {{}}", "run", suite, "--out", "run")
    assert code == ExitCode.INFRASTRUCTURE
    assert "ran out of open files (`ulimit -n`)" in err and "Traceback" not in err
