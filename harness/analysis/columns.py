"""Columns that are filled one value at a time and become pandas arrays of a declared dtype.

A million rows of Python objects would take gigabytes: here a number costs 8 bytes, a repeated text 4, a flag 1. Nothing is
guessed: the dtype is the column's, whatever the values look like ("NA", "001" and "1e5" stay text). Text is made valid
Unicode (a lone surrogate becomes U+FFFD), because neither pandas nor Parquet can hold anything else.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
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


_NOT_A_TIME = -(2**63)


def valid_text(text: str) -> str:
    """`text` as valid Unicode: lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Cells(Protocol):
    """A column being filled."""

    def append(self, value: Any) -> None:
        """Add one row's value; None is unknown."""

    def finish(self) -> Any:
        """The pandas array of all rows."""


class _Category:
    def __init__(self) -> None:
        self.codes = array("i")
        self.values: dict[str, int] = {}

    def append(self, value: str | None) -> None:
        self.codes.append(-1 if value is None else self.values.setdefault(value, len(self.values)))

    def finish(self) -> Any:
        clean: dict[str, int] = {}
        mapping = [clean.setdefault(valid_text(value), len(clean)) for value in self.values]
        codes = np.array([*mapping, -1], dtype=np.int32)[np.array(self.codes, dtype=np.int32)]
        return pd.Categorical.from_codes(codes, categories=pd.Index(list(clean), dtype=object))


class _Text:
    def __init__(self) -> None:
        self.values: list[str | None] = []

    def append(self, value: str | None) -> None:
        self.values.append(None if value is None else valid_text(value))

    def finish(self) -> Any:
        return pd.array(self.values, dtype="string[python]")


class _Float:
    def __init__(self) -> None:
        self.values = array("d")

    def append(self, value: float | None) -> None:
        self.values.append(np.nan if value is None else value)

    def finish(self) -> Any:
        return np.array(self.values, dtype=np.float64)


class _Integer(_Float):
    """Kept as doubles: exact to 2**53, far above any count of tokens."""

    def finish(self) -> Any:
        values = np.array(self.values, dtype=np.float64)
        missing = ~np.isfinite(values)
        return pd.arrays.IntegerArray(np.where(missing, 0, values).astype(np.int64), missing)


class _Boolean:
    def __init__(self) -> None:
        self.values = array("b")

    def append(self, value: bool | None) -> None:
        self.values.append(-1 if value is None else int(value))

    def finish(self) -> Any:
        values = np.array(self.values, dtype=np.int8)
        return pd.arrays.BooleanArray(values == 1, values == -1)


class _Flag(_Boolean):
    def finish(self) -> Any:
        return np.array(self.values, dtype=np.int8) == 1


class _Time:
    """Filled with microseconds since 1970 (UTC)."""

    def __init__(self) -> None:
        self.values = array("q")

    def append(self, value: int | None) -> None:
        self.values.append(_NOT_A_TIME if value is None else value)

    def finish(self) -> Any:
        moments = np.array(self.values, dtype=np.int64).view("datetime64[us]")
        return pd.DatetimeIndex(moments).tz_localize("UTC").array


_CELLS: Mapping[Kind, Callable[[], Cells]] = {
    "category": _Category,
    "text": _Text,
    "float": _Float,
    "integer": _Integer,
    "boolean": _Boolean,
    "flag": _Flag,
    "time": _Time,
}


class Table:
    """A frame being filled row by row."""

    def __init__(self, columns: Iterable[Column]) -> None:
        self.columns = tuple(columns)
        self.cells = [_CELLS[column.kind]() for column in self.columns]
        self._appends = [cell.append for cell in self.cells]
        self.rows = 0

    def add(self, values: tuple[Any, ...]) -> int:
        """Append a row, its values in the columns' order; returns the row's number."""
        for append, value in zip(self._appends, values, strict=True):
            append(value)
        self.rows += 1
        return self.rows - 1

    def frame(self) -> Any:
        """The pandas DataFrame of all rows."""
        data = {column.name: cells.finish() for column, cells in zip(self.columns, self.cells, strict=True)}
        return pd.DataFrame(data, copy=False)
