"""Counts the cases that have no value for a variable: one sentence a variable, whoever's mistake
it is. Where no case has it, its name is misspelt in the prompt or grader that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from harness.config.diagnostics import Place, nearest_match
from harness.suite.cases.case_rows import Row
from harness.suite.cases.row_mapping import ANSWERS

_LISTED = 12
FindUse = Callable[[str, str], Place | None]
"""From a variable and its user, as messages have it, to the place where it is used."""


class _MissingVariable(Struct):
    """The first case without a variable, what it has instead, and how many lack it."""

    place: Place
    case: str
    has: str
    cases: int = 0


class MissingVariables:
    """The variables that cases lack, by name and user."""

    def __init__(self) -> None:
        self._missing: dict[tuple[str, str], _MissingVariable] = {}

    def note(self, row: Row, name: str, user: str) -> None:
        """Count a case without the variable `name`."""
        found = self._missing.get((name, user))
        if found is None:
            variables = row.case.vars
            has = (
                _suggest_expected(variables)
                if name == "expected"
                else f"; {_describe_variables(name, user, variables)}"
            )
            found = self._missing[name, user] = _MissingVariable(row.place, row.case.id, has)
        found.cases += 1

    def find_problems(self, total: int, find_use: FindUse) -> Iterator[tuple[Place, str]]:
        """Yields a sentence, with its place, on each variable that some of `total` cases lack."""
        for (name, user), each in self._missing.items():
            if each.cases == total > 1:
                yield (
                    find_use(name, user) or each.place,
                    f"{user} uses `{name}`, for which none of the {total:,} cases has a value"
                    f" (first: the case `{each.case}`, {each.place}){each.has}",
                )
                continue
            who = f"the case `{each.case}` has"
            if each.cases > 1:
                who = f"the case `{each.case}` and {each.cases - 1:,} more of {total:,} cases have"
            what = "no `expected`" if name == "expected" else f"no value for `{name}`"
            yield each.place, f"{who} {what}, which {user} uses{each.has}"


def _describe_variables(wanted: str, user: str, variables: Mapping[str, object]) -> str:
    """The variables that a case has, for a message that one is missing."""
    names = list(variables)
    others = ["expected"] if user.startswith("the grader ") else []
    close = nearest_match(wanted, [*names, *others])
    if close is not None:
        return f"did you mean `{close}`?"
    listed = ", ".join(f"`{name}`" for name in names[:_LISTED])
    return f"it has {listed or 'none'}{', …' if len(names) > _LISTED else ''}"


def _suggest_expected(variables: Mapping[str, object]) -> str:
    """How to expect a column that is called otherwise; nothing where there is no such column."""
    found = next((name for name in variables if name.lower() in ANSWERS), None)
    if found is None:
        return ""
    return f'; take it from a column with {{file: …, expected: "{{{{ {found} }}}}"}}'
