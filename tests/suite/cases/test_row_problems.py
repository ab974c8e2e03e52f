"""What is wrong in the same way in many rows is told once, where it can be corrected."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

SUITE = """\
suite: s
targets: scout-sim
graders: [%s]
prompts:
  - user: |
      Think first.
      %s
cases: [cases.jsonl]
"""
ROWS: list[dict[str, Any]] = [
    {"id": f"c{number}", "vars": {"question": "q", "n": 1}, "expected": "x"} for number in (1, 2, 3)
]
ALL = "for which none of the 3 cases has a value (first: the case `c1`, {cases}:1); "


@pytest.mark.parametrize(
    ("prompt", "grader", "change", "said"),
    [
        (
            "{{ qestion }}",
            "equals",
            {},
            ["7: the prompt `prompt` uses `qestion`, " + ALL + "did you mean `question`?"],
        ),
        (
            "{{ question }}",
            "contains: '{{ expcted }}'",
            {},
            ["3:11: the grader `contains` uses `expcted`, " + ALL + "did you mean `expected`?"],
        ),
        (
            "{{ m }}",
            "equals",
            {1: {"vars": {"m": 1}}},
            [
                "{cases}:1: the case `c1` and 1 more of 3 cases have no value for `m`, which the"
                " prompt `prompt` uses; it has `question`, `n`"
            ],
        ),
        (
            "{{ question.text }}",
            "equals",
            {},
            [
                '{cases}:1: the case `c1` does not fit the prompt `prompt` ({suite}:7): "q" has no'
                " `text`; the same in 2 more rows"
            ],
        ),
        (
            "{{ question }}",
            "equals",
            {0: {"colour": "red"}, 2: {"colour": "blue"}},
            ["{cases}:1: unknown key `colour`; ", "the same in 1 more row"],
        ),
        (
            "{{ question }}",
            "equals",
            {each: {"prompts": ["promt"]} for each in range(3)},
            [
                "{cases}:1: the case `c1` names the prompt `promt`, which does not exist; did you"
                " mean `prompt`?; the same in 2 more rows"
            ],
        ),
    ],
)
def test_equal_problems_are_told_once(
    problems: Callable[..., list[str]],
    write: Callable[..., Path],
    prompt: str,
    grader: str,
    change: Mapping[int, dict[str, Any]],
    said: list[str],
) -> None:
    rows = [row | change.get(index, {}) for index, row in enumerate(ROWS)]
    cases = write("suites/cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    (found,) = problems(SUITE % (f"{{{grader}: }}" if ":" not in grader else grader, prompt))
    begin, *rest = (each.format(cases=cases, suite=cases.parent / "suite.yaml") for each in said)
    assert found.startswith(begin), found
    assert all(each in found for each in rest), found


def test_a_mapping_that_fits_no_row_is_told_once(
    problems: Callable[..., list[str]], write: Callable[..., Path]
) -> None:
    write("suites/cases.jsonl", '{"question": "q", "answer": "x"}\n' * 100)
    text = SUITE % ("equals", "{{ question }}")
    (found,) = problems(
        text.replace("cases.jsonl", '{file: cases.jsonl, expected: "{{ anwser }}"}')
    )
    assert found.endswith("'anwser' is undefined; did you mean `answer`?; the same in 99 more rows")
