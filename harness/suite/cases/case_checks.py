"""Checks each case against what its prompts, graders and tools need of it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.config.diagnostics import Problems
from harness.suite.cases.case_rows import Row
from harness.suite.cases.missing_variables import MissingVariables
from harness.suite.cases.row_problems import RowProblems
from harness.suite.cases.selection import Selection
from harness.suite.graders.grader_specs import grader_variables
from harness.suite.prompts import turn_variables
from harness.suite.tools import find_tool_errors


class CaseChecks:
    """The checks of one eval's cases; problems are noted at the case."""

    def __init__(self, selection: Selection, problems: RowProblems) -> None:
        self._selection = selection
        self._problems = problems
        self._missing = MissingVariables()
        self._rows = 0
        names = {*selection.needs, *selection.grader_needs, *selection.later_needs}
        self._usual_needs = frozenset(names - {"expected"})
        self._expects = "expected" in names

    def check_row(self, row: Row) -> Row:
        """Check the case; the row with the hash of its images."""
        case, selection = row.case, self._selection
        self._rows += 1
        if not self._has_usual_needs(row):
            self._check_needs(row)
        selection.asked_prompts.check(case, row.place, self._problems)
        if selection.toolset is not None or case.tools is not None:
            for wrong in find_tool_errors(selection.toolset, case):
                self._problems.add(row.place, wrong, f"the case `{case.id}`")
        inventory = selection.image_inventory
        if not inventory.may_have_images(case):
            return row
        return row._replace(images=inventory.check(case, row.place, self._problems))

    def _has_usual_needs(self, row: Row) -> bool:
        """Whether the row is of the usual kind, and has all that any prompt or grader needs."""
        case = row.case
        return (
            case.graders is None
            and case.later_turns is None
            and self._usual_needs <= case.vars.keys()
            and (not self._expects or "expected" in row.raw)
        )

    def _check_needs(self, row: Row) -> None:
        case, selection = row.case, self._selection
        self._check_variables(row, selection.asked_prompts.list_needs(case, selection.needs))
        self._check_variables(
            row, selection.grader_needs if case.graders is None else grader_variables(case.graders)
        )
        if case.later_turns is None:
            self._check_variables(
                row, selection.asked_prompts.list_needs(case, selection.later_needs)
            )
        else:
            self._check_variables(row, turn_variables(case.later_turns, "the case"))
            self._check_conversation(row)

    def _check_variables(self, row: Row, needs: Mapping[str, str]) -> None:
        if needs.keys() <= row.case.vars.keys():
            return
        for name in sorted(needs.keys() - row.case.vars.keys()):
            if name != "expected" or name not in row.raw:
                self._missing.note(row, name, needs[name])

    def tell_missing(self, problems: Problems) -> None:
        """Tell the variables that the rows so far have no values for."""
        found = self._missing.find_problems(self._rows, self._selection.find_use)
        for place, wrong in found:
            problems.add(place, wrong)

    def _check_conversation(self, row: Row) -> None:
        """Note a case's turns where one of the prompts is a plain completion, which cannot be
        multi-turn.
        """
        if self._selection.plain is not None:
            self._problems.add(
                row.place,
                f"has `turns`, but the prompt `{self._selection.plain}` is plain text to complete;"
                " write the prompt as {user: …}, or remove the turns",
                f"the case `{row.case.id}`",
            )
