"""docs/measures.md lists the columns that the frames really have; run this file to write the tables
there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from harness.analysis.row_schema import EXCHANGES, GRADES, MEASURES, TRIALS
from harness.analysis.trial_totals import SPEND
from harness.analysis.typed_columns import Column
from tests.blocks import markdown_table, read_block, write_block

PAGE = "measures.md"
FRAMES: Mapping[str, Sequence[Column[Any]]] = {
    "trials": [*TRIALS, *MEASURES, *SPEND],
    "exchanges": [*EXCHANGES, *MEASURES],
    "grades": GRADES,
}


def columns(frame: str) -> str:
    rows = [
        (f"`{column.name}`", column.pandas_dtype, column.description) for column in FRAMES[frame]
    ]
    return markdown_table(("column", "dtype", "meaning"), rows)


@pytest.mark.parametrize("frame", FRAMES)
def test_every_column_is_documented_as_declared(frame: str) -> None:
    assert read_block(PAGE, frame) == columns(frame), "run: python -m tests.analysis.test_docs"


if __name__ == "__main__":
    for frame in FRAMES:
        write_block(PAGE, frame, columns(frame))
