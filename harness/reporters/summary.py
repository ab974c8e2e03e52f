"""The comparison for machines: `summary.json`, without rows, without NaN, keys as in docs/measures.md."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from math import isfinite
from typing import Any

from harness.analysis.report_data import Report
from harness.analysis.typed_columns import valid_text

SCHEMA_VERSION = 1

_ROWS = {"frames", "cells", "cases"}


def report(comparison: Report) -> bytes:
    """Verdict, runs, configurations, gates, tags, errors, totals and warnings as UTF-8 JSON; unknown is null."""
    tables = {field.name: _plain(getattr(comparison, field.name)) for field in fields(comparison) if field.name not in _ROWS}
    document = {
        "schema": SCHEMA_VERSION,
        "verdict": comparison.verdict,
        "headline": comparison.headline,
        "simulated": comparison.simulated,
        **tables,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str).encode() + b"\n"


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: dataclasses as objects, NaN as null, text as valid Unicode."""
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {valid_text(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return valid_text(value) if isinstance(value, str) else value
