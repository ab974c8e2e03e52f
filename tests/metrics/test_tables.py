"""The table of metrics, and the pages that are made from it; run this file to write the tables
there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

import pytest

from harness.analysis import aggregate, formatting
from harness.metrics.table import (
    GATED,
    METRICS,
    RESPONSE_METRICS,
    Distribution,
    Mean,
    Metric,
    Rate,
    Unit,
)
from harness.suite.gate_syntax import parse_gate
from harness.suite.json_schema import schema_json
from tests.blocks import markdown_table, read_block, write_block

WRITTEN: Mapping[Unit, tuple[str, str]] = {
    "share": ("a share", "0.5"),
    "score": ("a share", "0.5"),
    "seconds": ("a duration", "1s"),
    "dollars": ("dollars", "$1"),
    "count": ("a count", "1"),
    "per second": ("a number", "50/s"),
}
"""How the values of a unit are written in a gate: in words, and for example."""


def definitions() -> str:
    """docs/measures.md: what each measure of a response is."""
    rows = [
        (f"`{metric.name}`", metric.title, metric.unit, metric.about) for metric in RESPONSE_METRICS
    ]
    return markdown_table(("measure", "name", "unit", "definition"), rows)


def figures() -> str:
    """docs/statistics.md: what each gate compares, and how its interval is made."""
    rows = [(f"`{metric.name}`", _figure(metric), _interval(metric)) for metric in GATED.values()]
    return markdown_table(("metric", "figure", "interval"), rows)


def values() -> str:
    """docs/suites.md: how the value of each gate is written, and what may follow its metric."""

    alike: dict[tuple[str, str], list[str]] = {}
    for metric in GATED.values():
        alike.setdefault((WRITTEN[metric.unit][0], _suffixes(metric)), []).append(
            f"`{metric.name}`"
        )
    return markdown_table(
        ("metric", "value", ""), [(", ".join(names), *written) for written, names in alike.items()]
    )


def _figure(metric: Metric) -> str:
    if not metric.statistics:
        return metric.about
    return f"{metric.title}: {', '.join(metric.statistics[:-1])} or {metric.statistics[-1]}"


def _interval(metric: Metric) -> str:
    match metric.aggregate:
        case Rate():
            return "as rates"
        case Mean():
            return "as means"
        case Distribution():
            return "as percentiles or means"
    return "–"


def _suffixes(metric: Metric) -> str:
    bounds = "`.low` and `.high` are the bounds of the confidence interval"
    if not metric.statistics:
        return bounds if metric.has_interval else ""
    *others, last = (f"`.{statistic}`" for statistic in metric.statistics)
    return f"needs {', '.join(others)} or {last}; then also `.low`, `.high`"


BLOCKS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("measures.md", "measures"): definitions,
    ("statistics.md", "gates"): figures,
    ("suites.md", "gates"): values,
}


@pytest.mark.parametrize(("page", "name"), BLOCKS)
def test_the_page_has_the_table(page: str, name: str) -> None:
    assert read_block(page, name) == BLOCKS[page, name](), (
        "run: python -m tests.metrics.test_tables"
    )


@pytest.mark.parametrize("metric", GATED.values(), ids=lambda metric: metric.name)
def test_every_metric_that_can_gate_is_a_gate(metric: Metric) -> None:
    gate = parse_gate(
        f"{metric.name}{'.p50' if metric.statistics else ''} <= {WRITTEN[metric.unit][1]}"
    )
    assert (gate.metric, gate.stat) == (metric.name, "p50" if metric.statistics else None)


@pytest.mark.parametrize(
    "metric",
    [metric for metric in METRICS.values() if not metric.gates],
    ids=lambda metric: metric.name,
)
def test_no_other_is(metric: Metric) -> None:
    with pytest.raises(ValueError, match=f"no metric `{metric.name}`"):
        parse_gate(f"{metric.name} <= 1")


def test_the_json_schema_names_every_gate() -> None:
    assert all(f"{metric.name} ({metric.title})" in schema_json() for metric in GATED.values())


def test_every_unit_is_formatted() -> None:
    assert set(formatting.FORMATTERS) == set(get_args(Unit)) == set(WRITTEN)


def test_every_column_that_is_added_up_is_a_number_of_the_trials_frame() -> None:
    assert set(aggregate.NUMBERS) >= {metric.name for metric in RESPONSE_METRICS}
    assert {"score", "cost", "input_tokens", "output_tokens"} <= set(aggregate.NUMBERS)


if __name__ == "__main__":
    for (page, name), text in BLOCKS.items():
        write_block(page, name, text())
