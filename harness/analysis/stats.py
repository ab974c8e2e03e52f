"""Estimates with intervals: pure functions from numbers to an `Estimate` (docs/statistics.md has
the formulas and sources).

Cases are the unit: wherever a case was asked more than once, its repeats are one cluster and not so
many independent observations. `clusters` is an array of integers, equal for the observations of one
case. An interval that cannot be had from the data is None, and `method` says why; nothing is ever
made up.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isfinite, log, sqrt
from typing import Any

import numpy as np
from scipy.special import (
    bdtr,
    ndtri,
    stdtrit,
)  # scipy.stats has the same, and takes a second to import

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its interval, the number of observations `n` it rests on, and how the interval was
    made."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    method: str = ""


NOTHING = Estimate(None, method="nothing observed")


def wilson_interval(
    successes: float, n: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927; Newcombe 1998, method 3). `n` > 0 need
    not be whole."""
    z = float(ndtri(0.5 + confidence / 2))
    rate = successes / n
    centre = rate + z * z / (2 * n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def estimate_rate(hits: Any, clusters: Any, confidence: float = CONFIDENCE) -> Estimate:
    """The share of true `hits`: Wilson where every case was asked once, else Wilson at the
    effective sample size.

    The effective size is p(1 − p) / SE², with the cluster-robust SE, times (z / t)² for its G − 1
    degrees of freedom, at most n (Korn and Graubard 1998; Dean and Pagano 2015). Where all cases
    agree there is no SE, and n is the number of cases.
    """
    values = np.asarray(hits, dtype=np.float64)
    n = len(values)
    if n == 0:
        return NOTHING
    value, groups = float(values.mean()), count_distinct(clusters)
    if groups == n:
        return Estimate(value, *wilson_interval(value * n, n, confidence), n, "Wilson")
    if groups == 1:
        return Estimate(value, None, None, n, "no interval: one case only")
    effective = effective_size(values, clusters, confidence)
    return Estimate(
        value,
        *wilson_interval(value * effective, effective, confidence),
        n,
        "Wilson, clustered by case",
    )


def estimate_mean(
    values: Any, clusters: Any, confidence: float = CONFIDENCE, *, bounded: bool = False
) -> Estimate:
    """The mean, ± t × the cluster-robust standard error, with cases − 1 degrees of freedom.

    For equal repeats that is the t interval of the case means. `bounded` says the values are in
    0..1: the interval is cut there, and where all cases agree (SE 0) it is Wilson's on the number
    of cases, which no bounded variable exceeds.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n == 0:
        return NOTHING
    value, groups = float(values.mean()), count_distinct(clusters)
    if groups == 1:
        return Estimate(value, None, None, n, "no interval: one case only")
    error = clustered_error(values, clusters)
    if error < 1e-12 and bounded:
        return Estimate(
            value,
            *wilson_interval(value * groups, groups, confidence),
            n,
            "Wilson (all cases agree)",
        )
    half = float(stdtrit(groups - 1, 0.5 + confidence / 2)) * error
    low, high = value - half, value + half
    limits = (max(0.0, low), min(1.0, high)) if bounded else (low, high)
    return Estimate(value, *limits, n, "t, clustered by case")


def estimate_percentile(
    values: Any, clusters: Any, share: float, confidence: float = CONFIDENCE
) -> Estimate:
    """The exact percentile (the smallest value with at least `share` of all at or below it) and its
    order-statistic interval.

    Where the two-sided interval has no upper end, a one-sided upper bound is given if there is one,
    with `low` None: so a p99 has neither below n = 299 and no interval below 368. Repeats reduce n
    to the effective size of the indicator "at or below the percentile" (Woodruff 1952).
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if n == 0:
        return NOTHING
    value = float(ordered[ceil(round(share * n, 9)) - 1])
    size = n
    if count_distinct(clusters) < n:
        size = int(effective_size(np.asarray(values) <= value, clusters, confidence))
    limits, method = _order_statistic_interval(size, share, confidence)
    low, high = (
        None if rank is None else float(ordered[_scale_rank(rank, size, n)]) for rank in limits
    )
    return Estimate(value, low, high, n, method)


@lru_cache(maxsize=4096)
def order_ranks(
    n: int, share: float, confidence: float = CONFIDENCE
) -> tuple[int | None, int | None]:
    """The ranks (from 1) of the order statistics that enclose a percentile with at least
    `confidence`, equal-tailed.

    Low is the largest r with P(B < r) ≤ α/2, high the smallest s with P(B ≥ s) ≤ α/2, for B ~
    Binomial(n, share) (David and Nagaraja 2003, §7.1; Hahn and Meeker 1991, §5.2). None where no
    rank does.
    """
    tail = (1 - confidence) / 2
    low = binomial_quantile(tail, n, share)
    low = low if binomial_below(low, n, share) <= tail else low - 1
    high = binomial_quantile(1 - tail, n, share) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def binomial_below(count: int, n: int, share: float) -> float:
    """P(B < count) for B ~ Binomial(n, share)."""
    return float(bdtr(count - 1, n, share)) if count > 0 else 0.0


def binomial_quantile(probability: float, n: int, share: float) -> int:
    """The smallest count with P(B ≤ count) ≥ probability, for B ~ Binomial(n, share)."""
    return bisect_left(range(n), probability, key=lambda count: binomial_below(count + 1, n, share))


def samples_for_upper_bound(
    share: float, confidence: float = CONFIDENCE, *, two_sided: bool = False
) -> int:
    """The smallest n whose largest value bounds the percentile from above: share^n ≤ α (α/2 where
    two-sided)."""
    alpha = (1 - confidence) / (2 if two_sided else 1)
    return ceil(log(alpha) / log(share))


def effective_size(values: Any, clusters: Any, confidence: float = CONFIDENCE) -> float:
    """How many independent observations a clustered share is worth: between 1 and n."""
    values = np.asarray(values, dtype=np.float64)
    n, groups = len(values), count_distinct(clusters)
    share, error = float(values.mean()), clustered_error(values, clusters)
    if groups == 1:
        return 1.0
    if error < 1e-12:
        return float(groups) if share in {0.0, 1.0} else float(n)
    shrink = float(ndtri(0.5 + confidence / 2) / stdtrit(groups - 1, 0.5 + confidence / 2)) ** 2
    return min(float(n), max(1.0, share * (1 - share) / error**2 * shrink))


def clustered_error(values: Any, clusters: Any) -> float:
    """The cluster-robust standard error of the mean: √(G/(G−1) Σ_g (Σ_i (x_gi − x̄))²) / n (Cameron
    and Miller 2015, §II.A).

    G = 1 has none: NaN. With one observation a cluster it is s/√n.
    """
    values = np.asarray(values, dtype=np.float64)
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=values - values.mean())
    groups = len(sums)
    return (
        sqrt(groups / (groups - 1) * float(sums @ sums)) / len(values)
        if groups > 1
        else float("nan")
    )


def count_distinct(values: Any) -> int:
    """How many different values there are: by sorting, five times as fast as `np.unique`, and asked
    of every figure."""
    ordered = np.sort(values)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(1, len(ordered))


def is_finite(value: float | None) -> bool:
    """Whether a figure is there and finite."""
    return value is not None and isfinite(value)


@lru_cache(maxsize=4096)
def _order_statistic_interval(
    n: int, share: float, confidence: float
) -> tuple[tuple[int | None, int | None], str]:
    low, high = order_ranks(n, share, confidence)
    if low is not None and high is not None:
        return (low, high), "order statistics"
    needed = samples_for_upper_bound(share, confidence, two_sided=True)
    one_sided = binomial_quantile(confidence, n, share) + 1 if high is None else n + 1
    if one_sided <= n:
        return (None, one_sided), f"one-sided upper bound: an interval needs n ≥ {needed}"
    needed = max(needed, samples_for_upper_bound(1 - share, confidence, two_sided=True))
    return (None, None), f"no interval: it needs {needed} independent answers"


def _scale_rank(rank: int, size: int, n: int) -> int:
    """The index among n values of a rank among `size` independent ones."""
    return min(n, max(1, ceil(round(rank * n / size, 9)))) - 1
