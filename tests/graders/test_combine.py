"""not, all, any: Kleene's three-valued logic over the whole truth table."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from harness.graders import Answer, build_graders, run_grader
from harness.model import ToolCall, ToolResult
from tests.graders.grading import error_of, finish, grade, spec

Truth = bool | None

PARTS: dict[Truth, Any] = {
    True: {"contains": "a"},
    False: {"contains": "b"},
    None: {"latency": "1s"},
}
"""Parts that pass, fail and cannot say (its latency is not known) about the answer `a`."""

NOT: dict[Truth, Truth] = {True: False, False: True, None: None}


def kleene_all(values: tuple[Truth, ...]) -> Truth:
    return False if False in values else None if None in values else True


def kleene_any(values: tuple[Truth, ...]) -> Truth:
    return True if True in values else None if None in values else False


def check(kind: str, arguments: dict[str, Any], expected: Truth) -> None:
    graded = grade(kind, arguments, "a")
    assert graded.value is expected
    assert (graded.error is not None) is (expected is None)
    if expected is None:
        assert "latency" in error_of(graded).message


@pytest.mark.parametrize("value", [True, False, None])
def test_not(value: Truth) -> None:
    check("not", {"grader": PARTS[value]}, NOT[value])


@pytest.mark.parametrize(
    "values",
    [
        *itertools.product([True, False, None], repeat=2),
        *itertools.product([True, False, None], repeat=3),
    ],
)
def test_all_and_any(values: tuple[Truth, ...]) -> None:
    parts = {"graders": [PARTS[value] for value in values]}
    check("all", parts, kleene_all(values))
    check("any", parts, kleene_any(values))


def test_they_nest() -> None:
    unsure_or_wrong = {"any": [PARTS[None], PARTS[False]]}
    assert grade("not", {"grader": {"all": [PARTS[True], {"not": PARTS[True]}]}}, "a").value is True
    assert grade("all", {"graders": [unsure_or_wrong, PARTS[False]]}, "a").value is False
    assert (
        error_of(grade("all", {"graders": [unsure_or_wrong, PARTS[True]]}, "a")).kind == "unknown"
    )


def test_reasons_name_the_parts() -> None:
    parts = {"graders": [{"contains": "b", "id": "has_b"}, {"equals": "c"}]}
    assert grade("all", parts, "a").reason == "has_b: 'b' not in 'a'"
    assert grade("any", parts, "a").reason == "has_b: 'b' not in 'a'; equals: expected 'c', got 'a'"
    assert grade("not", {"grader": {"contains": "a"}}, "a").reason == "contains passed"


def test_parts_may_leave_the_process_and_those_after_a_deciding_one_are_not_asked() -> None:
    asked = []

    def perform(call: ToolCall) -> ToolResult:
        asked.append(call.name.rpartition(":")[2])
        return ToolResult(call.id, json.dumps(call.name.endswith("yes")))

    parts = [{"python": "/g.py:no"}, {"python": "/g.py:yes"}, {"python": "/g.py:never"}]
    assert grade("any", {"graders": parts}, "a", perform).value is True
    assert asked == ["no", "yes"]


def test_a_score_needs_a_threshold_to_take_part() -> None:
    def half(call: ToolCall) -> ToolResult:
        return ToolResult(call.id, "0.5")

    part = {"python": "/g.py:half"}
    assert grade("not", {"grader": {**part, "threshold": 0.6}}, "a", half).value is True
    assert grade("not", {"grader": {**part, "threshold": 0.5}}, "a", half).value is False
    assert (
        "set a `threshold` for the score"
        in error_of(grade("not", {"grader": part}, "a", half)).message
    )


@pytest.mark.parametrize(
    "part",
    ["equals", {"equals": None}, {"equals": {"ignore_case": True}}, {"equals": "{{ expected }}"}],
)
def test_parts_compare_with_what_the_case_expects(part: Any) -> None:
    for kind, arguments in (("any", {"graders": [part]}), ("not", {"grader": {"not": part}})):
        (grader,) = build_graders([spec(kind, arguments)])
        assert finish(run_grader(grader, Answer("yes", expected="yes"))).value is True
        assert finish(run_grader(grader, Answer("no", expected="yes"))).value is False


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("not", {"grader": {"contain": "x"}}, "no grader named 'contain'"),
        ("not", {"grader": {"contains": "x", "equals": "y"}}, "exactly one grader"),
        ("not", {"grader": {}}, "exactly one grader"),
        ("not", {"grader": 3}, "write a grader as its name and its arguments"),
        ("not", {"grader": {"equals": {"value": "y", "valu": "x"}}}, "valu"),
        ("not", {"grader": {"equals": "x", "weight": 2}}, "exactly one grader"),
        (
            "not",
            {"grader": {"equals": "x", "threshold": 2}},
            "threshold must be a number from 0 to 1",
        ),
        ("all", {"graders": []}, "at least one"),
        ("any", {"graders": [{"regex": "("}]}, "not a regular expression"),
    ],
)
def test_parts_that_cannot_be_meant_are_refused_when_built(
    kind: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        build_graders([spec(kind, arguments)])
