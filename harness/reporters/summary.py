"""The report for machines: `summary.json`, without rows, without NaN, keys
as in docs/measures.md."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, fields

from harness.analysis.report_data import Configuration, Report
from harness.analysis.typed_columns import valid_text
from harness.metrics.table import METRICS

SCHEMA_VERSION = 1

_LEFT_OUT = {"frames", "cells", "cases"}


def render_summary(report: Report) -> bytes:
    """Verdict, runs, configurations, gates, tags, errors, totals and warnings as UTF-8 JSON;
    unknown is null."""
    tables = {
        field.name: _to_plain_json(getattr(report, field.name))
        for field in fields(report)
        if field.name not in _LEFT_OUT
    }
    document = {
        "schema": SCHEMA_VERSION,
        "verdict": report.verdict,
        "headline": report.headline,
        "simulated": report.simulated,
        **tables,
    }
    return (
        json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=str).encode()
        + b"\n"
    )


def _to_plain_json(value: Any) -> Any:
    """The value as JSON can hold it: structs as objects, NaN as null, text as valid Unicode."""
    if isinstance(value, Configuration):
        return _to_plain_json(_configuration_object(value))
    if isinstance(value, Struct):
        return _to_plain_json(asdict(value))
    if isinstance(value, dict):
        return {valid_text(str(key)): _to_plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_plain_json(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return valid_text(value) if isinstance(value, str) else value


def _configuration_object(configuration: Configuration) -> dict[str, Any]:
    """Every metric that reports show by its name (of several statistics an
    object), and its fields."""
    found: dict[str, Any] = {}
    for metric in METRICS.values():
        estimates = {statistic: configuration[name] for name, statistic in metric.reported.items()}
        figures = {
            name: each if metric.has_interval else each.value for name, each in estimates.items()
        }
        if figures:
            found[metric.name] = figures if len(figures) > 1 else next(iter(figures.values()))
    return found | {
        each.name: getattr(configuration, each.name)
        for each in fields(configuration)
        if each.name != "figures"
    }
