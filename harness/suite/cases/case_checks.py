"""Checks each case against what its prompts, graders and tools need of it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.config.diagnostics import Problems, nearest_match
from harness.suite.cases.case_rows import Row
from harness.suite.cases.row_mapping import ANSWERS
from harness.suite.cases.selection import Selection
from harness.suite.grader_specs import grader_variables
from harness.suite.prompts import turn_variables
from harness.suite.tools import find_tool_errors

_LISTED = 12


class CaseChecks:
    """The checks of one eval's cases; problems are noted at the case."""

    def __init__(self, selection: Selection, problems: Problems) -> None:
        self._selection = selection
        self._problems = problems
        names = {*selection.needs, *selection.grader_needs, *selection.later_needs}
        self._usual_needs = frozenset(names - {"expected"})
        self._expects = "expected" in names

    def check_row(self, row: Row) -> Row:
        """Check the case; the row with the hash of its images."""
        case, selection = row.case, self._selection
        if not self._has_usual_needs(row):
            self._check_needs(row)
        selection.asked_prompts.check(case, row.place, self._problems)
        if selection.toolset is not None or case.tools is not None:
            for wrong in find_tool_errors(selection.toolset, case):
                self._problems.add(row.place, wrong)
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
            if name != "expected":
                self._problems.add(
                    row.place,
                    f"the case `{row.case.id}` has no value for `{name}`, which {needs[name]}"
                    f" uses; {_describe_variables(name, row.case.vars)}",
                )
            elif name not in row.raw:
                self._problems.add(
                    row.place,
                    f"the case `{row.case.id}` has no `expected`, which {needs[name]} uses"
                    f"{_suggest_expected(row.case.vars)}",
                )

    def _check_conversation(self, row: Row) -> None:
        """Note a case's turns where one of the prompts is a plain completion, which cannot be
        multi-turn.
        """
        if self._selection.plain is not None:
            problem = (
                f"the case `{row.case.id}` has `turns`, but the prompt `{self._selection.plain}` is"
                " plain text to complete"
            )
            self._problems.add(
                row.place, f"{problem}; write the prompt as {{user: …}}, or remove the turns"
            )


def _describe_variables(wanted: str, variables: Mapping[str, object]) -> str:
    """The variables that a case has, for a message that one is missing."""
    names = list(variables)
    close = nearest_match(wanted, names)
    if close is not None:
        return f"it has `{close}`"
    listed = ", ".join(f"`{name}`" for name in names[:_LISTED])
    return f"it has {listed or 'none'}{', …' if len(names) > _LISTED else ''}"


def _suggest_expected(variables: Mapping[str, object]) -> str:
    """How to expect a column that is called otherwise; nothing where there is no such column."""
    found = next((name for name in variables if name.lower() in ANSWERS), None)
    if found is None:
        return ""
    return f'; take it from a column with {{file: …, expected: "{{{{ {found} }}}}"}}'
