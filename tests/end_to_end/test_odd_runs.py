"""Runs and folders that are not what a command expects: each is one clear sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.runs.folder import MANIFEST, RECORDS
from harness.suite import Overrides
from tests.end_to_end.suites import write_sums
from tests.support import Command, Ended, Simulated

INFRASTRUCTURE, USAGE, OK = ExitCode.INFRASTRUCTURE, ExitCode.USAGE, ExitCode.OK


@pytest.fixture(scope="module")
def recorded(_simulator_process: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite of 4 × 2 trials and a finished `run` of it; not to be changed."""
    simulator = Simulated(_simulator_process)
    simulator.faults()
    folder = tmp_path_factory.mktemp("recorded")
    Command(folder).record(write_sums(folder, simulator.openai, cases=2))
    return folder


@pytest.fixture
def ran(recorded: Path, simulator: Simulated, tmp_path: Path) -> tuple[Command, Path]:
    """The command line in a copy of that folder, and the suite there."""
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    return Command(tmp_path), tmp_path / "suites" / "sums.yaml"


def check_sentence(ended: Ended, code: ExitCode, said: str) -> None:
    assert ended.code == code, ended.err
    assert said in " ".join(ended.err.split()), ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ('"1"', "damaged: its format version is '1'"),
        ("null", "damaged: its format version is None"),
        ("1.5", "damaged: its format version is 1.5"),
        ("-1", "damaged: its format version is -1"),
        ("[1]", "damaged: its format version is [1]"),
        ("{}", "damaged: its format version is {}"),
        ("true", "damaged: its format version is True"),
        ("1e400", "damaged, not a readable manifest"),
        ("99", "written by a newer version"),
    ],
)
def test_a_format_version_that_is_none_of_ours(
    ran: tuple[Command, Path], tmp_path: Path, version: str, said: str
) -> None:
    cli, suite = ran
    manifest = tmp_path / "run" / MANIFEST
    content = json.loads(manifest.read_text()) | {"schema": "VERSION"}
    manifest.write_text(json.dumps(content).replace('"VERSION"', version))
    for words in (
        ["report", "run"],
        ["resume", "run"],
        ["show", "run", "c0"],
        ["run", suite, "--replay", "run", "--out", "new"],
        ["run", suite, "--failed-of", "run", "--out", "new"],
        ["run", suite, "--out", "run", "--overwrite"],
    ):
        check_sentence(cli(*words), USAGE, said)


LONG = "x" * 300


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "SUITE", "--out", "file"], INFRASTRUCTURE, "file: cannot be created: File exists"),
        (["run", "SUITE", "--out", "file/x"], INFRASTRUCTURE, "cannot be created: Not a directory"),
        (["run", "SUITE", "--out", LONG], INFRASTRUCTURE, "File name too long"),
        (["run", "SUITE", "--out", "a\0b"], USAGE, "null byte"),
        (["run", "SUITE", "--out", "\udcff"], USAGE, "is no name in UTF-8"),
        (["run", "SUITE", "--out", "suites", "--overwrite"], USAGE, "contains other files"),
        (["run", "SUITE", "--failed-of", "a\0b"], USAGE, "NUL"),
        (["run", "SUITE", "--failed-of", LONG], INFRASTRUCTURE, "File name too long"),
        (["run", "SUITE", "--replay", LONG], INFRASTRUCTURE, "File name too long"),
        (["report", "run", "--out", "loop"], INFRASTRUCTURE, "loop: cannot be created"),
        (["report", "run", "--out", LONG], INFRASTRUCTURE, "File name too long"),
        (["report", LONG], INFRASTRUCTURE, "File name too long"),
        (["show", "loop", "c0"], INFRASTRUCTURE, "Too many levels of symbolic links"),
        (["resume", "file"], USAGE, "not a run folder"),
        (["init", LONG], INFRASTRUCTURE, "File name too long"),
        (["init", "file"], INFRASTRUCTURE, "cannot be written"),
    ],
    ids=lambda value: (
        " ".join(value)[:40].encode("ascii", "replace").decode().replace("\0", "?")
        if isinstance(value, list)
        else ""
    ),
)
def test_a_path_that_leads_nowhere(
    ran: tuple[Command, Path], tmp_path: Path, words: list[str], code: ExitCode, said: str
) -> None:
    cli, suite = ran
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "loop").symlink_to("loop")
    check_sentence(cli(*(str(suite) if word == "SUITE" else word for word in words)), code, said)


@pytest.mark.parametrize("name", ["-run", "😀 run"])
def test_a_folder_of_any_other_name_will_do(ran: tuple[Command, Path], name: str) -> None:
    cli, suite = ran
    ended = cli("run", suite, "--out", name, "--limit", "1")
    assert ended.code == OK
    assert ended.out.endswith(
        "report: ./-run/report.html\n" if name == "-run" else "report.html'\n"
    )


def test_the_failures_of_an_unfinished_run_are_said_to_be_part_of_them(
    ran: tuple[Command, Path], simulator: Simulated, tmp_path: Path
) -> None:
    cli, suite = ran
    records = tmp_path / "run" / RECORDS
    lines = records.read_bytes().splitlines(keepends=True)
    failed = [line for line in lines if b'"passed":false' in line]
    assert failed
    records.write_bytes(b"".join(failed))
    check_sentence(cli("report", "run"), INFRASTRUCTURE, "")
    again = cli("run", suite, "--failed-of", "run", "--out", "again")
    check_sentence(again, OK, f"That run is unfinished: it owes {len(lines) - len(failed)} trials")
    assert len(simulator.requests()) == len(failed)


def test_a_limited_run_is_resumed_within_its_limit(
    ran: tuple[Command, Path], simulator: Simulated, tmp_path: Path
) -> None:
    cli, suite = ran
    cli.record(suite, "part", overrides=Overrides(limit=1))
    shutil.copyfile(tmp_path / "part" / RECORDS, tmp_path / "all")
    (tmp_path / "part" / RECORDS).write_bytes((tmp_path / "all").read_bytes().splitlines(True)[0])
    simulator.forget()
    assert cli("resume", "part").code == OK
    assert len(simulator.requests()) == 3
