"""Graders: from an answer to a verdict. `build_graders` prepares them, `run_grader` applies one."""

from harness.graders.base import Answer, Arguments, GraderError, GraderSpec, GraderType, Verdict
from harness.graders.build import Grader, build_graders, grade_answer, run_grader
from harness.graders.references import grade_reference_answer

__all__ = [
    "Answer",
    "Arguments",
    "Grader",
    "GraderError",
    "GraderSpec",
    "GraderType",
    "Verdict",
    "build_graders",
    "grade_answer",
    "grade_reference_answer",
    "run_grader",
]
