"""Columns that are filled row by row and become pandas arrays of a declared dtype.

A million rows of Python objects would take gigabytes: here a number costs 8 bytes, a category 4, a
flag 1, and equal texts that come soon after each other are one object. Nothing is guessed: the
dtype is the column's, whatever the values look like ("NA", "001" and "1e5" stay text). Text is made
valid Unicode (a lone surrogate becomes U+FFFD), because neither pandas nor Parquet can hold
anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
import pandas as pd
from msgspec import Struct

Dtype = Literal["category", "text", "long text", "float", "integer", "boolean", "flag", "time"]

RowT = TypeVar("RowT")


class Column(Struct, Generic[RowT], frozen=True):
    """A column as documented: its name, its dtype, what it holds, and how its value is read from a
    row.

    `read` is the path of an attribute (`record.eval`; many are read at once, in a fifth of the time
    that calls take), or a function of the row.
    """

    name: str
    dtype: Dtype
    description: str
    read: str | Callable[[RowT], Any]

    def value_of(self, row: RowT) -> Any:
        """The column's value of one row."""
        return attrgetter(self.read)(row) if isinstance(self.read, str) else self.read(row)

    @property
    def pandas_dtype(self) -> str:
        """The pandas dtype, as text."""
        return PANDAS_DTYPES[self.dtype]


PANDAS_DTYPES: Mapping[Dtype, str] = {
    "category": "category",
    "text": "string",
    "long text": "string",
    "float": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "flag": "bool",
    "time": "datetime64[us, UTC]",
}
"""`float` is NaN, every other nullable dtype NA (NaT) where a value is unknown; `flag` is never
unknown.

A `long text` is cut where there is a limit.
"""


def valid_text(text: str) -> str:
    """`text` as valid Unicode: lone surrogates become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class ColumnBuilder(Protocol):
    """A column being filled, a few thousand rows at a time."""

    def extend(self, values: Sequence[Any]) -> None:
        """Add the values of some rows, at least one; None is unknown."""

    def finish(self) -> Any:
        """The pandas array of all rows, once."""


class FloatColumn:
    """What numeric columns share: chunks of one numpy type. None becomes NaN, which here stands for
    unknown."""

    dtype: Any = np.float64

    def __init__(self) -> None:
        self.chunks: list[Any] = [np.array([], dtype=self.dtype)]

    def extend(self, values: Sequence[Any]) -> None:
        alike = values.count(values[0]) == len(values)  # as in most columns of most runs
        part = self.numbers(values[:1] if alike else values)
        self.chunks.append(np.broadcast_to(part, len(values)))

    def numbers(self, values: Sequence[Any]) -> Any:
        """The values as an array of this column's type."""
        return np.array(values, dtype=self.dtype)

    def finish(self) -> Any:
        chunks, self.chunks = (
            self.chunks,
            [],
        )  # a column's chunks are given up before the next column is joined
        return np.concatenate(chunks)


class _CodedColumn(FloatColumn):
    """Chunks of the numbers that stand for values; an unknown one is -1."""

    def __init__(self, code: Mapping[Any, int]) -> None:
        super().__init__()
        self.code = code

    def numbers(self, values: Sequence[Any]) -> Any:
        return np.fromiter(map(self.code.__getitem__, values), dtype=self.dtype, count=len(values))


class _TextCodes(dict[str | None, int]):
    """Texts -> numbers from 0, given as they come; None is -1."""

    def __missing__(self, text: str | None) -> int:
        number = self[text] = len(self) - 1
        return number


class _CategoryColumn(_CodedColumn):
    dtype = np.int32

    def __init__(self) -> None:
        super().__init__(_TextCodes({None: -1}))

    def finish(self) -> Any:
        clean: dict[str, int] = {}
        codes = [
            clean.setdefault(valid_text(value), len(clean))
            for value in self.code
            if value is not None
        ]
        return pd.Categorical.from_codes(
            np.array([*codes, -1], dtype=np.int32)[super().finish()],
            categories=pd.Index(list(clean), dtype=object),
        )


SHORT_TEXT = 200
"""Characters that are left of a text when there is no room for more."""


class TextBudget(Struct):
    """How many characters of text may still be kept; once there are none left, texts are cut at
    `SHORT_TEXT`, and counted."""

    left: int
    cut: int = 0

    def cut_texts(self, texts: Sequence[str | None]) -> Sequence[str | None]:
        """The texts, cut where there is no more room; equal ones take it once."""
        if self.left > 0:
            self.left -= sum(len(text) for text in set(texts) if text)
            return texts
        self.cut += sum(text is not None and len(text) > SHORT_TEXT for text in texts)
        return [
            text if text is None or len(text) <= SHORT_TEXT else f"{text[:SHORT_TEXT]}…"
            for text in texts
        ]


