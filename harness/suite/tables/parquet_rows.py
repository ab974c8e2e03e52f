"""Tables in Parquet, read by DuckDB in batches, so that a file may be larger than memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from harness.suite.tables.plain_values import to_plain_value
from harness.suite.tables.table_rows import Table, TableError, TableOptions, TableRow, check_columns

_BATCH = 500
_MEMORY = "512MB"


def open_parquet(path: Path, options: TableOptions) -> Table:
    """Opens a Parquet file. Raises TableError."""
    with _query(path, "SELECT * FROM read_parquet($file) LIMIT 0") as cursor:
        columns = tuple(str(each[0]) for each in cursor.description)
    check_columns(columns)
    return Table(path, "parquet", columns, partial(_read_rows, path, columns))


def _read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[TableRow]:
    number = 0
    with _query(path, "SELECT * FROM read_parquet($file)") as cursor:
        while batch := cursor.fetchmany(_BATCH):
            for cells in batch:
                number += 1
                values = map(to_plain_value, cells)
                yield TableRow(number, dict(zip(columns, values, strict=True)))


@contextmanager
def _query(path: Path, statement: str) -> Iterator[Any]:
    """The cursor of a statement about `$file`. Raises TableError.

    The file is named by a link, because DuckDB takes `*` and `[` in a name for a pattern.
    """
    import duckdb  # noqa: PLC0415 - only Parquet files need it

    settings = {"threads": 1, "memory_limit": _MEMORY, "autoinstall_known_extensions": False}
    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        link = Path(folder) / "table.parquet"
        link.symlink_to(path.resolve())
        try:
            with duckdb.connect(config=settings) as database:
                yield database.execute(statement, {"file": str(link)})
        except (duckdb.Error, RuntimeError, UnicodeDecodeError) as broken:
            # The last two where DuckDB's own message quotes bytes of the file that are no text.
            reason = str(broken).replace(str(link), path.name).splitlines()[0]
            raise TableError(f"not Parquet: {reason}") from None
