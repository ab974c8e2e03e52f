"""Grades a case's reference answer by its own graders: a case that fails this can be passed by no
model.

The expected value, as text, takes the place of the model's answer. What such an answer does not
have (a latency, a cost, a token count) is not held against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.flows.base import Flow
from harness.graders.base import UNKNOWN, Answer, to_text
from harness.graders.build import Grader, grade_answer
from harness.model import Grade


def grade_reference_answer(
    graders: Sequence[Grader], expected: Any, variables: Mapping[str, Any]
) -> Flow[list[Grade]]:
    """The grades of weight > 0 that the expected answer itself would not pass; none where nothing
    is expected."""
    if expected is None:
        return []
    deciding = [grader for grader in graders if grader.weight > 0]
    answer = Answer(to_text(expected), expected, variables, finish_reason="stop")
    grades = yield from grade_answer(deciding, answer)
    return [grade for grade in grades if _is_failing(grade)]


def _is_failing(grade: Grade) -> bool:
    if grade.error is not None:
        return grade.error.kind != UNKNOWN
    return grade.passed is False
