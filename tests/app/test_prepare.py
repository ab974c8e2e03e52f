"""Whatever is wrong with a suite, its targets' part included, is told in one list."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.app.prepare import load_checked_suite, prepare
from harness.errors import SuiteError

SUITE = """\
suite: s
prompts: ["Say {{ q }} as text"]
cases: [{id: a, vars: {q: a}, tags: [x], expected: a}]
graders: [GRADER]
targets:
  - {name: a, provider: openai, model: gpt-4.1, base_url: "http://h",
     sampling: {top_p: 1.5}}
gates: ["pass_rate{SLICE} >= 50%"]
sweep: {temperature: [0, 3]}
"""
TOP_P = "top_p must be a number from 0 to 1"
TEMPERATURE = "temperature must be a number from 0 to 2"


@pytest.mark.parametrize(
    ("grader", "gate_slice", "more"),
    [
        ("equals", "tag=x", ()),
        ("equals", "tag=y", ("no tag is called `y`",)),
        ("equal", "tag=y", ("there is no grader `equal`", "no tag is called `y`")),
        ("equal", "target=b", ("there is no grader `equal`", "no target is called `b`")),
        ("equal", "temperature=1", ("there is no grader `equal`", "`temperature` is never 1")),
    ],
)
def test_one_problem_hides_no_other(
    tmp_path: Path, grader: str, gate_slice: str, more: tuple[str, ...]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.replace("GRADER", grader).replace("SLICE", gate_slice))
    try:
        suite = load_checked_suite(path)
    except SuiteError as refused:
        said = str(refused)
    else:
        assert not more
        with pytest.raises(SuiteError) as preparing, prepare(suite, {}, live=False):
            pass
        said = str(preparing.value)
    assert len(said.splitlines()) == 2 + len(more), said
    assert all(each in said for each in (TOP_P, TEMPERATURE, *more)), said


def test_what_could_not_be_read_makes_no_problem_of_what_names_it(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        SUITE.replace("GRADER", "equals")
        .replace("SLICE", "tag=y")
        .replace("tags: [x]", "tagz: [y]")
    )
    with pytest.raises(SuiteError) as refused:
        load_checked_suite(path)
    assert "tagz" in str(refused.value)
    assert "no tag is called" not in str(refused.value)
