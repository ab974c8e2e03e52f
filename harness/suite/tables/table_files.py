"""Opens a table by its name: which format each suffix is, and what may be opened at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from harness.suite.tables.delimited import open_delimited
from harness.suite.tables.json_rows import open_json, open_jsonl
from harness.suite.tables.parquet_rows import open_parquet
from harness.suite.tables.scratch_file import ScratchFile
from harness.suite.tables.spreadsheet import open_spreadsheet
from harness.suite.tables.table_rows import Table, TableError, TableOptions
from harness.suite.tables.text_input import (
    UNREADABLE,
    is_compressed,
    open_binary,
    unreadable_error,
)
from harness.suite.tables.yaml_rows import open_yaml

_OPENERS: Mapping[str, Callable[[Path, TableOptions], Table]] = {
    ".csv": open_delimited,
    ".tsv": open_delimited,
    ".jsonl": open_jsonl,
    ".ndjson": open_jsonl,
    ".json": open_json,
    ".parquet": open_parquet,
    ".xlsx": open_spreadsheet,
    ".xls": open_spreadsheet,
    ".ods": open_spreadsheet,
    ".yaml": open_yaml,
    ".yml": open_yaml,
}
SUFFIXES = tuple(_OPENERS)
"""The formats there are; each may be followed by `.gz`."""

_BINARY = (".parquet", ".xlsx", ".xls", ".ods")
_CHUNK = 2**20


def table_suffix(path: Path) -> str | None:
    """The suffix that says the format, whatever its case and compressed or not; None where it is
    no table's.
    """
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def open_table(path: Path, options: TableOptions = TableOptions()) -> Table:  # noqa: B008 - frozen
    """Opens the table at `path` and looks into it; its rows are then read one by one.

    Raises TableError, or SuiteError with everything that is wrong in a YAML file.
    """
    suffix = table_suffix(path)
    if suffix is None:
        given = f"not in {path.suffix}" if path.suffix else "and this file has no suffix"
        raise TableError(
            f"rows are in .csv, .tsv, .jsonl, .json, .yaml, .parquet or .xlsx files, {given}"
        )
    if not path.is_file():
        raise TableError("is not a regular file; name a file that contains rows")
    if suffix in _BINARY and is_compressed(path):
        return _open_unpacked(path, suffix, options)
    return _OPENERS[suffix](path, options)


def _open_unpacked(path: Path, suffix: str, options: TableOptions) -> Table:
    """Opens a compressed file of a format that needs random access: its unpacked copy lives as long
    as the table.
    """
    copy = ScratchFile(suffix)
    try:
        with open_binary(path) as packed:
            while chunk := packed.read(_CHUNK):
                copy.content.write(chunk)
    except UNREADABLE as refused:
        raise unreadable_error(refused) from None
    copy.content.flush()
    return replace(_OPENERS[suffix](copy.path, options), path=path, unpacked=copy)
