"""The expected answer through its own graders."""

from __future__ import annotations

from typing import Any

import pytest

from harness.graders import build_graders, grade_reference_answer
from tests.graders.grading import finish, spec


def failing(expected: Any, *specs: Any) -> list[str]:
    return [
        grade.name
        for grade in finish(
            grade_reference_answer(build_graders(specs), expected, {"label": "billing"})
        )
    ]


@pytest.mark.parametrize(
    ("expected", "kind", "arguments"),
    [
        ("billing", "equals", {}),
        (41, "equals", {}),
        (41, "number", {}),
        ("The answer is 41", "number", {"expected": 41}),
        ({"a": [1, None, "ü"]}, "json", {"expected": "{{ expected }}"}),
        ({"a": 1}, "json_schema", {"schema": {"type": "object", "required": ["a"]}}),
        ("billing", "equals", {"value": "{{ label }}"}),
    ],
)
def test_a_right_answer_passes(expected: Any, kind: str, arguments: dict[str, Any]) -> None:
    assert failing(expected, spec(kind, arguments)) == []


@pytest.mark.parametrize(
    ("expected", "kind", "arguments"),
    [
        ("Billing", "one_of", {"values": ["billing", "returns"]}),
        ("forty-one", "number", {}),
        ({"b": 1}, "json_schema", {"schema": {"type": "object", "required": ["a"]}}),
        ("billing", "length", {"max": 3}),
        ("billing", "equals", {"value": "{{ lable }}"}),
    ],
)
def test_an_answer_that_its_own_grader_fails_or_cannot_grade_is_named(
    expected: Any, kind: str, arguments: dict[str, Any]
) -> None:
    assert failing(expected, spec("contains", {"value": "i"}, weight=0), spec(kind, arguments)) == [
        kind
    ]


def test_what_a_reference_answer_does_not_have_is_not_held_against_it() -> None:
    measures = [
        spec("latency", {"max": "1s"}),
        spec("cost", {"max": 1}),
        spec("length", {"max": 9, "unit": "tokens"}),
    ]
    assert failing("billing", *measures, spec("finish_reason")) == []


def test_graders_of_weight_0_and_cases_that_expect_nothing_are_left_out() -> None:
    assert failing("billing", spec("equals", {"value": "returns"}, weight=0)) == []
    assert failing(None, spec("equals", {"value": "returns"})) == []
