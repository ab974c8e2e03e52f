"""Checks a suite's reference answers against their own graders: `harness validate --references`.

A module of its own, because the engine it needs takes longer to import than a suite to check.
"""

from __future__ import annotations

import asyncio

from harness.config.diagnostics import display_path
from harness.engine.drive import Journal, drive
from harness.engine.workers.pool import WorkerPool
from harness.errors import Problem, SuiteError
from harness.flows.base import Flow
from harness.graders import build_graders, grade_reference_answer
from harness.graders.base import UNKNOWN
from harness.model import Error, Exchange, Grade, Request, Response
from harness.suite import Case, Eval, Suite


def check_references(suite: Suite) -> int:
    """How many cases expect something. Raises SuiteError naming each whose own expected answer
    would not pass."""
    return asyncio.run(_check_references(suite))


async def _check_references(suite: Suite) -> int:
    problems: list[Problem] = []
    checked = 0
    async with WorkerPool() as pool:
        for evaluation, case in ((each, case) for each in suite.evals for case in each.cases):
            failing = await drive(
                _grade_reference(evaluation, case),
                _ask_nobody,
                pool.call,
                Journal("", 0, "", _discard),
            )
            checked += case.expected is not None
            problems += [_reference_problem(suite, evaluation, case, grade) for grade in failing]
    if problems:
        raise SuiteError(problems)
    return checked


def _grade_reference(evaluation: Eval, case: Case) -> Flow[list[Grade]]:
    graders = build_graders(case.graders if case.graders is not None else evaluation.graders)
    return grade_reference_answer(graders, case.expected, case.vars)


def _reference_problem(suite: Suite, evaluation: Eval, case: Case, grade: Grade) -> Problem:
    said = grade.error.message if grade.error else grade.reason
    return Problem(
        f"eval {evaluation.name!r}, case {case.id!r}: its expected answer would not pass its grader"
        f" {grade.name!r}: {said}",
        display_path(suite.path),
    )


async def _ask_nobody(
    role: str, request: Request, position: str, target: str | None = None
) -> Exchange:
    """Nothing is sent, and what a judge would say is not held against the answer."""
    nobody = Response(error=Error("grader", UNKNOWN, f"{target or role} is not asked"))
    return Exchange(position, role, target or "", request, nobody)


def _discard(line: object) -> None:
    """Reference answers leave no records."""
