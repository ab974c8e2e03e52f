"""Gives each case of an eval an id of its own: rows that stand twice are numbered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec.structs import replace

from harness.config.diagnostics import Place
from harness.hashing import TextHashes, canonical_json, hash64
from harness.suite.cases.case_rows import Row

Duplicates = Literal["keep", "refuse", "drop"]

MAX_REPEATS = 20
"""Repeated ids that are named."""


class CaseIds:
    """The ids of an eval's cases so far.

    A row that repeats an earlier one gets its id with a number, `q1#2`; so does one without an id
    that repeats only the variables. `find_clashes` then tells those that share an id and nothing
    else, which is a mistake.
    """

    def __init__(self) -> None:
        self._taken = TextHashes()
        self._numbers: dict[str, int] = {}
        self._suspects: dict[str, Duplicates] = {}

    def __contains__(self, case_id: str) -> bool:
        return case_id in self._taken

    def assign_id(self, row: Row, duplicates: Duplicates = "keep") -> Row:
        """The row, renumbered where its id is taken."""
        own = row.case.id
        if self._taken.add(own):
            return row
        if duplicates == "refuse" or "id" in row.raw:
            self._suspects.setdefault(own, duplicates)
        number = self._numbers.get(own, 1) + 1
        while not self._taken.add(f"{own}#{number}"):
            number += 1
        self._numbers[own] = number
        return row._replace(case=replace(row.case, id=f"{own}#{number}"), numbered=True)

    def find_clashes(self, rows: Iterator[Row]) -> Iterator[tuple[Place, str]]:
        """Yields what is wrong with each of all rows, read again and not numbered, that may not
        have its id. Only where there is a suspicion are they read.
        """
        first: dict[str, tuple[int, Row]] = {}
        found = 0
        for row in rows if self._suspects else ():
            rule = self._suspects.get(row.case.id)
            if rule is None:
                continue
            content = hash64(canonical_json(row.raw))
            earlier = first.setdefault(row.case.id, (content, row))
            if earlier[1] is not row and (rule == "refuse" or earlier[0] != content):
                yield row.place, _clash_message(row, earlier[1])
                found += 1
            if found >= MAX_REPEATS:
                return


def _clash_message(row: Row, earlier: Row) -> str:
    if "id" in row.raw or "id" in earlier.raw:
        return (
            f"the case id `{row.case.id}` is already at {earlier.place}; give each case a unique id"
        )
    return (
        f"the case has the same variables as the one at {earlier.place}, and neither has an id;"
        " remove one, or give both an id"
    )
