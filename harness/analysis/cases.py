"""The case × configuration table: every cell counted, and of the worst cases the answers themselves, side by side.

A report is read by a person: it shows at most a few hundred cases, failing first, and of each cell a few answers, each cut.
Everything else is in the frames and in the run folder.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis import words
from harness.analysis.comparison import Answer, CaseRow, Cell, GradeLine
from harness.analysis.frame import Frames

CASE_LIMIT = 200
"""Cases shown at most."""
ANSWER_LIMIT = 2_000
"""Answers shown at most, over all cases: with `PREVIEW` it bounds the size of a report."""
ANSWERS_A_CELL = 2
PREVIEW = 1_200
REASON = 300

OUTCOMES = {"passed": "pass", "failed": "fail", "no_verdict": "no verdict", "ungraded": "ungraded", "errors": "error"}
"""Column of a count -> the outcome it counts."""

_BADNESS = {"fail": 0, "error": 1, "ungraded": 2, "no verdict": 3, "pass": 4}


def cells(trials: Any, configurations: Any) -> Any:
    """One row per case and configuration: their names, the `OUTCOMES` counts and `worst`, the row of its worst trial.

    `configurations` is each trial's configuration number, which becomes a column of its own.
    """
    ids = trials.groupby([configurations, "case"], observed=True, sort=False).ngroup().to_numpy()
    count = int(ids.max()) + 1 if len(ids) else 0
    badness = trials["outcome"].astype(object).map(_BADNESS).to_numpy(dtype=np.int64)
    order = np.lexsort((trials["repeat"].to_numpy(dtype=np.int64), badness, ids))
    worst = order[np.searchsorted(ids[order], np.arange(count))]
    frame = trials.iloc[worst][["run", "eval", "case", "configuration"]].reset_index(drop=True)
    frame.insert(0, "number", configurations[worst])
    frame["n"] = np.bincount(ids, minlength=count)
    for column, outcome in OUTCOMES.items():
        frame[column] = np.bincount(ids[(trials["outcome"] == outcome).to_numpy()], minlength=count)
    frame["worst"] = worst
    return frame.sort_values(["number", "case"], key=_sortable, ignore_index=True)


def case_rows(frames: Frames, table: Any, configurations: Any) -> tuple[tuple[CaseRow, ...], int]:
    """The worst cases with their answers, and how many cases there are."""
    ranked = _ranked(table)
    rows: list[CaseRow] = []
    answers = 0
    for eval_name, case in ranked.index[:CASE_LIMIT]:
        row = _case_row(frames, table, configurations, eval_name, case)
        answers += sum(len(cell.answers) for cell in row.cells)
        if rows and answers > ANSWER_LIMIT:
            break
        rows.append(row)
    return tuple(rows), len(ranked)


def _ranked(table: Any) -> Any:
    """(eval, case) with its share of bad trials, worst first, then by name."""
    sums = table.astype({"eval": object, "case": object}).groupby(["eval", "case"], sort=True)[["failed", "errors", "n"]].sum()
    share = (sums["failed"] + sums["errors"]) / sums["n"]
    return share.sort_values(ascending=False, kind="stable")


def _case_row(frames: Frames, table: Any, configurations: Any, eval_name: str, case: str) -> CaseRow:
    mine = table[((table["eval"] == eval_name) & (table["case"] == case)).to_numpy()]
    trials = frames.trials
    first = trials.iloc[int(mine["worst"].iloc[0])]
    where = np.flatnonzero(((trials["eval"] == eval_name) & (trials["case"] == case)).to_numpy())
    expected = None if pd.isna(first["expected"]) else _cut(first["expected"], REASON)
    found = tuple(
        _cell(frames, row, where[configurations[where] == row.number]) for row in mine.head(ANSWER_LIMIT).itertuples()
    )
    return CaseRow(eval_name, case, tuple(json.loads(first["tags"])), expected, found)


def _cell(frames: Frames, row: Any, where: Any) -> Cell:
    trials = frames.trials.iloc[where]
    badness = trials["outcome"].astype(object).map(_BADNESS)
    chosen = where[np.lexsort((trials["repeat"].to_numpy(dtype=np.int64), badness.to_numpy()))[:ANSWERS_A_CELL]]
    shown = tuple(_answer(frames, int(index)) for index in chosen)
    return Cell(int(row.number), int(row.n), int(row.passed), int(row.failed), int(row.errors), shown)


def _answer(frames: Frames, index: int) -> Answer:
    trial = frames.trials.iloc[index]
    return Answer(
        repeat=int(trial["repeat"]),
        outcome=trial["outcome"],
        preview=trial["answer"][:PREVIEW],
        characters=int(trial["answer_characters"]),
        score=_number(trial["score"]),
        grades=_grades(frames, index),
        error=None if pd.isna(trial["error_message"]) else _cut(f"{trial['error_kind']}: {trial['error_message']}", REASON),
        finish_reason=None if pd.isna(trial["finish_reason"]) else trial["finish_reason"],
        latency=_number(trial["latency"]),
        cost=_number(trial["cost"]),
    )


def _grades(frames: Frames, index: int) -> tuple[GradeLine, ...]:
    """The grades of one trial: their rows lie together, in the order of the trials."""
    owners = frames.grades["trial"].to_numpy(dtype=np.int64)
    start, end = np.searchsorted(owners, [index, index + 1])
    return tuple(_grade(row) for row in frames.grades.iloc[start:end].itertuples())


def _grade(row: Any) -> GradeLine:
    passed = None if pd.isna(row.passed) else bool(row.passed)
    if row.kind == "label":
        value = _cut(row.label, REASON)
    else:
        value = {"verdict": "pass" if row.value else "fail", "ungraded": "ungraded"}.get(row.kind) or words.number(row.value)
    reason = row.reason if pd.isna(row.error) else f"{row.error} {row.reason}".strip()
    return GradeLine(row.name, passed, value, _cut(reason, REASON), float(row.weight))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text):,} characters]"


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _sortable(column: Any) -> Any:
    return column.astype(object) if column.dtype == "category" else column
