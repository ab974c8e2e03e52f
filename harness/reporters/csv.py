"""The trials frame as CSV: every row, text quoted and neutralised, so that no spreadsheet runs a
formula in it.

The raw values are in `records.jsonl` and `records.parquet`. Numbers are as Python writes them,
unknown values are `""`. A million rows are half a gigabyte: they are written two thousand at a
time, column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pandas as pd

from harness.analysis.report_data import Report
from harness.reporters.escape import escape_for

_CHUNK_ROWS = 2_048
_UNKNOWN = '""'

_escape = escape_for("csv")

CellWriter = Callable[[slice], list[str]]
"""Some rows of a column -> their cells."""


def render_csv(report: Report) -> Iterator[bytes]:
    """All trials, one a row, as UTF-8 CSV with a header, piece by piece."""
    trials = report.frames.trials
    yield _join_lines([[_quote_cell(name)] for name in trials.columns])
    columns = [_cell_writer(trials[name]) for name in trials.columns]
    for start in range(0, len(trials), _CHUNK_ROWS):
        yield _join_lines([cells(slice(start, start + _CHUNK_ROWS)) for cells in columns])


def _join_lines(columns: list[list[str]]) -> bytes:
    rows = [",".join(row) for row in zip(*columns, strict=True)]
    return "\r\n".join([*rows, ""]).encode("utf-8", "replace")


def _quote_cell(text: str) -> str:
    return '"' + _escape(text).replace('"', '""') + '"'


def _cell_writer(values: Any) -> CellWriter:
    """How a column becomes cells: text is escaped (each category once), all else only written."""
    dtype = values.dtype
    if dtype == "category":
        return _category_writer(values.cat)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _time_writer(values.to_numpy(dtype="datetime64[us]"))
    if pd.api.types.is_string_dtype(dtype):
        return _text_writer(values)
    if dtype == np.float64:
        return _float_writer(np.ascontiguousarray(values))  # orjson takes no other
    return _scalar_writer(values)


def _category_writer(values: Any) -> CellWriter:
    written = [
        *(_quote_cell(str(value)) for value in values.categories),
        _UNKNOWN,
    ]  # the code of an unknown value is -1
    cells, codes = np.array(written, dtype=object), values.codes.to_numpy()
    return lambda rows: cells[codes[rows]].tolist()


class _QuotedCells(dict[str | None, str]):
    """Texts -> their cells; equal ones, as of a case in many configurations, are escaped once."""

    def __missing__(self, text: str | None) -> str:
        cell = self[text] = _UNKNOWN if text is None else _quote_cell(text)
        return cell


def _text_writer(values: Any) -> CellWriter:
    def cells(rows: slice) -> list[str]:
        texts = values.array[rows].to_numpy(dtype=object, na_value=None)
        return list(map(_QuotedCells().__getitem__, texts))

    return cells


def _float_writer(values: Any) -> CellWriter:
    """orjson writes a whole array ten times faster than `repr`, and the same digits, but for what
    has an exponent."""

    def cells(rows: slice) -> list[str]:
        numbers, sizes = values[rows], np.abs(values[rows])
        texts = (
            orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
            .decode()
            .replace("null", _UNKNOWN)
            .split(",")
        )
        for place in np.flatnonzero(((sizes < 1e-4) & (sizes > 0)) | (sizes >= 1e16)):
            texts[place] = repr(float(numbers[place]))
        return texts

    return cells


def _time_writer(values: Any) -> CellWriter:
    def cells(rows: slice) -> list[str]:
        texts = np.datetime_as_string(values[rows], unit="us").tolist()
        return [_UNKNOWN if text == "NaT" else f'"{text[:10]} {text[11:]}+00:00"' for text in texts]

    return cells


def _scalar_writer(values: Any) -> CellWriter:
    """Integers and booleans, of which some may be unknown."""
    return lambda rows: [
        _UNKNOWN if value is pd.NA else str(value) for value in values.array[rows].astype(object)
    ]
