"""Records become three tidy pandas frames: `trials`, `exchanges` and `grades`.

The columns are declared as lists in `harness.analysis.row_schema`; docs/measures.md prints them. A
trial's row is its last record; what it cost (dollars, tokens, attempts) adds up over every distinct
exchange of every line of its key, journal lines and superseded records included, so that what was
paid for is never lost. Latency columns are of the final exchange with the target, and null where
that has an error or was replayed from another run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from msgspec import Struct

from harness.analysis.row_schema import (
    EXCHANGES,
    GRADES,
    MEASURES,
    TRIALS,
    ExchangeRow,
    JSONTexts,
    RunReader,
    TrialRow,
    exchange_identity,
    plain_text,
)
from harness.analysis.trial_totals import SPEND, TrialExchanges
from harness.analysis.typed_columns import TableBuilder, TextBudget, valid_text
from harness.flows.base import TARGET
from harness.model import Exchange, Manifest, Record
from harness.runs.records import ExchangeLine, Line

ANSWER_LIMIT = 20_000
"""Characters of an answer the frames keep by default; `answer_characters` says how long it was."""
TEXT_LIMIT = 300_000_000
"""Characters of all texts together after which, by default, only the beginning of each is kept."""

IDENTITY = ("run", "eval", "case", "configuration", "repeat")
"""Columns that `exchanges` and `grades` repeat from `trials`."""


class Frames(Struct, frozen=True):
    """The three frames; `trial` in `exchanges` and `grades` is the row number in `trials`.

    `settings`, `tags` and `flags` are the values that stand as JSON text in these columns of
    `trials`, by that text. `shortened` is how many texts were cut because there were too many
    characters in all.
    """

    trials: Any
    exchanges: Any
    grades: Any
    settings: Mapping[str, Mapping[str, Any]]
    tags: Mapping[str, Sequence[str]]
    flags: Mapping[str, Sequence[str]]
    shortened: int = 0


def build_frames(
    runs: Iterable[tuple[Manifest, Iterable[Line]]], *, answer_limit: int | None = ANSWER_LIMIT
) -> Frames:
    """The frames of one or more runs, from their manifests and the lines of their records, read
    once and in order.

    Takes about 1 KB a trial beside the texts. Each answer is cut at `answer_limit` characters, and
    all that comes after `TEXT_LIMIT` of them much shorter; None keeps everything.
    """
    builder = _FrameBuilder(answer_limit)
    for manifest, lines in runs:
        builder.add_run(manifest, lines)
    return builder.build_frames()


class _FrameBuilder:
    """Fills the three tables; a key's later record takes the place of its earlier one.

    Keys of trials are numbered as they come, and so are the rows of each table: the arrays tie one
    to the other.
    """

    def __init__(self, answer_limit: int | None) -> None:
        self.settings, self.tags, self.flags = JSONTexts(), JSONTexts(), JSONTexts()
        self.budget = None if answer_limit is None else TextBudget(TEXT_LIMIT)
        self.trials = TableBuilder(TRIALS, answer_limit, self.budget)
        self.grades = TableBuilder(GRADES, answer_limit, self.budget)
        self.exchanges, self.measures = TableBuilder(EXCHANGES), TableBuilder(MEASURES)
        self.row_of_key = array("q")
        self.key_of_exchange = array("q")
        self.row_of_grade = array("q")
        self.grade_of_exchange = array("q")
        self.last_exchange = array("q")

    def add_run(self, manifest: Manifest, lines: Iterable[Line]) -> None:
        run = RunReader(manifest, self.settings, self.tags, self.flags)
        for line in lines:
            if isinstance(line, Record):
                self._add_record(run, line)
            elif isinstance(line, ExchangeLine):
                self._add_exchange(run, self._key_number(run, line.key), line, line.exchange)

    def _add_record(self, run: RunReader, record: Record) -> None:
        number = self._key_number(run, record.key)
        row = self.row_of_key[number] = self.trials.append_row(TrialRow(run, record))
        last = -1
        for exchange in record.exchanges:
            place = self._add_exchange(run, number, record, exchange)
            last = place if exchange.role == TARGET else last
        self.last_exchange.append(last)
        for grade in record.grades:
            self.row_of_grade.append(row)
            grade_row = self.grades.append_row(grade)
            for exchange in grade.exchanges:
                place = self._add_exchange(run, number, record, exchange)
                self.grade_of_exchange[place] = grade_row

    def _add_exchange(
        self, run: RunReader, number: int, line: Record | ExchangeLine, exchange: Exchange
    ) -> int:
        """The row of the exchange, which is added where it has not been read before; `number` is
        that of the line's key."""
        identity = exchange_identity(line.key, exchange)
        place = run.row_of_exchange.get(identity)
        if place is None:
            self.key_of_exchange.append(number)
            self.grade_of_exchange.append(-1)
            row = ExchangeRow(run, line.session, exchange)
            place = run.row_of_exchange[identity] = self.exchanges.append_row(row)
            self.measures.append_row(row.timing)
        return place

    def _key_number(self, run: RunReader, key: str) -> int:
        number = run.number_of_key.get(key)
        if number is None:
            number = run.number_of_key[key] = len(self.row_of_key)
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
        exchanges = _with_identity(
            self.exchanges.build_frame().join(self.measures.build_frame()), owners, trials
        )
        grade_owners = renumbered[np.array(self.row_of_grade, dtype=np.int64)]
        grades = _with_identity(self.grades.build_frame(), grade_owners, trials)
        exchanges["grader"] = grades["name"].array.take(
            np.array(self.grade_of_exchange, dtype=np.int64), allow_fill=True
        )
        grades = (
            grades
            if (grade_owners >= 0).all()
            else grades[grade_owners >= 0].reset_index(drop=True)
        )
        measured = _measure_columns(
            exchanges, np.array(self.last_exchange, dtype=np.int64)[kept], trials
        )
        sums = TrialExchanges(exchanges, owners, len(trials))
        spend = pd.DataFrame({column.name: column.value_of(sums) for column in SPEND})
        settings = {
            text: dict(sorted(point.items())) for text, point in self.settings.objects.items()
        }
        trials = pd.concat([trials, measured, spend, _parameter_columns(trials, settings)], axis=1)
        return Frames(
            trials,
            exchanges,
            grades,
            settings=settings,
            tags=self.tags.objects,
            flags=self.flags.objects,
            shortened=self.budget.cut if self.budget else 0,
        )


def _with_identity(frame: Any, owners: Any, trials: Any) -> Any:
    """`frame` with the row number of each row's trial and that trial's identity; unknown where
    there is no record."""
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


def _parameter_columns(trials: Any, by_text: Mapping[str, Mapping[str, Any]]) -> Any:
    """One `param_<name>` column per swept parameter: numbers where all its
    values are, else text."""
    settings = [by_text[text] for text in trials["setting"].cat.categories]
    codes = trials["setting"].cat.codes.to_numpy()
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    columns = {
        f"param_{valid_text(name)}": _parameter_column([s.get(name) for s in settings], codes)
        for name in names
    }
    return pd.DataFrame(columns, index=trials.index)


def _parameter_column(values: list[Any], codes: Any) -> Any:
    if all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        for value in values
    ):
        return np.array(
            [np.nan if value is None else float(value) for value in values], dtype=np.float64
        )[codes]
    return pd.array([plain_text(value) for value in values], dtype="string[python]").take(codes)
