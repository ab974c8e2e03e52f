"""Graders: from an answer to a verdict. `build` makes them ready, `grade_all` uses them, `verdict` sums them up."""

from harness.graders.answer import answer_of, turn_answers
from harness.graders.base import Answer, Arguments, GraderError, GraderType, Verdict
from harness.graders.build import Grader, build, grade_all, grade_of
from harness.graders.references import grade_reference_answer
from harness.graders.scoring import verdict

__all__ = [
    "Answer",
    "Arguments",
    "Grader",
    "GraderError",
    "GraderType",
    "Verdict",
    "answer_of",
    "build",
    "grade_all",
    "grade_of",
    "grade_reference_answer",
    "turn_answers",
    "verdict",
]
