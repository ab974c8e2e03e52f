"""Grades one answer as a run would: specification, build, flow."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from harness.flows.base import Flow
from harness.flows.child_checks import OWN_FUNCTION
from harness.graders import Answer, build_graders, grade_answer
from harness.graders.base import GraderSpec
from harness.model import Error, Grade, ToolCall, ToolResult

Perform = Callable[[ToolCall], ToolResult]


def spec(kind: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> GraderSpec:
    return GraderSpec(
        type=kind, arguments=dict(arguments or {}), id=options.pop("id", kind), **options
    )


def call_own(call: ToolCall) -> ToolResult:
    """What a child process would make of a call of one of our own functions; no other is
    expected."""
    assert call.name.startswith(OWN_FUNCTION), call.name
    module, _, name = call.name.removeprefix(OWN_FUNCTION).partition(":")
    function = getattr(importlib.import_module(module), name)
    return ToolResult(call.id, json.dumps(function(**json.loads(call.arguments))))


def finish(flow: Flow[Any], perform: Perform = call_own) -> Any:
    """Run a flow that only makes tool calls."""
    try:
        need = next(flow)
        while True:
            need = flow.send(perform(need))
    except StopIteration as ended:
        return ended.value


def grade(
    kind: str,
    arguments: Mapping[str, Any] | None,
    answer: Answer | str,
    perform: Perform = call_own,
) -> Grade:
    """What one grader makes of one answer."""
    answer = Answer(answer) if isinstance(answer, str) else answer
    (grade,) = finish(grade_answer(build_graders([spec(kind, arguments)]), answer), perform)
    return grade


def error_of(grade: Grade) -> Error:
    """The error of a grade that must have one, and no value."""
    assert grade.value is None
    assert grade.error is not None
    assert grade.error.boundary == "grader"
    return grade.error
