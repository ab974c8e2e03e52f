"""Keeps the selected cases of tables that cannot be read again by offset: in memory while they are
few, then in a temporary file without a name.
"""

from __future__ import annotations

import json
import os
import tempfile
import weakref
from array import array
from collections.abc import Callable
from typing import Any, BinaryIO

import orjson

from harness.suite.model import Case
from harness.suite.tables.json_rows import parse_json_row

IN_MEMORY = 4 * 2**20
"""Bytes of rows that are kept in memory."""


class CaseStore:
    """Rows as JSON, one after another; `parse` turns one into a case."""

    def __init__(self, parse: Callable[[bytes], Case]) -> None:
        self._parse = parse
        self._ends: array[int] = array("Q")
        self._buffer = bytearray()
        self._spilled = 0
        self._file: BinaryIO | None = None

    def append_row(self, raw: Any) -> None:
        """Add a row."""
        self._buffer += _encode_row(raw)
        self._ends.append(self._spilled + len(self._buffer))
        if len(self._buffer) > IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        """Move what is in memory to the file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="harness-")  # noqa: SIM115 - as long as self
            weakref.finalize(self, self._file.close)
        self._file.write(self._buffer)
        self._file.flush()
        self._spilled += len(self._buffer)
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Case:
        begin, end = self._ends[index - 1] if index else 0, self._ends[index]
        if self._file is not None and begin < self._spilled:
            return self._parse(os.pread(self._file.fileno(), end - begin, begin))
        return self._parse(bytes(self._buffer[begin - self._spilled : end - self._spilled]))


def _encode_row(raw: Any) -> bytes:
    try:
        return orjson.dumps(raw)
    except TypeError:  # an integer of more than 64 bits, or a lone surrogate
        return json.dumps(raw).encode()


def parse_stored_row(row: bytes) -> Any:
    """The row that was kept as these bytes."""
    try:
        return parse_json_row(row)
    except orjson.JSONDecodeError:  # a lone surrogate
        return json.loads(row)
