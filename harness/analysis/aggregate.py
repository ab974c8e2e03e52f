"""Choosing trials and turning them into estimates: what tables and gates both do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.case_table import OUTCOMES
from harness.analysis.row_schema import plain_text
from harness.analysis.stats import Estimate
from harness.analysis.typed_columns import valid_text

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

NUMBERS = ("score", "cost", "latency", "ttft", "tpot", "output_tokens_per_s", "input_tokens", "output_tokens")

SliceValue = str | float | int | bool


@dataclass(frozen=True, slots=True)
class TrialSelection:
    """Some trials, as numpy columns that are cut only when asked for: selecting a million times must be cheap.

    Columns are the `NUMBERS` (NaN where unknown), a flag for each outcome, and `cluster`, an integer for each case.
    """

    columns: Mapping[str, Any]
    index: Any

    @classmethod
    def from_frame(cls, trials: Any) -> TrialSelection:
        """All rows of a trials frame."""
        numbers = {name: trials[name].to_numpy(dtype=np.float64) for name in NUMBERS}
        outcomes = {outcome: (trials["outcome"] == outcome).to_numpy() for outcome in OUTCOMES.values()}
        cluster = trials.groupby(["eval", "case"], observed=True, sort=False).ngroup().to_numpy()
        return cls({**numbers, **outcomes, "cluster": cluster}, np.arange(len(trials)))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, name: str) -> Any:
        return self.columns[name][self.index]

    def take(self, positions: Any) -> TrialSelection:
        """The rows at these positions (or where this mask is true)."""
        return TrialSelection(self.columns, self.index[positions])


Measure = Callable[[TrialSelection, str | None], Estimate]
"""(rows, statistic) -> Estimate; one without a value says why in `method`."""


def match_slice(trials: Any, wanted: Mapping[str, SliceValue]) -> tuple[Any, str]:
    """The positions of the rows a slice names, and what is wrong with the slice (empty where nothing is).

    Keys are `tag`, `target`, `prompt`, `eval`, `case` or the name of a swept parameter. A slice never selects by accident.
    """
    chosen = np.arange(len(trials))
    for key, value in wanted.items():
        values, has = _match_key(trials, key, value)
        if values is None:
            return chosen[:0], f"nothing is called {key!r}: a slice takes tag, target, prompt, eval, case or a swept parameter"
        chosen = chosen[has[chosen]]
        if not len(chosen):
            there = ", ".join(sorted(values)[:8]) or "none"
            return chosen, f"no trial of the slice has {key} {value!r} (the run has {there})"
    return chosen, "" if len(chosen) else "there are no trials"


def _match_key(trials: Any, key: str, value: SliceValue) -> tuple[set[str] | None, Any]:
    if key == "tag":
        return _match_tag(trials, str(value))
    if key in {"target", "prompt", "eval", "case"}:
        return set(trials[key].dropna().unique()), (trials[key] == str(value)).to_numpy()
    column = f"param_{valid_text(key)}"
    if column not in trials:
        return None, None
    known = trials[column].dropna().unique()
    if trials[column].dtype == np.float64:
        return {f"{number:g}" for number in known}, trials[column].to_numpy() == _as_number(value)
    return set(known), (trials[column] == _as_text(value)).fillna(False).to_numpy(dtype=bool)


def _match_tag(trials: Any, tag: str) -> tuple[set[str], Any]:
    lists = [json.loads(text) for text in trials["tags"].cat.categories]
    has = np.array([tag in tags for tags in lists], dtype=bool)
    codes = trials["tags"].cat.codes.to_numpy()
    return {name for index in np.unique(codes) for name in lists[index]}, has[codes]


def _as_number(value: SliceValue) -> float:
    """The number meant, NaN (equal to nothing) where none is."""
    try:
        return float("nan") if isinstance(value, bool) else float(value)
    except ValueError:
        return float("nan")


def _as_text(value: SliceValue) -> str:
    """As the frame's text columns write it."""
    return f"{value:g}" if isinstance(value, float) else plain_text(value) or ""


