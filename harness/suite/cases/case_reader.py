"""Reads the cases of one eval: checks every row of every file, and keeps the selected ones."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from harness.config.diagnostics import KeyPath, Place, Problems, display_path
from harness.config.fields import read_model
from harness.config.yaml import Document
from harness.errors import InfrastructureError
from harness.graders.base import GraderSpec
from harness.hashing import hash_text
from harness.suite.cases.case_index import (
    Cases,
    CaseSource,
    JsonlCases,
    RowIndex,
    derive_case_id,
    iter_jsonl_rows,
    name_by_row,
)
from harness.suite.cases.image_inventory import ImageInventory
from harness.suite.cases.selection import Row, Selection
from harness.suite.grader_specs import GraderReader, grader_variables
from harness.suite.model import Case
from harness.suite.prompts import LaterTurnReader, turn_roles, turn_variables
from harness.suite.schema import CaseSpec
from harness.suite.source import Source
from harness.suite.tools import find_tool_errors
from harness.wording import pluralize

MAX_PROBLEMS = 20
"""After so many in one file its other rows are not read: the first ones say what is wrong."""

_DIGITS = bytes(48 if 48 <= byte <= 57 else byte for byte in range(256))  # every digit as 0
_LONG_NUMBER = b"0" * 19
_CELL_LIMIT = 2**24
_SPECIAL_COLUMNS = ("id", "expected", "tags", "threshold")
_PLAIN_KEYS = frozenset(("id", "vars", "expected", "tags", "metadata"))


class CaseReader:
    """Reads the `cases:` of one source."""

    def __init__(self, source: Source, selection: Selection) -> None:
        self._source = source
        self._problems = source.problems
        self._selection = selection
        self._scans: list[Callable[[], Iterator[Row]]] = []

    def read(self, items: Sequence[str | CaseSpec | None], at: KeyPath) -> Cases:
        """The selected cases of the list at `at`; problems in any case are noted."""
        sources = [
            self._open_source(item, (*at, index))
            for index, item in enumerate(items)
            if item is not None
        ]
        self._check_unique()
        return Cases([source for source in sources if source is not None], self._selection.digest)

    def _open_source(self, item: str | CaseSpec, at: KeyPath) -> CaseSource | None:
        place = self._source.place_of(at)
        if isinstance(item, CaseSpec):
            return self._load_listed(lambda: self._read_inline(item, at), place)
        path = self._source.find_file(item, place)
        if path is None:
            return None
        match path.suffix.lower():
            case ".jsonl":
                return self._index_jsonl(path, place)
            case ".csv":
                return self._load_listed(lambda: self._read_csv(path), place)
            case ".yaml" | ".yml":
                return self._load_listed(lambda: self._read_yaml(path, place), place)
        self._problems.add(
            place,
            "cases are in .jsonl, .csv or .yaml files, not in"
            f" {path.suffix or 'a file without a suffix'}",
        )
        return None

    # Sources

    def _load_listed(self, scan: Callable[[], Iterator[Row]], place: Place) -> list[Case]:
        before = self._progress_mark()
        kept = [row.case for row in self._scan_rows(scan) if self._selection.take_row(row)]
        self._check_not_empty(before, place)
        return kept

    def _index_jsonl(self, path: Path, place: Place) -> JsonlCases:
        before = self._progress_mark()
        rows = RowIndex(path)
        for row in self._scan_rows(lambda: self._read_jsonl(path)):
            if self._selection.take_row(row):
                rows.append(row.offset, row.place.line)
        self._check_not_empty(before, place)
        return JsonlCases(path, rows, self._trusted_row_parser(path))

    def _scan_rows(self, scan: Callable[[], Iterator[Row]]) -> Iterator[Row]:
        self._scans.append(scan)
        start, inventory = len(self._problems), self._selection.image_inventory
        for row in scan():
            self._check_row(row)
            named = row._replace(case=name_by_row(row.case, row.raw, row.place))
            yield (
                self._with_image_hash(named, inventory)
                if inventory.may_have_images(row.case)
                else named
            )
            if len(self._problems) - start >= MAX_PROBLEMS:
                return

    def _read_inline(self, spec: CaseSpec, at: KeyPath) -> Iterator[Row]:
        raw = self._source.document.node_at(at).value
        yield Row(self._source.place_of(at), raw, self._build_case(spec, self._source, at))

    def _read_yaml(self, path: Path, place: Place) -> Iterator[Row]:
        source = self._source.open(path, place)
        if source is None:
            return
        rows = source.document.value
        if not isinstance(rows, list):
            source.add_problem((), "a file of cases is a list of them; begin each with `- `")
            return
        for index, raw in enumerate(rows):
            case = self._read_case(raw, source, (index,))
            if case is not None:
                yield Row(source.place_of((index,)), raw, case)

    def _read_jsonl(self, path: Path) -> Iterator[Row]:
        name, folder, start = display_path(path), path.parent, len(self._problems)
        for number, offset, line in iter_jsonl_rows(path):
            place = Place(name, number)
            try:
                raw = _parse_json_row(line)
            except (ValueError, RecursionError) as invalid:
                self._problems.add(place, f"not JSON: {invalid}")
            else:
                case = _parse_plain_row(raw, folder) or self._read_case(
                    raw, self._row_source(raw, place, folder)
                )
                if case is not None:
                    yield Row(place, raw, case, offset)
                    continue
            if len(self._problems) - start >= MAX_PROBLEMS:
                self._problems.add(
                    Place(name),
                    f"has {MAX_PROBLEMS} problems or more; the rows after them were not read",
                )
                return

    def _read_csv(self, path: Path) -> Iterator[Row]:
        name = display_path(path)
        csv.field_size_limit(_CELL_LIMIT)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                columns = next(reader, [])
                if not self._check_columns(columns, Place(name, 1)):
                    return
                for cells in reader:
                    yield from self._read_csv_row(
                        columns, cells, Place(name, reader.line_num), path.parent
                    )
            except (csv.Error, UnicodeDecodeError) as invalid:
                self._problems.add(
                    Place(name, reader.line_num or None), f"not CSV in UTF-8: {invalid}"
                )

    def _read_csv_row(
        self, columns: list[str], cells: list[str], place: Place, folder: Path
    ) -> Iterator[Row]:
        if not cells:
            return
        if len(cells) != len(columns):
            self._problems.add(
                place,
                f"has {pluralize(len(cells), 'cell')} where the first line has {len(columns)};"
                " quote cells that hold commas",
            )
            return
        raw = _csv_row_to_json(dict(zip(columns, cells, strict=True)))
        case = self._read_case(raw, self._row_source(raw, place, folder))
        if case is not None:
            yield Row(place, raw, case)

    def _check_columns(self, columns: list[str], place: Place) -> bool:
        wrong = sorted({name for name in columns if columns.count(name) > 1 or not name.strip()})
        if wrong:
            self._problems.add(
                place,
                f"the column name {wrong[0]!r} is empty or there twice; give each column its own",
            )
        return not wrong

    # What makes a row a case

    def _row_source(self, raw: Any, place: Place, folder: Path) -> Source:
        return replace(self._source, document=Document.at_place(raw, place), folder=folder)

    def _read_case(self, raw: Any, source: Source, at: KeyPath = ()) -> Case | None:
        """Parses `raw`, the value at `at`, into a case. None, with problems noted in `source`,
        where it is not one.
        """
        plain = _parse_plain_row(raw, source.folder)
        if plain is not None:
            return plain
        spec = read_model(CaseSpec, raw, source.document, source.problems, at)
        return None if spec is None else self._build_case(spec, source, at)

    def _build_case(self, spec: CaseSpec, source: Source, at: KeyPath) -> Case:
        later = LaterTurnReader(source).read(spec.turns, (*at, "turns"))
        self._selection.note_roles(turn_roles(later or ()))
        return Case(
            id=spec.id if spec.id is not None else derive_case_id(spec.vars),
            vars=spec.vars,
            expected=spec.expected,
            tags=tuple(spec.tags),
            metadata=spec.metadata,
            threshold=spec.threshold,
            sampling=spec.sampling,
            graders=(
                None
                if spec.graders is None
                else self._read_graders(spec.graders, source, (*at, "graders"))
            ),
            folder=source.folder,
            later_turns=later,
            tools=spec.tools,
        )

    def _read_graders(
        self, items: Sequence[Any], source: Source, at: KeyPath
    ) -> tuple[GraderSpec, ...]:
        reader = GraderReader(source)
        graders = reader.assign_ids(reader.read(items, at), at)
        self._selection.note_roles(reader.roles)
        return graders

    def _trusted_row_parser(self, path: Path) -> Callable[[bytes, int], Case]:
        """A parser for rows of the file that were found valid before."""
        name = display_path(path)
        row_source = replace(
            self._source,
            document=Document.at_place(None, Place(name)),
            folder=path.parent,
            problems=Problems(),
        )

        def parse_again(row: bytes, line: int) -> Case:
            raw = _parse_json_row(row)
            case = self._read_case(raw, row_source)
            if case is None:
                raise InfrastructureError(
                    f"{name}: a row is not what it was when it was checked; run again"
                )
            return name_by_row(case, raw, Place(name, line))

        return parse_again

    # Checks

    def _progress_mark(self) -> tuple[int, int]:
        return self._selection.total, len(self._problems)

    def _check_not_empty(self, before: tuple[int, int], place: Place) -> None:
        if self._progress_mark() == before:
            self._problems.add(place, "holds no cases; give at least one")

    def _check_row(self, row: Row) -> None:
        case, selection = row.case, self._selection
        self._check_variables(row, selection.needs)
        self._check_variables(
            row, selection.grader_needs if case.graders is None else grader_variables(case.graders)
        )
        if case.later_turns is None:
            self._check_variables(row, selection.later_needs)
        else:
            self._check_variables(row, turn_variables(case.later_turns, "the case"))
            self._check_conversation(row)
        if selection.toolset is not None or case.tools is not None:
            for wrong in find_tool_errors(selection.toolset, case):
                self._problems.add(row.place, wrong)

    def _with_image_hash(self, row: Row, inventory: ImageInventory) -> Row:
        return row._replace(images=inventory.check(row.case, row.place, self._problems))

    def _check_variables(self, row: Row, needs: Mapping[str, str]) -> None:
        for name in sorted(needs.keys() - row.case.vars.keys()):
            if name != "expected":
                self._problems.add(
                    row.place,
                    f"the case `{row.case.id}` gives no value for `{name}`, which {needs[name]}"
                    " uses",
                )
            elif name not in row.raw:
                self._problems.add(
                    row.place,
                    f"the case `{row.case.id}` has no `expected`, which {needs[name]} uses",
                )

    def _check_conversation(self, row: Row) -> None:
        """Note a case's turns where one of the prompts is a plain completion, which cannot be
        multi-turn.
        """
        if self._selection.plain is not None:
            problem = (
                f"the case `{row.case.id}` has `turns`, but the prompt `{self._selection.plain}` is"
                " text to be completed"
            )
            self._problems.add(
                row.place, f"{problem}; write that as {{user: …}}, or leave the turns out"
            )

    def _check_unique(self) -> None:
        """Note every id that two cases share, naming both. Only a mistake costs the second
        reading that finds them.
        """
        repeated = self._selection.ids.find_repeated()
        if not repeated:
            return
        first: dict[str, Row] = {}
        found = 0
        for row in (row for scan in self._scans for row in scan()):
            if hash_text(row.case.id) not in repeated:
                continue
            earlier = first.setdefault(row.case.id, row)
            if earlier is not row:
                self._problems.add(row.place, _duplicate_message(row, earlier))
                found += 1
            if found >= MAX_PROBLEMS:
                return


def _duplicate_message(row: Row, earlier: Row) -> str:
    if "id" in row.raw or "id" in earlier.raw:
        return f"the case id `{row.case.id}` is already at {earlier.place}; give each case its own"
    return (
        f"the case has the same variables as the one at {earlier.place}, and neither has an id;"
        " remove one, or give both ids"
    )


def _parse_plain_row(raw: Any, folder: Path) -> Case | None:
    """Parses the usual kind of row ten times as fast as the schema does; None where the schema
    must decide.
    """
    if type(raw) is not dict or not raw.keys() <= _PLAIN_KEYS:
        return None
    variables, tags, metadata = raw.get("vars", {}), raw.get("tags", []), raw.get("metadata", {})
    if (
        type(variables) is not dict
        or type(metadata) is not dict
        or type(tags) is not list
        or "expected" in variables
    ):
        return None
    if tags and not all(map(_is_plain_name, tags)):
        return None
    case_id = raw["id"] if "id" in raw else derive_case_id(variables)
    if not _is_plain_name(case_id):
        return None
    return Case(
        case_id, variables, raw.get("expected"), tuple(tags), metadata, None, None, None, folder
    )


def _is_plain_name(value: Any) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= 200
        and value.isprintable()
        and value[0] != " " != value[-1]
    )


def _csv_row_to_json(cells: dict[str, str]) -> dict[str, Any]:
    """A .csv row as a .jsonl row: every cell is text, nothing is guessed."""
    raw: dict[str, Any] = {
        "vars": {name: cell for name, cell in cells.items() if name not in _SPECIAL_COLUMNS}
    }
    if "expected" in cells:
        raw["expected"] = cells["expected"]
    if "tags" in cells:
        raw["tags"] = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
    return raw | {name: cells[name] for name in ("id", "threshold") if cells.get(name)}


def _parse_json_row(line: bytes) -> Any:
    """The JSON value in `line`. Integers over 64 bits keep their digits, which orjson would
    round.
    """
    if _LONG_NUMBER in line.translate(_DIGITS):
        return json.loads(line, parse_constant=_refuse_constant)
    return orjson.loads(line)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")
