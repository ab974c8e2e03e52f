"""Reads the cases of one eval: checks every row of every file, and keeps the selected ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from harness.config.diagnostics import KeyPath, Place, nearest_match
from harness.config.templates import TemplateError
from harness.suite.cases.case_builder import CaseBuilder, own_row
from harness.suite.cases.case_checks import CaseChecks
from harness.suite.cases.case_file_spec import CaseFileSpec
from harness.suite.cases.case_ids import Duplicates
from harness.suite.cases.case_index import Cases, CaseSource, JsonlCases, RowIndex, name_by_row
from harness.suite.cases.case_rows import Row
from harness.suite.cases.case_store import CaseStore, parse_stored_row
from harness.suite.cases.row_mapping import MappedRow, RowMapping, suggest_mapping
from harness.suite.cases.row_problems import RowProblems
from harness.suite.cases.row_selection import RowSelection
from harness.suite.cases.selection import Selection
from harness.suite.cases.table_opener import TableOpener
from harness.suite.cases.table_report import TableReport
from harness.suite.model import Case
from harness.suite.schema import CaseSpec
from harness.suite.source import Source
from harness.suite.tables import Table, TableError, TableRow
from harness.suite.tables.json_rows import parse_json_row

MAX_PROBLEMS = 20
"""After so many in one file its other rows are not read: the first ones say what is wrong."""
_NOWHERE: KeyPath = ()


class _OpenedTable(NamedTuple):
    """A table with how its rows are selected and become cases."""

    table: Table
    spec: CaseFileSpec
    mapping: RowMapping
    chosen: RowSelection
    place: Place

    @property
    def reference(self) -> str:
        """The file as the suite names it."""
        return self.spec.file or ""


class CaseReader:
    """Reads the `cases:` of one source."""

    def __init__(self, source: Source, selection: Selection) -> None:
        self._source = source
        self._problems = source.problems
        self._selection = selection
        self._row_problems = RowProblems(source.problems)
        self._builder = CaseBuilder(replace(source, problems=self._row_problems), selection)
        self._checks = CaseChecks(selection, self._row_problems)
        self._scans: list[Callable[[], Iterator[Row]]] = []

    def read(self, items: Sequence[str | CaseSpec | CaseFileSpec | None], at: KeyPath) -> Cases:
        """The selected cases of the list at `at`; problems in any case are noted."""
        sources = [
            self._read_item(item, (*at, index))
            for index, item in enumerate(items)
            if item is not None
        ]
        self._row_problems.tell()
        self._checks.tell_missing(self._problems)
        rows = (row for scan in self._scans for row in scan())
        for place, wrong in self._selection.ids.find_clashes(rows):
            self._problems.add(place, wrong)
        return Cases([source for source in sources if source is not None], self._selection.digest)

    def _read_item(self, item: str | CaseSpec | CaseFileSpec, at: KeyPath) -> CaseSource | None:
        if isinstance(item, CaseSpec):
            return self._read_inline(item, at)
        bare = isinstance(item, str)
        opened = self._open_rows(
            CaseFileSpec(file=item) if isinstance(item, str) else item, at, bare
        )
        return None if opened is None else self._read_table(opened)

    def _read_inline(self, spec: CaseSpec, at: KeyPath) -> list[Case]:
        source = replace(self._source, problems=self._row_problems)

        def scan() -> Iterator[Row]:
            raw = source.document.node_at(at).value
            yield Row(source.place_of(at), raw, self._builder.build_case(spec, source, at))

        taken = map(self._take_row, self._check_rows(scan))
        return [row.case for row in taken if row is not None]

    # Tables

    def _open_rows(self, spec: CaseFileSpec, at: KeyPath, bare: bool) -> _OpenedTable | None:
        place = self._source.place_of(at if bare else (*at, spec.kind))
        table = TableOpener(self._source, place).open(spec)
        if table is None:
            return None
        if table.source:
            self._selection.sources.append(table.source)
        mapping = RowMapping(spec, self._source, at, bare=bare)
        chosen = RowSelection(spec, mapping, self._source, at)
        return _OpenedTable(table, spec, mapping, chosen, place)

    def _read_table(self, opened: _OpenedTable) -> CaseSource:
        """The selected cases: as byte offsets where the file has them, else as rows kept apart."""
        report = TableReport(opened.table, opened.mapping, opened.chosen)
        total, problems = self._selection.total, len(self._row_problems)
        rows = self._take_rows(opened, report)
        table, build = opened.table, self._builder.trusted_builder(opened.table.path)
        cases: CaseSource
        if table.seekable and opened.mapping.is_plain:
            name = table.shown_name
            parse = partial(_parse_flat, opened.mapping, name, build)
            cases = _index_rows(table.path, rows, parse)
        else:
            cases = _store_rows(rows, partial(_parse_stored, build))
        if total == self._selection.total and problems == len(self._row_problems):
            why = "no row passes `where`" if opened.spec.where else "holds no cases"
            self._row_problems.add(opened.place, f"{why}; give at least one")
        report.finish(self._selection)
        return cases

    def _take_rows(self, opened: _OpenedTable, report: TableReport) -> Iterator[Row]:
        """Yields the rows that are selected, checked and with ids of their own."""
        for row in self._check_rows(partial(self._iterate_rows, opened)):
            taken = self._take_row(row, opened.spec.duplicates)
            if taken is not None:
                report.note_row(taken)
                yield taken

    def _take_row(self, row: Row, duplicates: Duplicates = "keep") -> Row | None:
        """The row, with an id of its own, where it is selected; then its graders can be filled in
        from it.
        """
        taken = self._selection.take_row(row, duplicates)
        if taken is not None:
            misread = self._selection.grader_filling.note(taken.case, taken.place)
            if misread is not None:
                grader, why = misread
                self._row_problems.add(
                    taken.place, f"{grader}: {why}", f"the case `{taken.case.id}`:", kind=grader
                )
        return taken

    def _iterate_rows(self, opened: _OpenedTable) -> Iterator[Row]:
        """Yields the rows of a table as cases; what is wrong is noted, up to a limit."""
        table, start = opened.table, len(self._row_problems)
        name, folder = table.shown_name, table.path.parent
        try:
            for row in opened.chosen.iterate_rows(table):
                place = Place(name, row.line)
                built = self._build_row(row, opened, place, folder)
                if built is not None:
                    yield built
                elif len(self._row_problems) - start >= MAX_PROBLEMS:
                    self._row_problems.add(
                        Place(name),
                        f"has {MAX_PROBLEMS} or more problems; the remaining rows were not read",
                    )
                    return
        except TableError as broken:
            self._row_problems.add(Place(name, broken.line), str(broken))

    def _build_row(
        self, row: TableRow, opened: _OpenedTable, place: Place, folder: Path
    ) -> Row | None:
        if row.problem:
            self._row_problems.add(place, row.problem)
            return None
        try:
            mapped = opened.mapping.map_row(row.values, keyed=opened.table.columns is None)
        except TemplateError as wrong:
            self._row_problems.add(place, f"{wrong.place}: {wrong.message}")
            return None
        document, at = opened.table.document, _NOWHERE
        if document is not None and mapped.raw is row.values:
            place, at = document.place_of(row.at), row.at
        case = self._builder.build_plain(mapped, folder)
        if case is not None:
            return Row(place, mapped.raw, case, row.offset)
        self._check_form(row, opened)
        source = self._builder.row_source(mapped.raw, place, folder, document if at else None)
        case = self._builder.build_row(mapped, source, at)
        return None if case is None else Row(place, mapped.raw, case, row.offset)

    def _check_form(self, row: TableRow, opened: _OpenedTable) -> None:
        """Raises TableError at a row with keys that are not ours, in a file that was named without
        saying how its rows are read: all others will be like it.
        """
        if not opened.mapping.is_own_form(row.values, keyed=opened.table.columns is None):
            return
        foreign = [] if "vars" in row.values else row.values.keys() - CaseSpec.model_fields.keys()
        unlike = [key for key in foreign if nearest_match(key, CaseSpec.model_fields) is None]
        if unlike:
            raise TableError(
                f"unknown key `{min(unlike)}`; {CaseSpec.unknown_key_hint}; if every key is a"
                f" variable, write {suggest_mapping(opened.reference, row.values)}",
                row.line,
            )

    def _check_rows(self, scan: Callable[[], Iterator[Row]]) -> Iterator[Row]:
        self._scans.append(scan)
        start = len(self._row_problems)
        for row in scan():
            checked = self._checks.check_row(row)
            if "id" not in row.raw:
                checked = checked._replace(case=name_by_row(row.case, row.raw, row.place))
            yield checked
            if len(self._row_problems) - start >= MAX_PROBLEMS:
                return


def _index_rows(path: Path, rows: Iterator[Row], parse: Callable[[bytes, int], Case]) -> JsonlCases:
    index = RowIndex(path)
    for row in rows:
        index.append_row(row)
    return JsonlCases(path, index, parse)


def _store_rows(rows: Iterator[Row], parse: Callable[[bytes], Case]) -> CaseStore:
    cases = CaseStore(parse)
    for row in rows:
        cases.append_row([own_row(row.raw, row.case), row.case.row])
    return cases


def _parse_flat(
    mapping: RowMapping, name: str, build: Callable[[MappedRow], Case], row: bytes, line: int
) -> Case:
    mapped = mapping.map_row(parse_json_row(row), keyed=True)
    return name_by_row(build(mapped), mapped.raw, Place(name, line))


def _parse_stored(build: Callable[[MappedRow], Case], row: bytes) -> Case:
    raw, name = parse_stored_row(row)
    case = build(MappedRow(raw))
    return replace(case, row=name) if name else case
