"""`harness show`: a case by any of its names, and all that failed."""

from __future__ import annotations

import pytest

from harness.errors import ExitCode
from tests.support import Command

SUITE = """
suite: mails
prompts: [{user: "{{ question }}"}]
cases: [cases.csv]
graders: [number]
targets: {name: fast, provider: simulator, model: llama-4-scout, simulator: {ttft: 0s, inter_token: 0s}}
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command line beside a run of three cases, of which the last fails; not to be changed."""
    tmp_path = tmp_path_factory.mktemp("shown")
    cli = Command(tmp_path)
    rows = "id,question,expected\n,1 + 1,2\nquot,2 + 2,4\n,3 + 3,7\n"
    (tmp_path / "cases.csv").write_text(rows, "utf-8")
    (tmp_path / "suite.yaml").write_text(SUITE, "utf-8")
    assert cli("run", "suite.yaml", "--out", "run").code == ExitCode.OK
    return cli


@pytest.mark.parametrize(
    ("case", "question"),
    [
        ("quot", "2 + 2"),
        ("mails/quot", "2 + 2"),
        ("cases.csv:2", "1 + 1"),
        ("mails/cases.csv:4", "3 + 3"),
    ],
)
def test_a_case_has_the_names_that_reports_print(shown: Command, case: str, question: str) -> None:
    found = shown("show", "run", case)
    assert found.out.count("── user") == 1, found.err
    assert question in found.out
    assert "mails/cases.csv:4" in (shown.folder / "run" / "report.md").read_text("utf-8")


def test_what_failed_is_shown_at_once(shown: Command) -> None:
    assert shown("show", "run", "--failed").out.count("━━") == 1
    failed = shown("show", "run", "--failed", "--target", "fast").out
    assert "3 + 3" in failed and "\nexpected 7\ngrade  number: FAIL" in failed
    none = shown("show", "run", "--failed", "--target", "slow")
    assert (none.code, "no trial failed" in none.out) == (ExitCode.OK, True)
    for words, said in [
        (["quot", "--failed"], "case 'quot' has no record that failed"),
        (["mails/qout"], "did you mean `mails/quot`?"),
        ([], "name a case"),
    ]:
        ended = shown("show", "run", *words)
        assert ended.code == ExitCode.USAGE
        assert said in ended.err