_REMEMBERED = 50_000
"""Texts of which a column keeps only one copy, before it forgets them and begins anew."""


class _TextColumn:
    def __init__(self, budget: TextBudget | None, limit: int | None = None) -> None:
        self.budget, self.limit = budget, limit
        self.values: list[str | None] = []
        self.remembered: dict[str | None, str | None] = {}

    def extend(self, values: Sequence[Any]) -> None:
        if self.limit is not None:
            values = [text and text[: self.limit] for text in values]
        texts = [text if text is None or text.isascii() else valid_text(text) for text in values]
        kept = self.budget.cut_texts(texts) if self.budget else texts
        if len(self.remembered) > _REMEMBERED:
            self.remembered.clear()
        self.values.extend(map(self.remembered.setdefault, kept, kept))

    def finish(self) -> Any:
        values, self.values, self.remembered = self.values, [], {}
        return pd.array(values, dtype="string[python]")


class _IntegerColumn(FloatColumn):
    """Kept as doubles: exact to 2**53, far above any count of tokens."""

    def finish(self) -> Any:
        values = super().finish()
        missing = np.isnan(values)
        return pd.arrays.IntegerArray(np.where(missing, 0, values).astype(np.int64), missing)


class _BooleanColumn(_CodedColumn):
    dtype = np.int8

    def __init__(self) -> None:
        super().__init__({None: -1, False: 0, True: 1})

    def finish(self) -> Any:
        values = super().finish()
        return pd.arrays.BooleanArray(values == 1, values == -1)


class _FlagColumn(FloatColumn):
    dtype = np.bool_


_NO_TIME = -(2**63)


class _TimeColumn(FloatColumn):
    """Filled with microseconds since 1970 (UTC)."""

    dtype = np.int64

    def numbers(self, values: Sequence[Any]) -> Any:
        return super().numbers([_NO_TIME if value is None else value for value in values])

    def finish(self) -> Any:
        return pd.DatetimeIndex(super().finish().view("datetime64[us]")).tz_localize("UTC").array


_COLUMN_BUILDERS: Mapping[Dtype, Callable[[], ColumnBuilder]] = {
    "category": _CategoryColumn,
    "float": FloatColumn,
    "integer": _IntegerColumn,
    "boolean": _BooleanColumn,
    "flag": _FlagColumn,
    "time": _TimeColumn,
}

_CHUNK_ROWS = 1024


class TableBuilder(Generic[RowT]):
    """A frame being filled row by row; what the columns read of a row waits, and becomes arrays by
    the thousand.

    Each `long text` is cut at `limit` characters, and texts share a `budget`; None keeps
    everything.
    """

    def __init__(
        self,
        columns: Iterable[Column[RowT]],
        limit: int | None = None,
        budget: TextBudget | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.rows = 0
        self._builders = {
            column.name: _column_builder(column.dtype, limit, budget) for column in self.columns
        }
        paths = {
            column.name: column.read for column in self.columns if isinstance(column.read, str)
        }
        functions = {
            column.name: column.read for column in self.columns if not isinstance(column.read, str)
        }
        self._read_names = (*paths, *functions)
        self._read_attributes = _attributes_reader(tuple(paths.values()))
        self._functions = tuple(functions.values())
        self._waiting: list[tuple[Any, ...]] = []

    def append_row(self, row: RowT) -> int:
        """Append a row; returns its number."""
        self._waiting.append(
            (*self._read_attributes(row), *[read(row) for read in self._functions])
        )
        if len(self._waiting) == _CHUNK_ROWS:
            self._flush_rows()
        self.rows += 1
        return self.rows - 1

    def build_frame(self) -> Any:
        """The pandas DataFrame of all rows, once."""
        self._flush_rows()
        data = {column.name: self._builders[column.name].finish() for column in self.columns}
        return pd.DataFrame(data, copy=False)

    def _flush_rows(self) -> None:
        if self._waiting:
            for name, values in zip(
                self._read_names, zip(*self._waiting, strict=True), strict=True
            ):
                self._builders[name].extend(values)
            self._waiting.clear()


def _attributes_reader(paths: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """From a row to the values of these attributes."""
    if not paths:
        return lambda _: ()
    return attrgetter(*paths) if len(paths) > 1 else lambda row: (attrgetter(paths[0])(row),)


def _column_builder(dtype: Dtype, limit: int | None, budget: TextBudget | None) -> ColumnBuilder:
    if dtype in {"text", "long text"}:
        return _TextColumn(budget, limit if dtype == "long text" else None)
    return _COLUMN_BUILDERS[dtype]()
