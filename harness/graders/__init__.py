"""Graders: from an answer to a verdict. `build` makes them ready, `grade_all` uses them, `verdict` sums them up."""

from harness.graders.answer import build_answer, build_turn_answers
from harness.graders.base import Answer, Arguments, GraderError, GraderSpec, GraderType, Verdict
from harness.graders.build import Grader, build_graders, grade_answer, run_grader
from harness.graders.references import grade_reference_answer
from harness.graders.scoring import score_grades

__all__ = [
    "Answer",
    "Arguments",
    "Grader",
    "GraderError",
    "GraderSpec",
    "GraderType",
    "Verdict",
    "build_answer",
    "build_graders",
    "build_turn_answers",
    "grade_answer",
    "grade_reference_answer",
    "run_grader",
    "score_grades",
]
