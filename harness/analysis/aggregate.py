"""Choosing trials and turning them into estimates: what tables and gates both do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import Any

import numpy as np
from msgspec import Struct

from harness.analysis import formatting, stats
from harness.analysis.case_table import OUTCOMES
from harness.analysis.row_schema import plain_text
from harness.analysis.stats import Estimate
from harness.analysis.typed_columns import valid_text
from harness.metrics.table import (
    METRICS,
    PERCENTILES,
    Count,
    Distribution,
    Mean,
    Metric,
    Rate,
    Ratio,
    Sum,
)
from harness.wording import pluralize

NUMBERS = tuple(
    dict.fromkeys(column for metric in METRICS.values() for column in metric.aggregate.columns)
)
"""The columns of `trials` that the metrics add up."""

SliceValue = str | float | int | bool


class TrialSelection(Struct, frozen=True):
    """Some trials, as numpy columns that are cut only when asked for: selecting a million times
    must be cheap.

    Columns are the `NUMBERS` (NaN where unknown), a flag for each outcome, `cluster`, an integer
    for each case, and `started`, when the trial was (integers that order it in time).
    """

    columns: Mapping[str, Any]
    index: Any

    @classmethod
    def from_frame(cls, trials: Any) -> TrialSelection:
        """All rows of a trials frame."""
        numbers = {name: trials[name].to_numpy(dtype=np.float64) for name in NUMBERS}
        outcomes = {
            outcome: (trials["outcome"] == outcome).to_numpy() for outcome in OUTCOMES.values()
        }
        cluster = trials.groupby(["eval", "case"], observed=True, sort=False).ngroup().to_numpy()
        started = trials["started"].to_numpy(dtype="datetime64[us]").astype(np.int64)
        others = {"cluster": cluster, "started": started}
        return cls({**numbers, **outcomes, **others}, np.arange(len(trials)))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, name: str) -> Any:
        return self.columns[name][self.index]

    def take(self, positions: Any) -> TrialSelection:
        """The rows at these positions (or where this mask is true)."""
        return TrialSelection(self.columns, self.index[positions])


def match_slice(
    trials: Any, wanted: Mapping[str, SliceValue], tags: Mapping[str, Sequence[str]]
) -> tuple[Any, str]:
    """The positions of the rows a slice names, and what is wrong with the slice (empty where
    nothing is).

    Keys are `tag`, `target`, `prompt`, `eval`, `case` or the name of a swept parameter; `tags` are
    those that a text of the column `tags` stands for. A slice never selects by accident.
    """
    chosen = np.arange(len(trials))
    for key, value in wanted.items():
        values, has = (
            _match_tag(trials, str(value), tags) if key == "tag" else _match_key(trials, key, value)
        )
        if values is None:
            return (
                chosen[:0],
                (f"no slice by {key!r}: use tag, target, prompt, eval, case or a swept parameter"),
            )
        chosen = chosen[has[chosen]]
        if not len(chosen):
            there = ", ".join(sorted(values)[:8]) or "none"
            return chosen, f"no trial of the slice has {key} {value!r} (the run has {there})"
    return chosen, "" if len(chosen) else "there are no trials"


def _match_key(trials: Any, key: str, value: SliceValue) -> tuple[set[str] | None, Any]:
    if key in {"target", "prompt", "eval", "case"}:
        return set(trials[key].dropna().unique()), (trials[key] == str(value)).to_numpy()
    column = f"param_{valid_text(key)}"
    if column not in trials:
        return None, None
    known = trials[column].dropna().unique()
    if trials[column].dtype == np.float64:
        return {f"{number:g}" for number in known}, trials[column].to_numpy() == _as_number(value)
    return set(known), (trials[column] == _as_text(value)).fillna(False).to_numpy(dtype=bool)


def _match_tag(
    trials: Any, tag: str, tags_of: Mapping[str, Sequence[str]]
) -> tuple[set[str] | None, Any]:
    lists = [tags_of[text] for text in trials["tags"].cat.categories]
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


def estimate_metric(metric: Metric, rows: TrialSelection, statistic: str | None = None) -> Estimate:
    """The metric's figure for these trials; one without a value says why in `method`."""
    found = _ESTIMATORS[type(metric.aggregate)](metric.aggregate, rows, statistic)
    return Estimate(None, method=metric.absent) if found is stats.NOTHING else found