def pass_rate(rows: TrialSelection, _stat: str | None = None) -> Estimate:
    """Passed / (passed + failed): errors, ungraded trials and those without a verdict are counted apart."""
    judged = rows.take(rows["pass"] | rows["fail"])
    if not len(judged):
        return Estimate(None, method="no trial has a verdict: all broke, are ungraded, or nothing in them can fail")
    return stats.estimate_rate(judged["pass"], judged["cluster"])


def error_rate(rows: TrialSelection, _stat: str | None = None) -> Estimate:
    """The share of recorded trials that broke."""
    return stats.estimate_rate(rows["error"], rows["cluster"])


def total_cost(rows: TrialSelection, _stat: str | None = None) -> Estimate:
    """Dollars for all answers; unknown as soon as one trial that was answered has no known cost."""
    missing = np.isnan(rows["cost"])
    answered = int((missing & ~rows["error"]).sum())
    if answered:
        return Estimate(None, method=f"{answered:,} answered trials have no known cost: give their targets a price")
    note = f", without {int(missing.sum()):,} broken trials of unknown cost" if missing.any() else ""
    return Estimate(fsum(rows["cost"][~missing]), n=int((~missing).sum()), method=f"sum{note}")


def _count_outcome(outcome: str) -> Measure:
    def measure(rows: TrialSelection, _stat: str | None = None) -> Estimate:
        return Estimate(float(rows[outcome].sum()), n=len(rows), method="count")

    return measure


def estimate_statistic(values: Any, clusters: Any, stat: str | None, *, bounded: bool = False) -> Estimate:
    """One statistic of values: a percentile, `max`, or the mean (also where none is named)."""
    if stat in PERCENTILES:
        return stats.estimate_percentile(values, clusters, PERCENTILES[stat])
    if stat == "max":
        return Estimate(float(np.max(values)), n=len(values), method="largest") if len(values) else stats.NOTHING
    return stats.estimate_mean(values, clusters, bounded=bounded)


def _statistic_of_column(column: str, nothing: str, *, bounded: bool = False) -> Measure:
    def measure(rows: TrialSelection, stat: str | None = None) -> Estimate:
        values = rows[column]
        there = np.isfinite(values)
        if not there.any():
            return Estimate(None, method=nothing)
        return estimate_statistic(values[there], rows["cluster"][there], stat, bounded=bounded)

    return measure


def _sum_tokens(*columns: str) -> Measure:
    def measure(rows: TrialSelection, _stat: str | None = None) -> Estimate:
        """The sum over all trials whose counts are known."""
        counts = sum(rows[column] for column in columns)
        there = np.isfinite(counts)
        if not there.any():
            return Estimate(None, method="no trial has a token count")
        return Estimate(float(counts[there].sum()), n=int(there.sum()), method="sum")

    return measure


_NO_LATENCY = "no trial has one: errored and replayed trials are left out"

MEASURES: Mapping[str, Measure] = {
    "pass_rate": pass_rate,
    "score": _statistic_of_column("score", "no trial has a score", bounded=True),
    "errors": _count_outcome("error"),
    "error_rate": error_rate,
    "ungraded": _count_outcome("ungraded"),
    "cost": total_cost,
    "cost_per_request": _statistic_of_column("cost", "no trial has a known cost: give the targets a price"),
    "latency": _statistic_of_column("latency", _NO_LATENCY),
    "ttft": _statistic_of_column("ttft", f"{_NO_LATENCY}, and only streamed ones have a first token"),
    "tpot": _statistic_of_column("tpot", f"{_NO_LATENCY}, and two reported output tokens are needed"),
    "output_tokens_per_s": _statistic_of_column("output_tokens_per_s", _NO_LATENCY),
    "tokens": _sum_tokens("input_tokens", "output_tokens"),
    "input_tokens": _sum_tokens("input_tokens"),
    "output_tokens": _sum_tokens("output_tokens"),
}
"""Every measure of a set of trials, by the name gates use."""
