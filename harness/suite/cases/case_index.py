"""Datasets of cases: inline, or in files; a million cases take some bytes each.

Loading reads every row once, to check it, to give it an id of its own, and to remember where the
selected rows are. Rows of a .jsonl file are then read from it as they are needed; those of other
formats are kept in a `CaseStore`. A case without an id gets one derived from its variables, so
that it stays the same whatever is added around it.
"""

from __future__ import annotations

import os
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol, overload

from msgspec.structs import replace

from harness.config.diagnostics import Place, display_path
from harness.errors import InfrastructureError
from harness.hashing import canonical_json
from harness.suite.cases.case_rows import Row
from harness.suite.model import Case

_MASK = 2**64 - 1
_READ = 4_096


class CaseSource(Protocol):
    """A sequence of some of an eval's cases: a list, or rows of a file."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Case: ...


class Cases(Sequence[Case]):
    """The selected cases of an eval, in the order written. Indexing reads .jsonl rows from disk.

    `digest` is a hash over the ids and contents of all of them, independent of their order.
    Indexing raises InfrastructureError where a file has changed since it was checked.
    """

    def __init__(self, sources: Sequence[CaseSource], digest: int) -> None:
        self._sources = tuple(sources)
        self._ends = list(accumulate(len(source) for source in sources))
        self.digest = f"{digest & _MASK:016x}"

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Case, ...]: ...
    def __getitem__(self, index: int | slice) -> Case | tuple[Case, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"case {index} of {len(self)}")
        source = bisect_right(self._ends, position)
        return self._sources[source][position - (self._ends[source - 1] if source else 0)]


class RowIndex:
    """Where some rows of a file are: the byte offset and the line number of each, four bytes each
    for most files; and the ids of those that stand twice.
    """

    def __init__(self, path: Path) -> None:
        self.offsets: array[int] = array("I" if path.stat().st_size < 1 << 32 else "Q")
        self.lines: array[int] = array(self.offsets.typecode)
        self.numbered: dict[int, str] = {}

    def append_row(self, row: Row) -> None:
        """Add the next row."""
        if row.numbered:
            self.numbered[len(self.offsets)] = row.case.id
        self.offsets.append(row.offset)
        self.lines.append(row.place.line or 0)


class JsonlCases:
    """The cases of one .jsonl file, kept as the places of their rows; `parse` turns a row and its
    line number into a case.
    """

    def __init__(self, path: Path, rows: RowIndex, parse: Callable[[bytes, int], Case]) -> None:
        self._path = path
        self._rows = rows
        self._parse = parse
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._checked = self._file_stamp()
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self._rows.offsets)

    def __getitem__(self, index: int) -> Case:
        row = self._read_row(self._rows.offsets[index])
        if self._file_stamp() != self._checked:
            name = display_path(self._path)
            raise InfrastructureError(
                f"{name} was changed while it was in use; do not edit the cases until the run has"
                " finished"
            )
        case = self._parse(row, self._rows.lines[index])
        numbered = self._rows.numbered.get(index)
        return case if numbered is None else replace(case, id=numbered)

    def _read_row(self, offset: int) -> bytes:
        """The row at byte `offset`. Uses pread, which needs no file position, so that threads
        can share the file.
        """
        row = os.pread(self._file, _READ, offset)
        while b"\n" not in row and (more := os.pread(self._file, len(row), offset + len(row))):
            row += more
        return row.partition(b"\n")[0]

    def _file_stamp(self) -> tuple[int, int]:
        status = os.fstat(self._file)
        return status.st_size, status.st_mtime_ns


def name_by_row(case: Case, raw: Mapping[str, Any], place: Place) -> Case:
    """The case, with its file and line as `row` where `raw`, what is written there, has no id."""
    if "id" in raw:
        return case
    return replace(case, row=f"{os.path.basename(place.path)}:{place.line}")  # noqa: PTH119 - a Path takes ten times as long, for every row


def derive_case_id(variables: Mapping[str, Any]) -> str:
    """The id of a case without one: a hash of its variables alone, so that correcting `expected`
    keeps it.
    """
    return blake2b(canonical_json(variables), digest_size=6).hexdigest()
