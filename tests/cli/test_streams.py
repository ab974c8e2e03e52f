"""Runs whose output cannot be shown go on, and one that has too little of something ends with a
sentence."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        pytest.param("{} 2>&-", "", id="standard error closed"),
        pytest.param("{} >&-", "report.html", id="standard output closed"),
        pytest.param("{} <&- >&- 2>&-", "", id="all closed"),
        pytest.param("{} >/dev/full", "could not be written: No space left", id="output full"),
        pytest.param("{} 2>/dev/full", "", id="progress full"),
    ],
)
def test_output_that_cannot_be_shown_never_stops_a_run(
    cli: Command, simulator: Simulated, tmp_path: Path, setting: str, said: str
) -> None:
    suite = write_sums(tmp_path, simulator.openai, cases=2)
    code, _, err = in_shell(cli, setting, "run", suite, "--out", "run")
    assert code == ExitCode.OK
    assert said in err or said == "report.html"
    assert len(list(read_records(tmp_path / "run"))) == 8
    assert (tmp_path / "run" / "report.html").exists()


def test_too_few_open_files_are_a_sentence(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_sums(tmp_path, simulator.openai, cases=2)
    code, _, err = in_shell(cli, "ulimit -n 12; {}", "run", suite, "--out", "run")
    assert code == ExitCode.INFRASTRUCTURE
    assert "ran out of open files (`ulimit -n`)" in err and "Traceback" not in err
