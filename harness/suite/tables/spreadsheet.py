"""Tables in spreadsheets (.xlsx, .xls, .ods): the first row of a sheet names its columns."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from harness.config.diagnostics import did_you_mean
from harness.suite.tables.plain_values import to_plain_value
from harness.suite.tables.table_rows import (
    MAX_WHOLE,
    Table,
    TableError,
    TableOptions,
    TableRow,
    check_columns,
    check_size,
)

_EXPANDED = 512 * 2**20
_INSTEAD = "save it as .csv"


def open_spreadsheet(path: Path, options: TableOptions) -> Table:
    """Opens a sheet of a workbook, the first that has cells unless named. Raises TableError."""
    check_size(path.stat().st_size, MAX_WHOLE, "a spreadsheet", _INSTEAD)
    check_size(_expanded_size(path), _EXPANDED, "an unpacked spreadsheet", _INSTEAD)
    first, rows, findings = _load_sheet(path, options.sheet)
    columns = [str(to_plain_value(cell)).strip() for cell in rows[0]] if rows else []
    while columns and not columns[-1]:
        columns.pop()
    columns = [name or f"column_{at}" for at, name in enumerate(columns, start=1)]
    check_columns(columns, first)
    reader = partial(_read_rows, rows, tuple(columns), first)
    return Table(path, "spreadsheet", tuple(columns), reader, findings)


def _expanded_size(path: Path) -> int:
    """The bytes of all parts of a workbook, unpacked; 0 where it is not packed. Raises
    TableError."""
    if not zipfile.is_zipfile(path):
        return 0
    try:
        with zipfile.ZipFile(path) as parts:
            return sum(part.file_size for part in parts.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as broken:
        raise TableError(f"not a spreadsheet: {broken}") from None


def _load_sheet(path: Path, wanted: str | None) -> tuple[int, list[list[Any]], tuple[str, ...]]:
    """The number of the sheet's first row, its rows, and what was found. Raises TableError."""
    from python_calamine import CalamineWorkbook  # noqa: PLC0415 - only spreadsheets need it

    try:
        with CalamineWorkbook.from_path(path) as workbook:
            names = list(workbook.sheet_names)
            if wanted is not None and wanted not in names:
                raise TableError(f"has no sheet `{wanted}`; {did_you_mean(wanted, names)}")
            for name in names if wanted is None else [wanted]:
                sheet = workbook.get_sheet_by_name(name)
                rows = sheet.to_python(skip_empty_area=True)
                if rows:
                    first = 1 if sheet.start is None else sheet.start[0] + 1
                    several = len(names) > 1 and wanted is None
                    said = (f"sheet `{name}` of {len(names)}; select another with `sheet:`",)
                    return first, rows, said if several else ()
    except (KeyboardInterrupt, SystemExit, TableError):
        raise
    except BaseException as broken:  # noqa: BLE001 - a damaged file makes the reader raise, or panic
        raise TableError(f"not a spreadsheet: {broken}") from None
    return 1, [], ()


def _read_rows(rows: list[list[Any]], columns: tuple[str, ...], first: int) -> Iterator[TableRow]:
    width = len(columns)
    for number, cells in enumerate(rows[1:], start=first + 1):
        if all(cell == "" for cell in cells):
            continue
        if any(cell != "" for cell in cells[width:]):
            yield TableRow(number, None, f"has a cell beyond the {width} columns of the first row")
            continue
        filled = chain(map(_plain_cell, cells), [""] * (width - len(cells)))
        yield TableRow(number, dict(zip(columns, filled, strict=False)))


def _plain_cell(cell: Any) -> Any:
    """A cell's value. Every number of a spreadsheet is a float: a whole one is an integer again."""
    if type(cell) is float and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return to_plain_value(cell)
