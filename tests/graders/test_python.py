"""The python grader: what is asked of the child, and what its value means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.graders import Answer, build_graders, run_grader
from harness.model import Error, Image, Message, Text, ToolCall, ToolResult, Usage
from tests.graders.grading import error_of, finish, grade, spec

ADDRESS = {"function": "/suite/grader.py:grade"}


def returning(value: Any) -> Any:
    return lambda call: ToolResult(call.id, json.dumps(value))


def test_the_function_is_asked_for_by_its_address_with_the_answers_fields() -> None:
    calls: list[ToolCall] = []

    def perform(call: ToolCall) -> ToolResult:
        calls.append(call)
        return ToolResult(call.id, "true")

    answer = Answer(
        "42 \ud800",
        expected={"n": 42},
        variables={"question": "6 × 7"},
        messages=(Message("user", (Text("What is this?"), Image("image/png", "aGVsbG8="))),),
        tool_calls=(ToolCall("1", "add", "{}"),),
        finish_reason="stop",
        usage=Usage(input=3, output=1),
        latency=0.5,
        ttft=0.1,
        cost=0.01,
    )
    assert grade("python", ADDRESS, answer, perform).value is True
    (call,) = calls
    assert call.name == "python:/suite/grader.py:grade"
    fields = json.loads(call.arguments)
    assert fields.pop("usage")["output"] == 1
    assert fields == {
        "text": "42 \ud800",
        "original": "42 \ud800",
        "expected": {"n": 42},
        "variables": {"question": "6 × 7"},
        "messages": [{"role": "user", "content": "What is this?"}],
        "tool_calls": [{"id": "1", "name": "add", "arguments": "{}"}],
        "failed_calls": 0,
        "turns": None,
        "finish_reason": "stop",
        "latency": 0.5,
        "ttft": 0.1,
        "cost": 0.01,
    }


@pytest.mark.parametrize(
    ("returned", "value", "reason"),
    [
        (True, True, ""),
        (False, False, ""),
        (0.25, 0.25, ""),
        (1, 1.0, ""),
        ("polite", "polite", ""),
        ({"value": 0.5, "reason": "half of it"}, 0.5, "half of it"),
        ({"value": False}, False, ""),
        ({"value": True, "reason": None}, True, ""),
        ({"value": True, "reason": "x" * 5_000}, True, "x" * 2_000 + "…"),
    ],
)
def test_what_a_function_returns_is_its_verdict(returned: Any, value: Any, reason: str) -> None:
    graded = grade("python", ADDRESS, "42", returning(returned))
    assert (graded.value, type(graded.value), graded.reason, graded.error) == (
        value,
        type(value),
        reason,
        None,
    )


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (None, "no_verdict"),
        ({"value": None, "reason": "cannot say"}, "no_verdict"),
        (1.5, "out_of_range"),
        (-0.1, "out_of_range"),
        (2, "out_of_range"),
        ([True], "invalid_value"),
        ({"score": 1}, "invalid_value"),
        ({"reason": "because"}, "invalid_value"),
        ({"value": True, "reason": 3}, "invalid_value"),
        ({"value": {"a": 1}}, "invalid_value"),
    ],
)
def test_what_is_no_verdict_is_a_grader_error(returned: Any, kind: str) -> None:
    assert error_of(grade("python", ADDRESS, "42", returning(returned))).kind == kind


def test_a_child_that_failed_is_a_grader_error() -> None:
    failed = Error("tool", "timeout", "it took longer than 10 s and was stopped")
    error = error_of(grade("python", ADDRESS, "42", lambda call: ToolResult(call.id, "", failed)))
    assert (error.kind, error.message) == (failed.kind, failed.message)


@pytest.mark.parametrize(
    "function", ["grader.py", "grader.py:", ":grade", "grader.py:not a name", "grader.py:a.b"]
)
def test_what_names_no_function_is_refused_when_built(function: str) -> None:
    with pytest.raises(ValueError, match=r"a file and a function, such as grader\.py:grade"):
        build_graders([spec("python", {"function": function})])


def test_a_label_cannot_fail_and_a_score_only_under_its_threshold() -> None:
    (grader,) = build_graders([spec("python", ADDRESS, threshold=0.5)])
    outcomes = [
        finish(run_grader(grader, Answer("")), returning(value)).passed
        for value in ("polite", 0.4, 0.5)
    ]
    assert outcomes == [None, False, True]
