"""The columns of `trials` that add up over its exchanges: attempts, tokens, money.

A trial's exchanges are all that were made for its key, journal lines and superseded records
included, so that what was paid for is never lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.typed_columns import Column
from harness.flows.base import TARGET


class TrialExchanges:
    """The exchanges of all trials, to be added up trial by trial: `owners` is each one's row in
    `trials`, -1 for none.

    `own` are those with the target under test, `grading` those of graders, `others` a simulated
    user's.
    """

    def __init__(self, exchanges: Any, owners: Any, trials: int) -> None:
        self.exchanges, self.owners, self.trials = exchanges, owners, trials
        self.own = (owners >= 0) & (exchanges["role"] == TARGET).to_numpy()
        self.grading = (owners >= 0) & exchanges["grading"].to_numpy()
        self.others = (owners >= 0) & ~self.own & ~self.grading
        self.fresh = self.own & ~exchanges["replayed"].to_numpy()

    def total(self, column: str, chosen: Any) -> Any:
        """The sum of a column over the chosen ones of each trial, 0 where there are none and NaN
        where one is unknown."""
        values = self.exchanges[column].to_numpy(dtype=np.float64)[chosen]
        return np.bincount(self.owners[chosen], weights=values, minlength=self.trials).astype(
            np.float64
        )

    def count(self, column: str) -> Any:
        """The sum of an integer column over a trial's own exchanges."""
        return pd.array(self.total(column, self.own).astype(np.int64), dtype="Int64")

    def known_total(self, column: str) -> Any:
        """The sum of what is known over a trial's own exchanges, NaN where nothing is."""
        known = self.own & self.exchanges[column].notna().to_numpy()
        counts = np.bincount(self.owners[known], minlength=self.trials)
        return np.where(counts > 0, self.total(column, known), np.nan)

    def estimate_cost(self) -> Any:
        """About what the exchanges of a trial cost together whose cost is unknown, by estimated
        tokens."""
        cost = self.exchanges["cost"].to_numpy(dtype=np.float64)
        estimated = self.exchanges["estimated_cost"].to_numpy(dtype=np.float64)
        values = np.where(np.isnan(cost), estimated, cost)[self.own]
        sums = np.bincount(self.owners[self.own], weights=values, minlength=self.trials)
        return np.where(np.isnan(self.total("cost", self.own)), sums, np.nan)

    def earliest(self, column: str) -> Any:
        """The first moment among a trial's own exchanges."""
        moments = self.exchanges[column]
        known = self.own & moments.notna().to_numpy()
        first = np.full(self.trials, np.iinfo(np.int64).max)
        np.minimum.at(
            first,
            self.owners[known],
            moments.to_numpy(dtype="datetime64[us]")[known].astype(np.int64),
        )
        first[first == np.iinfo(np.int64).max] = np.iinfo(np.int64).min
        return pd.DatetimeIndex(first.view("datetime64[us]")).tz_localize("UTC")


SPEND: Sequence[Column[TrialExchanges]] = [
    Column(
        "started",
        "time",
        "wall-clock time (UTC) when the first request started",
        lambda sums: sums.earliest("started"),
    ),
    Column(
        "attempts",
        "integer",
        "attempts in all of the trial's exchanges with its target",
        lambda sums: sums.count("attempts"),
    ),
    Column(
        "retries",
        "integer",
        "attempts beyond the first of each exchange",
        lambda sums: sums.count("retries"),
    ),
    Column(
        "waited",
        "float",
        "seconds of backoff before attempts",
        lambda sums: sums.total("waited", sums.own),
    ),
    Column(
        "input_tokens",
        "float",
        "input tokens of all attempts that reported any; null where none did",
        lambda sums: sums.known_total("input_tokens"),
    ),
    Column(
        "output_tokens",
        "float",
        "output tokens of all attempts that reported any; null where none did",
        lambda sums: sums.known_total("output_tokens"),
    ),
    Column(
        "cost",
        "float",
        "US dollars for the answer, a replayed one at its original cost; null where any part is"
        " unknown",
        lambda sums: sums.total("cost", sums.own),
    ),
    Column(
        "estimated_cost",
        "float",
        "US dollars at the target's price for estimated tokens, where `cost` is unknown because"
        " tokens were not reported",
        lambda sums: sums.estimate_cost(),
    ),
    Column(
        "spent",
        "float",
        "US dollars of `cost` newly spent by this run",
        lambda sums: sums.total("cost", sums.fresh),
    ),
    Column(
        "grading_cost",
        "float",
        "US dollars for judges; null where any part is unknown",
        lambda sums: sums.total("cost", sums.grading),
    ),
    Column(
        "user_cost",
        "float",
        "US dollars for a simulated user; null where any part is unknown",
        lambda sums: sums.total("cost", sums.others),
    ),
]
"""Columns of `trials` that add up over `exchanges`; each is read for all trials at once."""
