"""Records become three tidy pandas frames: `trials`, `exchanges` and `grades`.

The columns are declared as lists in `harness.analysis.row_schema`; docs/measures.md prints them. A trial's row is its last
record; what it cost (dollars, tokens, attempts) adds up over every distinct exchange of every line of its key, journal lines
and superseded records included, so that what was paid for is never lost. Latency columns are of the final exchange with the
target, and null where that has an error or was replayed from another run.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.row_schema import (
    EXCHANGES,
    GRADES,
    MEASURES,
    TRIALS,
    RunReader,
    exchange_identity,
    exchange_row,
    grade_row,
    plain_text,
    trial_row,
)
from harness.analysis.typed_columns import TableBuilder, TextBudget, valid_text
from harness.flows.base import TARGET, USER
from harness.model import Exchange, Manifest, Record
from harness.runs.records import ExchangeLine, Line

ANSWER_LIMIT = 20_000
"""Characters of an answer the frames keep by default; `answer_characters` says how long it was."""
TEXT_LIMIT = 300_000_000
"""Characters of all texts together after which, by default, only the beginning of each is kept."""

IDENTITY = ("run", "eval", "case", "configuration", "repeat")
"""Columns that `exchanges` and `grades` repeat from `trials`."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The three frames; `trial` in `exchanges` and `grades` is the row number in `trials`.

    `shortened` is how many texts were cut because there were too many characters in all.
    """

    trials: Any
    exchanges: Any
    grades: Any
    shortened: int = 0


def build_frames(runs: Iterable[tuple[Manifest, Iterable[Line]]], *, answer_limit: int | None = ANSWER_LIMIT) -> Frames:
    """The frames of one or more runs, from their manifests and the lines of their records, read once and in order.

    Takes about 1 KB a trial beside the texts. Each answer is cut at `answer_limit` characters, and all that comes after
    `TEXT_LIMIT` of them much shorter; None keeps everything.
    """
    builder = _FrameBuilder(answer_limit)
    for manifest, lines in runs:
        builder.add_run(manifest, lines)
    return builder.build_frames()


class _FrameBuilder:
    """Fills the three tables; a key's later record takes the place of its earlier one."""

    def __init__(self, answer_limit: int | None) -> None:
        self.answer_limit = answer_limit
        self.room = None if answer_limit is None else TextBudget(TEXT_LIMIT)
        self.trials, self.grades = TableBuilder(TRIALS, self.room), TableBuilder(GRADES, self.room)
        self.exchanges = TableBuilder([*EXCHANGES, *MEASURES])
        self.row_of_key = array("q")
        self.key_of_exchange = array("q")
        self.row_of_grade = array("q")
        self.last_exchange = array("q")

    def add_run(self, manifest: Manifest, lines: Iterable[Line]) -> None:
        run = RunReader(manifest)
        for line in lines:
            if isinstance(line, Record):
                self._add_record(run, line)
            elif isinstance(line, ExchangeLine):
                grading = line.exchange.role not in (TARGET, USER)
                self._add_exchange(run, self._key_number(run, line.key), line, line.exchange, grading=grading)

    def _add_record(self, run: RunReader, record: Record) -> None:
        number = self._key_number(run, record.key)
        row = self.row_of_key[number] = self.trials.append_row(trial_row(run, record, self.answer_limit))
        last = -1
        for exchange in record.exchanges:
            place = self._add_exchange(run, number, record, exchange, grading=False)
            last = place if exchange.role == TARGET else last
        self.last_exchange.append(last)
        for grade in record.grades:
            self.row_of_grade.append(row)
            self.grades.append_row(grade_row(grade, self.answer_limit))
            for exchange in grade.exchanges:
                self._add_exchange(run, number, record, exchange, grading=True)

    def _add_exchange(
        self, run: RunReader, number: int, line: Record | ExchangeLine, exchange: Exchange, *, grading: bool
    ) -> int:
        """The row of the exchange, which is added where it has not been read before; `number` is that of the line's key."""
        mark = exchange_identity(line.key, exchange)
        place = run.rows.get(mark)
        if place is None:
            self.key_of_exchange.append(number)
            place = run.rows[mark] = self.exchanges.append_row(exchange_row(run, line.session, exchange, grading))
        return place

    def _key_number(self, run: RunReader, key: str) -> int:
        number = run.keys.get(key)
        if number is None:
            number = run.keys[key] = len(self.row_of_key)
            self.row_of_key.append(-1)
        return number

    def build_frames(self) -> Frames:
        row_of_key = np.array(self.row_of_key, dtype=np.int64)
        kept = np.sort(row_of_key[row_of_key >= 0])
        renumbered = np.full(self.trials.rows + 1, -1, dtype=np.int64)
        renumbered[kept] = np.arange(len(kept))
        trials = self.trials.build_frame()
        trials = trials if len(kept) == len(trials) else trials.iloc[kept].reset_index(drop=True)
        owners = renumbered[row_of_key[np.array(self.key_of_exchange, dtype=np.int64)]]
        exchanges = _with_identity(self.exchanges.build_frame(), owners, trials)
        grade_owners = renumbered[np.array(self.row_of_grade, dtype=np.int64)]
        grades = _with_identity(self.grades.build_frame(), grade_owners, trials)
        grades = grades if (grade_owners >= 0).all() else grades[grade_owners >= 0].reset_index(drop=True)
        measured = _measure_columns(exchanges, np.array(self.last_exchange, dtype=np.int64)[kept], trials)
        spend = _spend_columns(exchanges, owners, len(trials))
        trials = pd.concat([trials, measured, spend, _parameter_columns(trials)], axis=1)
        return Frames(trials, exchanges, grades, self.room.cut if self.room else 0)


