"""Would the expected answer pass its own graders? A case that fails this can be passed by no model.

Found by putting the expected value, as text, in the place of the model's answer. What such an answer does not have (a latency,
a cost, a token count) is not held against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.flows.base import Flow
from harness.graders.base import UNKNOWN, Answer, text_of
from harness.graders.build import Grader, grade_all
from harness.model import Grade


def grade_reference_answer(graders: Sequence[Grader], expected: Any, variables: Mapping[str, Any]) -> Flow[list[Grade]]:
    """The grades of weight > 0 that the expected answer itself would not pass; none where nothing is expected."""
    if expected is None:
        return []
    deciding = [grader for grader in graders if grader.weight > 0]
    answer = Answer(text_of(expected), expected, variables, finish_reason="stop")
    grades = yield from grade_all(deciding, answer)
    return [grade for grade in grades if _fails(grade)]


def _fails(grade: Grade) -> bool:
    if grade.error is not None:
        return grade.error.kind != UNKNOWN
    return grade.passed is False