def select_rated(rate: Rate, rows: TrialSelection) -> TrialSelection:
    """The trials a rate is the share of."""
    if not rate.among:
        return rows
    return rows.take(np.logical_or.reduce([rows[outcome] for outcome in rate.among]))


def _estimate_rate(rate: Rate, rows: TrialSelection, _statistic: str | None) -> Estimate:
    rated = select_rated(rate, rows)
    return stats.estimate_rate(rated[rate.outcome], rated["cluster"])


def _count_trials(count: Count, rows: TrialSelection, _statistic: str | None) -> Estimate:
    number = len(rows) if count.outcome is None else rows[count.outcome].sum()
    return Estimate(float(number), n=len(rows), method="count")


def _estimate_mean(mean: Mean, rows: TrialSelection, _statistic: str | None) -> Estimate:
    known = _known_rows(mean, rows)
    return stats.estimate_mean(known[mean.columns[0]], known["cluster"], bounded=mean.bounded)


def _estimate_distribution(
    distribution: Distribution, rows: TrialSelection, statistic: str | None
) -> Estimate:
    known = _known_rows(distribution, rows)
    values, clusters = known[distribution.columns[0]], known["cluster"]
    if (share := PERCENTILES.get(statistic or "")) is not None:
        return stats.estimate_percentile(values, clusters, share, started=known["started"])
    if statistic == "max":
        return (
            Estimate(float(np.max(values)), n=len(values), method="largest")
            if len(values)
            else stats.NOTHING
        )
    return stats.estimate_mean(values, clusters)


def _known_rows(aggregate: Mean | Distribution, rows: TrialSelection) -> TrialSelection:
    """The trials that have a value in the one column."""
    (column,) = aggregate.columns
    known = rows.take(np.isfinite(rows[column]))
    answered_only = isinstance(aggregate, Mean) and aggregate.answered
    return known.take(~known["error"]) if answered_only else known


def _sum_columns(total: Sum, rows: TrialSelection, statistic: str | None) -> Estimate:
    values = sum(rows[column] for column in total.columns)
    missing = np.isnan(values)
    answered = int((missing & ~rows["error"]).sum())
    if total.complete and statistic != "known" and answered:
        unknown = f"{pluralize(answered, 'answered trial', 'has')} no known {total.columns[0]}"
        return Estimate(None, method=f"{unknown}: {_why_unknown(rows, missing & ~rows['error'])}")
    if missing.all():
        return stats.NOTHING
    broken = (
        f", without {pluralize(int(missing.sum()), 'failed trial')} of unknown {total.columns[0]}"
    )
    note = broken if total.complete and missing.any() else ""
    return Estimate(fsum(values[~missing]), n=int((~missing).sum()), method=f"sum{note}")


def _why_unknown(rows: TrialSelection, missing: Any) -> str:
    """Why the cost of these trials is not known, and about what it is: one with a price has an
    estimate."""
    estimates = rows["estimated_cost"][missing]
    if np.isnan(estimates).any():
        return "give their targets a price"
    about = formatting.format_dollars(fsum(estimates))
    return f"their servers did not report tokens (≈ {about} from estimated tokens)"


def _ratio_of_sums(ratio: Ratio, rows: TrialSelection, _statistic: str | None) -> Estimate:
    rows = rows.take(~rows["error"]) if ratio.answered else rows
    above, *others = (rows[column] for column in ratio.columns)
    below = sum(others) if others else np.ones(len(rows))
    known = np.isfinite(above) & np.isfinite(below)
    total = float(below[known].sum())
    if not total:
        return stats.NOTHING
    return Estimate(
        fsum(above[known]) / total * ratio.scale, n=int(known.sum()), method="ratio of sums"
    )


_ESTIMATORS: Mapping[type, Callable[[Any, TrialSelection, str | None], Estimate]] = {
    Rate: _estimate_rate,
    Count: _count_trials,
    Mean: _estimate_mean,
    Distribution: _estimate_distribution,
    Sum: _sum_columns,
    Ratio: _ratio_of_sums,
}