def _with_identity(frame: Any, owners: Any, trials: Any) -> Any:
    """`frame` with the row number of each row's trial and that trial's identity; unknown where there is no record."""
    frame["trial"] = pd.arrays.IntegerArray(np.where(owners < 0, 0, owners), owners < 0)
    for name in IDENTITY:
        if name not in frame:
            frame[name] = trials[name].array.take(owners, allow_fill=True)
    return frame


def _measure_columns(exchanges: Any, last: Any, trials: Any) -> Any:
    """The `MEASURES` of each trial's last exchange; unknown where the trial broke."""
    there = (last >= 0) & (trials["outcome"] != "error").to_numpy()
    columns = {}
    for column in MEASURES:
        values = np.full(len(last), np.nan)
        values[there] = exchanges[column.name].to_numpy()[last[there]]
        columns[column.name] = values
    return pd.DataFrame(columns)


def _spend_columns(exchanges: Any, owners: Any, rows: int) -> Any:
    """The `SPEND` columns: sums over each trial's exchanges; the target's, the graders' and a simulated user's apart."""
    own = (owners >= 0) & (exchanges["role"] == TARGET).to_numpy()
    grading = (owners >= 0) & exchanges["grading"].to_numpy()

    def total(name: str, chosen: Any) -> Any:
        weights = exchanges[name].to_numpy(dtype=np.float64)[chosen]
        return np.bincount(owners[chosen], weights=weights, minlength=rows).astype(np.float64)

    fresh = own & ~exchanges["replayed"].to_numpy()
    columns = {
        "started": _earliest_start(exchanges["started"], owners, own, rows),
        "attempts": pd.array(total("attempts", own).astype(np.int64), dtype="Int64"),
        "retries": pd.array(total("retries", own).astype(np.int64), dtype="Int64"),
        "waited": total("waited", own),
        "input_tokens": _sum_known_by_trial(exchanges["input_tokens"], owners, own, rows),
        "output_tokens": _sum_known_by_trial(exchanges["output_tokens"], owners, own, rows),
        "cost": total("cost", own),
        "spent": total("cost", fresh),
        "grading_cost": total("cost", grading),
        "user_cost": total("cost", (owners >= 0) & ~own & ~grading),
    }
    return pd.DataFrame(columns)


def _sum_known_by_trial(values: Any, owners: Any, chosen: Any, rows: int) -> Any:
    known = chosen & values.notna().to_numpy()
    counts = np.bincount(owners[known], minlength=rows)
    return np.where(counts > 0, np.bincount(owners[known], weights=values.to_numpy()[known], minlength=rows), np.nan)


def _earliest_start(moments: Any, owners: Any, chosen: Any, rows: int) -> Any:
    known = chosen & moments.notna().to_numpy()
    first = np.full(rows, np.iinfo(np.int64).max)
    np.minimum.at(first, owners[known], moments.to_numpy(dtype="datetime64[us]")[known].astype(np.int64))
    first[first == np.iinfo(np.int64).max] = np.iinfo(np.int64).min
    return pd.DatetimeIndex(first.view("datetime64[us]")).tz_localize("UTC")


def _parameter_columns(trials: Any) -> Any:
    """One `param_<name>` column per swept parameter: numbers where all its values are, else text."""
    settings = [json.loads(text) for text in trials["setting"].cat.categories]
    codes = trials["setting"].cat.codes.to_numpy()
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    columns = {f"param_{valid_text(name)}": _parameter_column([s.get(name) for s in settings], codes) for name in names}
    return pd.DataFrame(columns, index=trials.index)


def _parameter_column(values: list[Any], codes: Any) -> Any:
    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)[codes]
    return pd.array([plain_text(value) for value in values], dtype="string[python]").take(codes)
