"""Choosing rows of the trials frame and turning them into estimates: what tables and gates both do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from harness.analysis import stats
from harness.analysis.columns import valid_text
from harness.analysis.stats import Estimate

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

Measure = Callable[[Any, Any, str | None], Estimate]
"""(rows, their clusters, statistic) -> Estimate; one without a value says why in `method`."""


def case_clusters(trials: Any) -> Any:
    """An integer for each row, equal where the case is."""
    return trials.groupby(["eval", "case"], observed=True, sort=False).ngroup().to_numpy()


def matching(trials: Any, wanted: Mapping[str, str | float]) -> tuple[Any, str]:
    """The rows a slice names, and what is wrong with the slice (empty where nothing is): a slice never selects by accident.

    Keys are `tag`, `target`, `prompt`, `eval`, `case` or the name of a swept parameter.
    """
    for key, value in wanted.items():
        values, chosen = _values(trials, key, value)
        if values is None:
            return trials.iloc[
                :0
            ], f"nothing is called {key!r}: a slice takes tag, target, prompt, eval, case or a swept parameter"
        if not chosen.any():
            have = ", ".join(sorted(values)[:8]) or "none"
            return trials.iloc[:0], f"no trial has {key} {value!r} (there is {have})"
        trials = trials[chosen]
    return trials, "" if len(trials) else "there are no trials"


def _values(trials: Any, key: str, value: str | float) -> tuple[set[str] | None, Any]:
    if key == "tag":
        return _tags(trials, str(value))
    if key in {"target", "prompt", "eval", "case"}:
        return set(trials[key].dropna().unique()), (trials[key] == str(value)).to_numpy()
    column = f"param_{valid_text(key)}"
    if column not in trials:
        return None, None
    known = trials[column].dropna().unique()
    if trials[column].dtype == np.float64:
        return {f"{number:g}" for number in known}, trials[column].to_numpy() == _as_number(value)
    return set(known), (trials[column] == str(value)).fillna(False).to_numpy(dtype=bool)


def _tags(trials: Any, tag: str) -> tuple[set[str], Any]:
    lists = [json.loads(text) for text in trials["tags"].cat.categories]
    has = np.array([tag in tags for tags in lists], dtype=bool)
    codes = trials["tags"].cat.codes.to_numpy()
    return {name for index in np.unique(codes) for name in lists[index]}, has[codes]


def _as_number(value: str | float) -> float:
    try:
        return float(value)
    except ValueError:
        return float("nan")


def pass_rate(rows: Any, clusters: Any, _stat: str | None = None) -> Estimate:
    """Passed / (passed + failed): errors, ungraded trials and those without a verdict are counted apart."""
    judged = rows["passed"].notna().to_numpy()
    if not judged.any():
        return Estimate(None, method="no trial has a verdict: all broke, are ungraded, or nothing in them can fail")
    return stats.rate(rows["passed"].to_numpy(dtype=bool, na_value=False)[judged], clusters[judged])


def score(rows: Any, clusters: Any, stat: str | None = None) -> Estimate:
    """The mean score (or another statistic of it) over trials that have one."""
    return _values_of("score", "no trial has a score", bounded=True)(rows, clusters, stat)


def errors(rows: Any, _clusters: Any, _stat: str | None = None) -> Estimate:
    """How many trials broke."""
    return Estimate(float((rows["outcome"] == "error").sum()), n=len(rows), method="count")


def error_rate(rows: Any, clusters: Any, _stat: str | None = None) -> Estimate:
    """The share of recorded trials that broke."""
    return stats.rate((rows["outcome"] == "error").to_numpy(), clusters)


def ungraded(rows: Any, _clusters: Any, _stat: str | None = None) -> Estimate:
    """How many answers a grader could not judge."""
    return Estimate(float((rows["outcome"] == "ungraded").sum()), n=len(rows), method="count")


def cost(rows: Any, _clusters: Any, _stat: str | None = None) -> Estimate:
    """Dollars for all answers; unknown as soon as one trial that was answered has no known cost."""
    missing = rows["cost"].isna()
    answered = int((missing & (rows["outcome"] != "error")).sum())
    if answered:
        return Estimate(None, method=f"{answered:,} answered trials have no known cost: give their targets a price")
    note = f", without {int(missing.sum()):,} broken trials of unknown cost" if missing.any() else ""
    return Estimate(float(rows["cost"].sum()), n=int((~missing).sum()), method=f"sum{note}")


def summary(values: Any, clusters: Any, stat: str | None, *, bounded: bool = False) -> Estimate:
    """One statistic of values: a percentile, `max`, or the mean (also where none is named)."""
    if stat in PERCENTILES:
        return stats.percentile(values, clusters, PERCENTILES[stat])
    if stat == "max":
        return Estimate(float(np.max(values)), n=len(values), method="largest") if len(values) else stats.NOTHING
    return stats.mean(values, clusters, bounded=bounded)


def _values_of(column: str, nothing: str, *, bounded: bool = False) -> Measure:
    def measure(rows: Any, clusters: Any, stat: str | None = None) -> Estimate:
        values = rows[column].to_numpy(dtype=np.float64)
        there = np.isfinite(values)
        if not there.any():
            return Estimate(None, method=nothing)
        return summary(values[there], clusters[there], stat, bounded=bounded)

    return measure


_NO_LATENCY = "no trial has one: errored and replayed trials are left out"

MEASURES: Mapping[str, Measure] = {
    "pass_rate": pass_rate,
    "score": score,
    "errors": errors,
    "error_rate": error_rate,
    "ungraded": ungraded,
    "cost": cost,
    "cost_per_request": _values_of("cost", "no trial has a known cost: give the targets a price"),
    "latency": _values_of("latency", _NO_LATENCY),
    "ttft": _values_of("ttft", f"{_NO_LATENCY}, and only streamed ones have a first token"),
    "tpot": _values_of("tpot", f"{_NO_LATENCY}, and two reported output tokens are needed"),
    "output_tokens_per_s": _values_of("output_tokens_per_s", _NO_LATENCY),
    "input_tokens": _values_of("input_tokens", "no trial has a token count"),
    "output_tokens": _values_of("output_tokens", "no trial has a token count"),
}
"""Every measure of a set of trials, by the name gates use."""
