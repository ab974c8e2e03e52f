"""Selects rows of a table before they are cases: `where`, `duplicates: drop`, `sample`, `limit`, in
this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from itertools import islice
from typing import Any

from harness.config.diagnostics import KeyPath, quote_value
from harness.config.templates import TemplateError
from harness.hashing import TextHashes, canonical_json, hash64, hash_json
from harness.suite.cases.case_file_spec import CaseFileSpec
from harness.suite.cases.row_mapping import RowMapping, compile_over_row
from harness.suite.source import Source
from harness.suite.tables import Table, TableRow


class RowSelection:
    """Which rows of one table are taken. `dropped` counts those that repeat an earlier one."""

    def __init__(
        self, spec: CaseFileSpec, mapping: RowMapping, source: Source, at: KeyPath
    ) -> None:
        self._spec, self._mapping = spec, mapping
        self._where = (
            None if spec.where is None else compile_over_row(spec.where, source, (*at, "where"))
        )
        if self._where is not None and not self._where.is_expression:
            source.add_problem(
                (*at, "where"), 'should be one {{ expression }}, such as {{ level == "hard" }}'
            )
            self._where = None
        self.dropped = 0

    def iterate_rows(self, table: Table) -> Iterator[TableRow]:
        """Yields the rows that are taken, in their order. Sampling reads the table twice."""
        rows = self._filter_rows(table)
        if self._spec.sample is not None:
            rows = self._sample_rows(table, self._spec.sample.n, self._spec.sample.seed)
        return rows if self._spec.limit is None else islice(rows, self._spec.limit)

    def _filter_rows(self, table: Table) -> Iterator[TableRow]:
        if self._where is None and self._spec.duplicates != "drop":
            return table.read_rows()
        return self._choose_rows(table)

    def _choose_rows(self, table: Table) -> Iterator[TableRow]:
        seen = TextHashes() if self._spec.duplicates == "drop" else None
        self.dropped = 0
        for row in table.read_rows():
            wrong = row.problem or self._find_exclusion(row)
            if wrong is None:
                continue
            if wrong:
                yield row._replace(problem=wrong)
            elif seen is None or seen.add(hash_json(row.values)):
                yield row
            else:
                self.dropped += 1

    def _find_exclusion(self, row: TableRow) -> str | None:
        """Nothing where the row is wanted, None where it is not, else what is wrong with
        `where`.
        """
        if self._where is None:
            return ""
        try:
            value = self._where.value(self._mapping.scope_of(row.values))
        except TemplateError as wrong:
            return f"`where`: {wrong.message}"
        if isinstance(value, str):
            return (
                f"`where` is the text {quote_value(value)}, which is neither true nor false;"
                ' write a comparison, such as {{ column == "yes" }}'
            )
        return "" if value else None

    def _sample_rows(self, table: Table, count: int, seed: int) -> Iterator[TableRow]:
        """The `count` rows with the least hashes of seed and content: each row is as likely as any
        other, and a row that is added displaces at most one.
        """
        hashed = (
            (_draw_number(seed, row.values, number), number)
            for number, row in enumerate(self._filter_rows(table))
        )
        chosen = sorted(number for _, number in nsmallest(count, hashed))
        wanted = iter(chosen)
        after = next(wanted, None)
        for number, row in enumerate(self._filter_rows(table)):
            if number == after:
                yield row
                after = next(wanted, None)
                if after is None:
                    return


def _draw_number(seed: int, values: Any, number: int) -> tuple[int, int]:
    return hash64(b"%d\0" % seed + canonical_json(values)), number
