"""The trials frame as CSV: every row, text quoted and neutralised, so that no spreadsheet runs a formula in it.

The raw values are in `records.jsonl` and `records.parquet`.
"""

from __future__ import annotations

import csv
from typing import Any

import pandas as pd

from harness.analysis.comparison import Comparison
from harness.reporters.escape import escape_for

_safe = escape_for("csv")


def report(comparison: Comparison) -> bytes:
    """All trials, one a row, as UTF-8 CSV with a header; unknown values are empty."""
    trials = comparison.frames.trials
    columns = {_safe(name): _column(trials[name]) for name in trials.columns}
    text: str = pd.DataFrame(columns).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    return text.encode("utf-8", "replace")


def _column(values: Any) -> Any:
    """Text columns escaped (each category once), all others as they are."""
    if values.dtype == "category":
        escaped = [_safe(str(value)) for value in values.cat.categories]
        return pd.Series(pd.array([*escaped, None], dtype="string[python]").take(values.cat.codes.to_numpy()))
    if pd.api.types.is_string_dtype(values.dtype):
        return pd.Series(pd.array([None if pd.isna(value) else _safe(value) for value in values], dtype="string[python]"))
    return values
