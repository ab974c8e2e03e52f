"""Columns that are filled row by row and become pandas arrays of a declared dtype.

A million rows of Python objects would take gigabytes: here a number costs 8 bytes, a repeated text 4, a flag 1. Nothing is
guessed: the dtype is the column's, whatever the values look like ("NA", "001" and "1e5" stay text). Text is made valid
Unicode (a lone surrogate becomes U+FFFD), because neither pandas nor Parquet can hold anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

Kind = Literal["category", "text", "float", "integer", "boolean", "flag", "time"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as documented: its name, the kind that gives its dtype, and what it holds."""

    name: str
    kind: Kind
    about: str

    @property
    def dtype(self) -> str:
        """The pandas dtype, as text."""
        return DTYPES[self.kind]


DTYPES: Mapping[Kind, str] = {
    "category": "category",
    "text": "string",
    "float": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "flag": "bool",
    "time": "datetime64[us, UTC]",
}
"""`float` is NaN, every other nullable kind NA (NaT) where a value is unknown; `flag` is never unknown."""


def valid_text(text: str) -> str:
    """`text` as valid Unicode: lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Cells(Protocol):
    """A column being filled, a few thousand rows at a time."""

    def extend(self, values: Sequence[Any]) -> None:
        """Add some rows' values; None is unknown."""

    def finish(self) -> Any:
        """The pandas array of all rows."""


class _Numbers:
    """What numeric columns share: chunks of one numpy type, None as the value that stands for unknown."""

    dtype: Any = np.float64
    unknown: Any = np.nan

    def __init__(self) -> None:
        self.chunks: list[Any] = [np.array([], dtype=self.dtype)]

    def extend(self, values: Sequence[Any]) -> None:
        self.chunks.append(np.array([self.unknown if value is None else value for value in values], dtype=self.dtype))

    def finish(self) -> Any:
        return np.concatenate(self.chunks)


class _Category(_Numbers):
    dtype = np.int32

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[str | None, int] = {None: -1}

    def extend(self, values: Sequence[Any]) -> None:
        code, known = self.codes.setdefault, self.codes
        self.chunks.append(np.array([code(value, len(known) - 1) for value in values], dtype=self.dtype))

    def finish(self) -> Any:
        clean: dict[str, int] = {}
        codes = [clean.setdefault(valid_text(value), len(clean)) for value in self.codes if value is not None]
        return pd.Categorical.from_codes(
            np.array([*codes, -1], dtype=np.int32)[super().finish()], categories=pd.Index(list(clean), dtype=object)
        )


class _Text:
    def __init__(self) -> None:
        self.values: list[str | None] = []

    def extend(self, values: Sequence[Any]) -> None:
        self.values.extend([None if value is None else valid_text(value) for value in values])

    def finish(self) -> Any:
        return pd.array(self.values, dtype="string[python]")


class _Integer(_Numbers):
    """Kept as doubles: exact to 2**53, far above any count of tokens."""

    def finish(self) -> Any:
        values = super().finish()
        missing = np.isnan(values)
        return pd.arrays.IntegerArray(np.where(missing, 0, values).astype(np.int64), missing)


class _Boolean(_Numbers):
    dtype = np.int8
    unknown = -1

    def finish(self) -> Any:
        values = super().finish()
        return pd.arrays.BooleanArray(values == 1, values == -1)


class _Flag(_Numbers):
    dtype = np.bool_


class _Time(_Numbers):
    """Filled with microseconds since 1970 (UTC)."""

    dtype = np.int64
    unknown = -(2**63)

    def finish(self) -> Any:
        return pd.DatetimeIndex(super().finish().view("datetime64[us]")).tz_localize("UTC").array


_CELLS: Mapping[Kind, Callable[[], Cells]] = {
    "category": _Category,
    "text": _Text,
    "float": _Numbers,
    "integer": _Integer,
    "boolean": _Boolean,
    "flag": _Flag,
    "time": _Time,
}

_CHUNK = 4096


class Table:
    """A frame being filled row by row; rows wait as tuples and become columns by the thousand."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
        self.rows = 0
        self._cells = [_CELLS[column.kind]() for column in self.columns]
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, values: tuple[Any, ...]) -> int:
        """Append a row, its values in the columns' order; returns the row's number."""
        self._waiting.append(values)
        if len(self._waiting) == _CHUNK:
            self._flush()
        self.rows += 1
        return self.rows - 1

    def frame(self) -> Any:
        """The pandas DataFrame of all rows."""
        self._flush()
        data = {column.name: cells.finish() for column, cells in zip(self.columns, self._cells, strict=True)}
        return pd.DataFrame(data, copy=False)

    def _flush(self) -> None:
        if self._waiting:
            for cells, values in zip(self._cells, zip(*self._waiting, strict=True), strict=True):
                cells.extend(values)
            self._waiting.clear()
