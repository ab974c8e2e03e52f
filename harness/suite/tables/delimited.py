"""Tables of delimited text (.csv, .tsv): every cell is text, nothing is guessed but the
delimiter.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from harness.suite.tables.table_rows import (
    MAX_ROW,
    Table,
    TableError,
    TableOptions,
    TableRow,
    check_columns,
)
from harness.suite.tables.text_input import SAMPLE_SIZE, TextInput, open_text
from harness.wording import pluralize

_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {"\t": "tab"}
_SAMPLED = 50


class Dialect(NamedTuple):
    """How cells are separated."""

    delimiter: str
    skip_space: bool = False
    strip_end: bool = False


def open_delimited(path: Path, options: TableOptions) -> Table:
    """Opens delimited text: finds its delimiter and reads its header. Raises TableError."""
    csv.field_size_limit(MAX_ROW)
    text = open_text(path, options.encoding)
    prefer = "\t" if ".tsv" in path.name.lower() else ","
    dialect = _choose_dialect(text.read_head(), options.delimiter, prefer)
    _, header = next(_number_records(text, dialect), (1, []))
    findings = list(text.findings)
    columns = _name_columns(header)
    check_columns(columns)
    if dialect.delimiter != prefer and options.delimiter is None:
        findings.append(f"delimiter {_NAMES.get(dialect.delimiter, dialect.delimiter)!r}")
    findings += [
        f"the column without a name is called {name!r}"
        for name, written in zip(columns, header, strict=False)
        if not written.strip()
    ]
    if dialect.skip_space:
        findings.append("spaces next to delimiters are ignored")
    rows: Callable[[], Iterator[TableRow]] = partial(_read_rows, text, dialect, tuple(columns))
    return Table(path, "csv", tuple(columns), rows, tuple(findings))


def _number_records(text: TextInput, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yields (last line, cells) of each record. Raises TableError."""
    reader = csv.reader(
        text.read_lines(),
        delimiter=dialect.delimiter,
        skipinitialspace=dialect.skip_space,
        strict=True,
    )
    try:
        for cells in reader:
            yield (
                reader.line_num,
                [each.rstrip(" ") for each in cells] if dialect.strip_end else cells,
            )
    except csv.Error as invalid:
        raise TableError(f"not CSV: {invalid}", reader.line_num or None) from None


def _read_rows(text: TextInput, dialect: Dialect, columns: tuple[str, ...]) -> Iterator[TableRow]:
    width = len(columns)
    records = _number_records(text, dialect)
    next(records, None)
    for line, cells in records:
        if not cells:
            continue
        if len(cells) > width and not any(cells[width:]):
            del cells[width:]
        if len(cells) != width:
            yield TableRow(line, None, _ragged_message(len(cells), width, dialect))
        else:
            yield TableRow(line, dict(zip(columns, cells, strict=True)))


def _ragged_message(cells: int, width: int, dialect: Dialect) -> str:
    found = f"has {pluralize(cells, 'cell')}, but the first line has {width}"
    name = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(dialect.delimiter)
    return f"{found}; quote cells that contain {name or repr(dialect.delimiter)}"


def _trim_empty_end(header: Sequence[str]) -> list[str]:
    """The header without columns at its end that have no name, as some exports write them."""
    names = list(header)
    while names and not names[-1].strip():
        names.pop()
    return names


def _name_columns(header: Sequence[str]) -> list[str]:
    """The names of the columns. One without a name, such as a data frame's index, is called after
    its number.
    """
    names = _trim_empty_end(header)
    return [name if name.strip() else f"column_{at}" for at, name in enumerate(names, start=1)]


def _choose_dialect(head: str, given: str | None, prefer: str) -> Dialect:
    """The delimiter with which the first lines are a table. Where several are, the one that the
    suffix names, then the one with most columns.
    """
    if given is not None:
        return _read_padding(given, _parse_sample(head, given))
    samples = {each: _parse_sample(head, each) for each in (prefer, *_DELIMITERS)}
    rates = {each: _rate_sample(sample) for each, sample in samples.items()}
    best = max(rates, key=lambda each: rates[each])
    if rates[prefer][:2] >= rates[best][:2]:
        best = prefer
    return _read_padding(best, samples[best])


def _parse_sample(head: str, delimiter: str) -> list[list[str]]:
    """The first records of the file, without the last of the sample, which may be cut off."""
    reader = csv.reader(head.splitlines(keepends=True), delimiter=delimiter)
    records: list[list[str]] = []
    try:
        records.extend(each for each in islice(reader, _SAMPLED) if each)
    except csv.Error:
        return records
    return records[:-1] if len(records) > 1 and len(head) >= SAMPLE_SIZE else records


def _rate_sample(records: Sequence[Sequence[str]]) -> tuple[bool, float, int]:
    """Whether there are columns at all, the share of records as wide as the header, its width."""
    if not records or len(records[0]) < 2:
        return False, 0.0, 0
    width = len(_trim_empty_end(records[0]))
    fitting = sum(len(each) == width or not any(each[width:]) for each in records)
    return width > 1, fitting / len(records), width


def _read_padding(delimiter: str, records: Sequence[Sequence[str]]) -> Dialect:
    """The dialect with this delimiter; the header shows whether spaces stand around it."""
    names = records[0] if records else []
    after = len(names) > 1 and all(name.startswith(" ") for name in names[1:])
    return Dialect(delimiter, after, after and all(name.endswith(" ") for name in names[:-1]))
