"""Says how a table of cases was read: what was found out about the file, and what in it is probably
a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.config.diagnostics import nearest_match
from harness.suite.cases.case_rows import Row
from harness.suite.cases.row_mapping import SPECIAL_COLUMNS, RowMapping
from harness.suite.cases.row_selection import RowSelection
from harness.suite.cases.selection import Selection
from harness.suite.tables import Table
from harness.wording import pluralize

_LISTED = 8
_ROW_KEYS = ("graders", "turns", "sampling", "tools", "metadata", "vars")
_ELSEWHERE: Mapping[str, str] = {
    "__expected": "write assertions as graders, under `graders:`, and put a reference answer in a"
    " column `expected`",
    "__threshold": "name the column `threshold`",
    "__description": "put the case's name in a column `id`",
    "__metadata": 'next to `file:`, set `metadata:` from a column, such as {key: "{{ column }}"}',
    "__prefix": 'write it in the prompt: `user: "{{ prefix }} …"`',
    "__suffix": 'write it in the prompt: `user: "… {{ suffix }}"`',
    "__metric": "name the grader with `id:`",
    "__config": "set the grader's own arguments",
}
"""Columns with which promptfoo's files say more than variables, and what they would be here."""


class TableReport:
    """Facts about one table, collected while its rows are read."""

    def __init__(self, table: Table, mapping: RowMapping, chosen: RowSelection) -> None:
        self._table, self._mapping, self._chosen = table, mapping, chosen
        self._name = table.shown_name
        self._numbered = 0
        self._example: Row | None = None

    def note_row(self, row: Row) -> None:
        """Count a row that was given a number."""
        if row.numbered:
            self._numbered += 1
            self._example = self._example or row

    def finish(self, selection: Selection) -> None:
        """Add what is to be said to the selection's findings and warnings."""
        found = [*self._table.findings, *self._renamings()]
        if self._chosen.dropped:
            found.append(f"{pluralize(self._chosen.dropped, 'duplicate row')} left out")
        unused = self._unused_columns(selection.used)
        plain = [column for column in unused if column not in dict(self._mistakes(unused))]
        if plain and not selection.reads_all:
            listed = ", ".join(f"`{column}`" for column in plain[:_LISTED])
            more = f" and {len(plain) - _LISTED} more" if len(plain) > _LISTED else ""
            found.append(f"no prompt and no grader uses {listed}{more}")
        if found:
            selection.findings.append(f"{self._name}: {'; '.join(found)}")
        selection.warnings += [f"{self._name}: {said}" for _, said in self._mistakes(unused)]
        if self._example is not None:
            selection.warnings.append(
                f"{self._name}: {pluralize(self._numbered, 'row', 'repeats')} an earlier row's id"
                f" or variables; a number tells them apart, such as `{self._example.case.id}` at"
                f" {self._example.place}; each counts as a case of its own, so intervals are"
                " narrower than they should be. {file: …, duplicates: drop} drops identical rows,"
                " `refuse` makes them an error"
            )

    def _renamings(self) -> Iterator[str]:
        renamed = {
            column: name
            for layout in self._mapping.layouts
            for column, name in layout.renamed.items()
        }
        listed = [f"`{column}` is `{name}`" for column, name in renamed.items()]
        yield from listed[:_LISTED]

    def _unused_columns(self, used: frozenset[str]) -> list[str]:
        """The columns that are variables of no prompt and no grader."""
        pairs = {pair: None for layout in self._mapping.layouts for pair in layout.variables}
        used = used | self._mapping.used
        return [column for column, name in pairs if name not in used and column not in used]

    def _mistakes(self, unused: list[str]) -> Iterator[tuple[str, str]]:
        """Yields (column, sentence) of each unused column that is probably meant otherwise."""
        for column in unused:
            said = _explain_column(column)
            if said is not None:
                yield column, f"no prompt and no grader uses the column `{column}`; {said}"


def _explain_column(column: str) -> str | None:
    """What a column that is used by nothing may be meant as; None where it is just a column."""
    name = column.strip().lower()
    foreign = name.partition(":")[0].rstrip("0123456789")
    if foreign in _ELSEWHERE:
        return _ELSEWHERE[foreign]
    if name in _ROW_KEYS:
        return f"`{name}` per case needs rows in the harness's own format, in a .jsonl file"
    close = nearest_match(name, SPECIAL_COLUMNS, 81)
    return None if close is None else f"did you mean `{close}`?"
