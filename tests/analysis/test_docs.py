"""docs/measures.md says what the frames really have."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.aggregate import MEASURES as GATED
from harness.analysis.row_schema import EXCHANGES, GRADES, MEASURES, SPEND, TRIALS
from harness.analysis.typed_columns import Column

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("column", [*TRIALS, *MEASURES, *SPEND, *EXCHANGES, *GRADES], ids=lambda column: column.name)
def test_every_column_is_documented_as_declared(column: Column) -> None:
    assert f"| `{column.name}` | {column.dtype} | {column.about} |" in (DOCS / "measures.md").read_text()


@pytest.mark.parametrize("measure", GATED)
def test_every_measure_of_gates_is_documented(measure: str) -> None:
    assert f"| `{measure}` |" in (DOCS / "statistics.md").read_text()
