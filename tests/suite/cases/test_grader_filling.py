"""A grader whose template fails for some cases is warned of when the suite is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.suite import Suite

SUITE = """\
suite: s
targets: scout-sim
graders: [%s]
prompts: [{id: a, user: "{{ q }}"%s}, {id: b, user: "{{ q }}"}]
cases: [cases.jsonl]
"""
ROWS = """\
{"id": "x", "vars": {"q": "one"}, "expected": {"label": "up"}}
{"id": "y", "vars": {"q": "two"}, "expected": {"lable": "up"}%s}
{"id": "z", "vars": {"q": "three"}, "expected": "up"%s}
"""
LABEL = 'equals: "{{ expected.label }}"'
OWN = ', "graders": [{"contains": "{{ expected.label }}", "id": "%s"}]'
SKIPPED = "cannot be filled in for 2 of 3 cases (first: case `y`, {cases}:2), and will not grade them: there is no"


@pytest.mark.parametrize(
    ("graders", "turns", "own", "warnings"),
    [
        ('"equals", contains: "{{ q }}"', "", "", []),
        ('equals: "{{ expected.label | default(q) }}"', "", "", []),
        (f"equals, {LABEL}", "", "", ["{suite}:3:19: the grader `equals-2` " + SKIPPED]),
        (f"not: {{{LABEL}}}", "", "", ["{suite}:3:11: the grader `not` " + SKIPPED]),
        (
            "equals",
            f", turns: [{{user: And?, graders: [{{{LABEL}}}]}}]",
            "",
            ["{suite}:4:11: the grader `turn-2: equals` of the prompt `a` " + SKIPPED],
        ),
        (
            LABEL,
            "",
            OWN,
            [
                "{cases}:2: the case's own grader `contains` cannot be filled in for 2 of 2 cases"
                " (first: case `y`, {cases}:2), and will not grade them: there is no"
            ],
        ),
    ],
)
def test_it_is_told_with_the_cases_that_it_fails_for(
    suite: Callable[..., Suite],
    write: Callable[..., Path],
    graders: str,
    turns: str,
    own: str,
    warnings: list[str],
) -> None:
    cases = write(
        "suites/cases.jsonl", ROWS % tuple(own % each if own else "" for each in ("one", "two"))
    )
    found = suite(SUITE % (graders, turns)).warnings
    wanted = [each.format(suite=cases.parent / "suite.yaml", cases=cases) for each in warnings]
    told = [each for each in found if "cannot be filled in" in each]
    assert [each[: len(want)] for each, want in zip(told, wanted, strict=True)] == wanted, told


@pytest.mark.parametrize(
    ("grader", "row", "said"),
    [
        ("number", '"expected": "3,5"', 'expected: "3,5" has a decimal comma; write 3.5, or'),
        ("number", '"expected": "3:4"', 'expected: "3:4" is not exactly one number; write'),
        ("not: number", '"expected": "3:4"', '"3:4" is not exactly one number; write'),
        (
            'number: {tolerance: "{{ q }}"}',
            '"expected": 1, "vars": {"q": "0,5"}',
            'tolerance: should be a valid decimal, not "0,5"',
        ),
        (
            'length: {max: "{{ q }}"}',
            '"vars": {"q": "1 to 2"}',
            'max: should be a whole number, not "1 to 2"',
        ),
    ],
)
def test_a_number_that_would_have_to_be_guessed_is_refused(
    problems: Callable[..., list[str]],
    write: Callable[..., Path],
    grader: str,
    row: str,
    said: str,
) -> None:
    cases = write(
        "suites/cases.jsonl",
        "".join(f'{{"id": "{name}", "vars": {{"q": "1"}}, {row}}}\n' for name in "xyz"),
    )
    (found,) = problems(SUITE % (grader if ":" in grader else f"{{{grader}: }}", ""))
    assert found.startswith(f"{cases}:1: the case `x`: the grader `"), found
    assert said in found
    assert found.endswith("; the same in 2 more rows")


def test_arguments_that_no_case_fills_are_warned_of(
    suite: Callable[..., Suite], write: Callable[..., Path]
) -> None:
    write("suites/cases.jsonl", (ROWS % ("", "")).replace('"expected": "up"', '"expected": ["up"]'))
    found = suite(SUITE % ('one_of: "{{ expected }}"', "")).warnings
    (told,) = [each for each in found if "cannot be filled in" in each]
    assert "for 2 of 3 cases (first: case `x`," in told
    assert told.endswith('one_of: values: should be a list, not {"label": "up"}')


def test_only_selected_cases_are_counted(
    suite: Callable[..., Suite], write: Callable[..., Path]
) -> None:
    write("suites/cases.jsonl", ROWS % ("", ""))
    assert not [each for each in suite(SUITE % (LABEL, ""), limit=1).warnings if "filled" in each]
