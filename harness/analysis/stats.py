"""Estimates with intervals: pure functions from numbers to an `Estimate` (docs/statistics.md has
the formulas and sources).

Cases are the unit: wherever a case was asked more than once, its repeats are one cluster and not so
many independent observations. `clusters` is an array of integers, equal for the observations of one
case. An interval that cannot be had from the data is None, and `method` says why; nothing is ever
made up.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from math import ceil, exp, fsum, isfinite, log, sqrt
from typing import Any

import numpy as np
from msgspec import Struct
from scipy.special import (
    bdtr,
    ndtri,
    stdtrit,
)  # scipy.stats has the same, and takes a second to import

CONFIDENCE = 0.95
Z = float(ndtri(0.5 + CONFIDENCE / 2))
"""Standard errors from an estimate to an end of its interval."""

CASES_FOR_A_MEAN = 50
"""Below so many cases the interval of a skewed mean is rough: a rare slow mode may not have been
seen."""

BLOCKS = 10
"""Consecutive blocks that tell how alike neighbours in time are."""
ANSWERS_FOR_BLOCKS = 2 * BLOCKS
"""Below so many answers their blocks tell nothing."""

_LARGEST_EXPONENT = 700.0


class Estimate(Struct, frozen=True):
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
    effective sample size (Korn and Graubard 1998; Dean and Pagano 2015)."""
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
    """The mean, with an interval from the cluster-robust standard error and cases − 1 degrees of
    freedom.

    `bounded` says the values are in 0..1: then it is Wilson's, since no such variable has more
    variance than a Bernoulli variable of the same mean. Else they are taken to be positive and
    skewed, as times and costs are; what is neither gets the t interval.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n == 0:
        return NOTHING
    # Exactly rounded, so that a hundred times $0.001 are no more than $0.001 each.
    value, groups = fsum(values) / n, count_distinct(clusters)
    if groups == 1:
        return Estimate(value, None, None, n, "no interval: one case only")
    error = clustered_error(values, clusters)
    t = float(stdtrit(groups - 1, 0.5 + confidence / 2))
    if bounded and values.min() >= 0 and values.max() <= 1:
        z = float(ndtri(0.5 + confidence / 2))
        known = value * (1 - value) * (z / (t * error)) ** 2 if error > 1e-12 else groups
        size = max(1.0, known)
        limits = wilson_interval(value * size, size, confidence)
        return Estimate(value, *limits, n, "Wilson, clustered by case")
    if bounded or value <= 0 or values.min() < 0:
        return Estimate(value, value - t * error, value + t * error, n, "t, clustered by case")
    rough = f", rough below {CASES_FOR_A_MEAN} cases" if groups < CASES_FOR_A_MEAN else ""
    return Estimate(
        value,
        *_positive_interval(values, clusters, t, error),
        n,
        f"log t and Cox, clustered by case{rough}",
    )


def _positive_interval(
    values: Any, clusters: Any, t: float, error: float
) -> tuple[float | None, float | None]:
    """The wider of two intervals of a positive mean, end by end: x̄ · exp(± t · SE / x̄), and Cox's
    for a lognormal, exp(ȳ + s²/2 ± t √(s²/G + s⁴/2(G − 1))) with y the logarithms of the case means
    (Zhou and Gao 1997).

    An end that is too large for a number is None.
    """
    mean = fsum(values) / len(values)
    middle, halves = log(mean), [(log(mean), t * error / mean)]
    if float(values.min()) > 0:
        _, codes = np.unique(clusters, return_inverse=True)
        logs = np.log(np.bincount(codes, weights=values) / np.bincount(codes))
        groups, spread = len(logs), float(logs.var(ddof=1))
        half = t * sqrt(spread / groups + spread**2 / (2 * (groups - 1)))
        halves.append((float(logs.mean()) + spread / 2, half))
    low = min(middle, *(centre - half for centre, half in halves))
    high = max(middle, *(centre + half for centre, half in halves))
    return exp(low), exp(high) if high < _LARGEST_EXPONENT else None


def estimate_percentile(
    values: Any,
    clusters: Any,
    share: float,
    confidence: float = CONFIDENCE,
    *,
    started: Any = None,
) -> Estimate:
    """The exact percentile (the smallest value with at least `share` of all at or below it) and its
    order-statistic interval.

    Where the two-sided interval has no upper end, a one-sided upper bound is given if there is one,
    with `low` None: so a p99 has neither below n = 299 and no interval below 368. n is reduced to
    the effective size of the indicator "at or below the percentile" (Woodruff 1952): for repeats,
    and, where it is known when each was `started`, for what follows one another being alike; the
    smaller counts.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if n == 0:
        return NOTHING
    value = float(ordered[ceil(round(share * n, 9)) - 1])
    below, size = np.asarray(values) <= value, n
    if count_distinct(clusters) < n:
        size = int(effective_size(below, clusters, confidence))
    if started is not None and n >= ANSWERS_FOR_BLOCKS:
        size = min(size, int(serial_size(below[np.argsort(started, kind="stable")], confidence)))
    limits, method = _order_statistic_interval(size, share, confidence)
    method += f"; {n:,} answers count as {size:,} independent ones" if size < n else ""
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
    """How many independent observations a clustered share is worth: between the number of clusters
    and n.

    p(1 − p) / SE² · (z / t)², with the cluster-robust SE and as many degrees of freedom as its
    terms e are worth, (Σe²)² / Σe⁴ − 1, from 1 to G − 1 (Satterthwaite 1946): where one case alone
    differs from the others, it says next to nothing of how cases differ. Where none differs, it is
    G.
    """
    values = np.asarray(values, dtype=np.float64)
    n, share = len(values), float(values.mean())
    squares = _residual_sums(values, clusters) ** 2
    groups, total = len(squares), float(squares.sum())
    if groups == 1:
        return 1.0
    if total < 1e-12:
        return float(groups)
    variance = groups / (groups - 1) * total / n**2
    freedom = min(max(total**2 / float(squares @ squares) - 1, 1.0), groups - 1)
    shrink = _t_shrinkage(freedom, confidence)
    return min(float(n), max(float(groups), share * (1 - share) / variance * shrink))


