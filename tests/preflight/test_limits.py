"""What is checked of a run before it: that the longest case fits beside its answer; and what is
missing is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.app.prepare import prepare
from harness.errors import SuiteError, UsageError
from harness.suite import load_suite

SUITE = """\
suite: s
prompts: [{id: only, user: "{{ q }}"}]
cases: [cases.jsonl]
targets: [scout-sim]
"""


def refused(
    folder: Path, rows: list[dict[str, object]], more: str = "", suite: str = SUITE
) -> list[str]:
    """What is wrong, each as `file:line: message`; empty where nothing is."""
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "s.yaml").write_text(suite + more)
    loaded = load_suite(folder / "s.yaml")
    try:
        with prepare(loaded, {}, live=False):
            return []
    except SuiteError as wrong:
        return [f"{Path(each.path).name}:{each.line}: {each.message}" for each in wrong.problems]


def row(number: int) -> dict[str, object]:
    return {"id": f"c{number}", "vars": {"q": f"{number}"}}


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ("", True),
        ("sampling: {max_tokens: 130000}\n", False),
        ("sweep: {max_tokens: [8, 130000]}\n", False),
    ],
)
def test_a_question_and_its_answer_must_fit(tmp_path: Path, more: str, fits: bool) -> None:
    rows = [row(1), {"id": "long", "vars": {"q": "word " * 2000}}, row(3)]
    found = refused(tmp_path, rows, more)
    assert (found == []) == fits
    for problem in found:
        assert problem.startswith(
            "cases.jsonl:2: target 'scout-sim': the case `long` in the prompt `only` has about"
        )
        assert "and its answer may have 130,000: more than the 131,000 that fit" in problem


def test_a_question_may_be_too_long_by_itself(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, [{"id": "long", "vars": {"q": "word " * 200_000}}])
    assert problem.startswith("cases.jsonl:1: ") and "lower max_tokens" in problem


def test_a_target_may_say_that_it_has_more_room(tmp_path: Path) -> None:
    suite = SUITE.replace(
        "[scout-sim]", "[{name: mine, provider: simulator, model: llama-4-scout, context: 10M}]"
    )
    assert refused(tmp_path, [{"id": "long", "vars": {"q": "word " * 200_000}}], suite=suite) == []


def test_a_missing_account_is_named_where_the_target_is(tmp_path: Path) -> None:
    refused(tmp_path, [row(1)], suite=SUITE.replace("[scout-sim]", "[scout]"))
    known = {"CLOUDFLARE_AUTH_TOKEN": "x" * 20}
    with (
        pytest.raises(
            UsageError,
            match=r"s.yaml:4:11: target 'scout' needs the environment variable CLOUDFLARE_ACCOUNT_ID",
        ),
        prepare(load_suite(tmp_path / "s.yaml"), known, live=True),
    ):
        pass


def test_a_limit_the_service_sets_by_itself_is_said(tmp_path: Path) -> None:
    said = "scout-sim: answers are limited to 256 tokens, the service's default, because the suite sets no max_tokens"
    for more, expected in (
        ("", True),
        ("sampling: {max_tokens: 9}\n", False),
        ("sweep: {max_tokens: [8, 9]}\n", False),
    ):
        refused(tmp_path, [row(1)], more)
        with prepare(load_suite(tmp_path / "s.yaml"), {}, live=False) as ready:
            assert (said in ready.notes) == expected
