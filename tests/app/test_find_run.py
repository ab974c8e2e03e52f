"""`latest`, wherever a run is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.app.find_run import find_run
from harness.errors import ExitCode, UsageError
from tests.support import Command

SUITE = """
suite: {name}
prompts: [{{user: "{{{{ question }}}}"}}]
cases: [{{id: sum, vars: {{question: 1 + 1}}, expected: 2}}]
graders: [number]
targets: {{name: fast, provider: simulator, model: llama-4-scout, simulator: {{ttft: 0s, inter_token: 0s}}}}
"""


def write_run(folder: Path, suite: str, created: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"suite": suite, "created": created}))
    return folder


def test_latest_is_the_run_that_was_started_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "reports" / "runs"
    first = write_run(runs / "mail" / "b", "mail", "2026-11-01T10:00:00+00:00")
    last = write_run(runs / "chat" / "a", "chat", "2026-11-03T10:00:00+00:00")
    named = write_run(runs / "ci", "mail", "2026-11-02T10:00:00+00:00")
    write_run(runs / "mail" / "damaged", "mail", "2026-12-01T10:00:00+00:00")
    (runs / "mail" / "damaged" / "manifest.json").write_text("{")
    assert find_run("latest", workspace=tmp_path) == last
    assert find_run("latest", workspace=tmp_path, suite="mail") == named
    assert find_run("latest:chat", workspace=tmp_path, suite="mail") == last
    with pytest.raises(UsageError, match="no run of the suite 'other'"):
        find_run("latest:other", workspace=tmp_path)
    assert find_run(first) == first
    (tmp_path / "suites").mkdir()
    monkeypatch.chdir(tmp_path / "suites")  # the workspace is that of the current folder
    assert find_run("latest") == last
    spoilt = write_run(runs / "mail" / "2026-11-02T10-00-01Z-1f3a", "mail", "damaged")
    (spoilt / "manifest.json").write_text("{")
    with pytest.raises(UsageError, match="1f3a, is damaged"):
        find_run("latest:mail")
    assert find_run("latest") == last  # which is newer
    Path("latest").mkdir()
    assert find_run("latest") == Path("latest")


def test_every_command_that_wants_a_run_takes_latest(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    for name in ("one", "other"):
        (tmp_path / "suites" / f"{name}.yaml").write_text(SUITE.format(name=name), "utf-8")
        cli.record(f"suites/{name}.yaml", f"reports/runs/{name}")
    replayed = cli("run", "suites/one.yaml", "--replay", "latest", "--out", "again")
    assert "1 reused" in replayed.err
    for words in (["report", "latest"], ["resume", "latest"], ["show", "latest:one", "sum"]):
        ended = cli(*words)
        assert ended.code == ExitCode.OK, ended.err
    assert "run other" in cli("report", "latest").out
    assert cli("report", "latest:gone").code == ExitCode.USAGE


def test_a_run_can_be_overwritten_where_it_was(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.format(name="one"), "utf-8")
    cli.record("suite.yaml")
    refused = cli("run", "suite.yaml", "--out", "run")
    assert refused.code == ExitCode.USAGE
    assert "--overwrite" in refused.err
    for words in (["--overwrite"], ["--overwrite", "--out", "run", "--replay", "run"]):
        assert cli("run", "suite.yaml", *words).code == ExitCode.USAGE
    assert cli("run", "suite.yaml", "--out", "run", "--overwrite", "--repeats", "2").code == 0
    assert "2 of 2 trials" in cli("report", "run").out
