"""What every format of table is read as, and the limits that keep a strange file from filling
memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from harness.config.diagnostics import KeyPath, display_path
from harness.config.yaml import Document

MAX_ROW = 16 * 2**20
"""Bytes of one row: a longer line is no row that anyone meant."""
MAX_COLUMNS = 16_384
"""As many as a spreadsheet has."""
MAX_WHOLE = 64 * 2**20
"""Bytes of a file whose format can only be read as a whole."""


class TableError(ValueError):
    """A file cannot be read as a table. The message says what to do; `line` is None where the
    whole file is to blame.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class TableRow(NamedTuple):
    """A row: its line (in a spreadsheet its row, in Parquet its number), and its values by column.

    `problem` says what is wrong with a row that cannot be read. `offset` is the byte where the row
    begins, in a table that is `seekable`; `at` is where it stands in the table's `document`.
    """

    line: int
    values: Any
    problem: str = ""
    offset: int = 0
    at: KeyPath = ()


class TableOptions(Struct, frozen=True):
    """What cannot be told from the file: its encoding, its delimiter, which sheet, under which key
    the rows are.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    records: str | None = None


class Table(Struct, frozen=True):
    """A file of rows, opened and looked into; `read_rows` starts from the first row each time.

    `columns` are None where each row has keys of its own. `findings` are facts that were not said
    but found, such as the delimiter. A `seekable` table is UTF-8 lines of JSON that can be read
    again by their offsets; `document` has the places in a YAML file, whose rows are its items;
    `unpacked` is the temporary file that is read in its stead. `name` is what rows that are in no
    file are called after, and `source` what exactly they are of, for the record. Reading raises
    TableError.
    """

    path: Path
    format: str
    columns: tuple[str, ...] | None
    read_rows: Callable[[], Iterator[TableRow]]
    findings: tuple[str, ...] = ()
    seekable: bool = False
    document: Document | None = None
    unpacked: object = None
    name: str = ""
    source: Mapping[str, Any] = {}

    @property
    def shown_name(self) -> str:
        """What places of its rows begin with."""
        return self.name or display_path(self.path)


def check_columns(columns: Sequence[str], line: int = 1) -> None:
    """Raises TableError where a column has no name, or two have the same."""
    if len(columns) > MAX_COLUMNS:
        raise TableError(
            f"has {len(columns):,} columns; the maximum is {MAX_COLUMNS:,}: keep only those that"
            " are used",
            line,
        )
    counted = Counter(columns)
    wrong = sorted(name for name in counted if counted[name] > 1 or not name.strip())
    if wrong:
        raise TableError(
            f"the column name {wrong[0]!r} is empty or not unique; give each column its own name",
            line,
        )


def check_size(size: int, limit: int, what: str, instead: str) -> None:
    """Raises TableError where a file that is read as a whole is too large for that."""
    if size > limit:
        raise TableError(
            f"has {size / 2**20:,.0f} MiB; {what} may have {limit // 2**20} MiB: {instead}"
        )