def serial_size(hits: Any, confidence: float = CONFIDENCE) -> float:
    """How many independent observations a share is worth whose neighbours in time may be alike:
    between 1 and n.

    Batch means (Law and Carson 1979): the variance of the mean, from the means of `BLOCKS`
    consecutive blocks.
    """
    hits = np.asarray(hits, dtype=np.float64)
    share = float(hits.mean())
    means = np.array([block.mean() for block in np.array_split(hits, BLOCKS)])
    variance = float(means.var(ddof=1)) / BLOCKS
    if variance < 1e-12:
        return float(len(hits))
    size = share * (1 - share) / variance * _t_shrinkage(BLOCKS - 1, confidence)
    return min(float(len(hits)), max(1.0, size))


def rate_limits(cases: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The highest lower bound and the lowest upper bound of a rate that so many cases can show,
    however often each was asked."""
    return (
        wilson_interval(cases, cases, confidence)[0],
        wilson_interval(0, cases, confidence)[1],
    )


def _t_shrinkage(freedom: float, confidence: float) -> float:
    """(z / t)², by which an effective size shrinks for so few degrees of freedom."""
    return float(ndtri(0.5 + confidence / 2) / stdtrit(freedom, 0.5 + confidence / 2)) ** 2


def _residual_sums(values: Any, clusters: Any) -> Any:
    """Σ_i (x_gi − x̄) of each cluster g."""
    _, codes = np.unique(clusters, return_inverse=True)
    return np.bincount(codes, weights=values - values.mean())


def clustered_error(values: Any, clusters: Any) -> float:
    """The cluster-robust standard error of the mean: √(G/(G−1) Σ_g (Σ_i (x_gi − x̄))²) / n (Cameron
    and Miller 2015, §II.A).

    G = 1 has none: NaN. With one observation a cluster it is s/√n.
    """
    values = np.asarray(values, dtype=np.float64)
    sums = _residual_sums(values, clusters)
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
    """Whether a figure exists and is finite."""
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
