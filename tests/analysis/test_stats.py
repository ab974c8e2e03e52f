"""Intervals against published values, brute force and scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, t

from harness.analysis import stats
from tests.properties import scale_examples


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_newcombes_method_3(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I."""
    assert stats.wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(observed: tuple[int, int]) -> None:
    expected = binomtest(*observed).proportion_ci(method="wilson")
    assert stats.wilson_interval(*observed) == pytest.approx(
        (expected.low, expected.high), abs=1e-9
    )


@given(st.integers(1, 3_000), st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.95, 0.99]), st.data())
def test_the_binomial_distribution_is_scipys(n: int, share: float, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n + 1))
    assert stats.binomial_below(count, n, share) == pytest.approx(
        binom.cdf(count - 1, n, share), abs=1e-12
    )


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("probability", [0.005, 0.025, 0.05, 0.95, 0.975, 0.995])
def test_the_binomial_quantile_is_scipys(share: float, probability: float) -> None:
    sizes = [*range(1, 500), 1_000, 9_999, 100_000, 1_000_000]
    assert [stats.binomial_quantile(probability, n, share) for n in sizes] == [
        int(binom.ppf(probability, n, share)) for n in sizes
    ]


def test_cases_asked_once_have_a_wilson_interval() -> None:
    estimate = stats.estimate_rate([True] * 15 + [False] * 133, np.arange(148))
    assert (estimate.n, estimate.method) == (148, "Wilson")
    assert (estimate.low, estimate.high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_repeats_that_always_agree_are_worth_one_case_each() -> None:
    """100 cases × 10 identical repeats tell no more than 100 cases: the interval is about that of n
    = 100, not 1,000."""
    hits = np.repeat(np.arange(100) < 70, 10)
    low, high = stats.wilson_interval(70, 100)
    estimate = stats.estimate_rate(hits, np.repeat(np.arange(100), 10))
    assert estimate.n == 1000
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.004)


def test_repeats_that_are_independent_are_worth_nearly_as_much_as_cases() -> None:
    hits = np.random.default_rng(5).random(2000) < 0.7
    assert stats.effective_size(hits, np.repeat(np.arange(400), 5)) > 1500


def test_all_passing_repeats_are_as_sure_as_the_number_of_cases() -> None:
    estimate = stats.estimate_rate([True] * 60, np.repeat(np.arange(20), 3))
    assert estimate.low == pytest.approx(stats.wilson_interval(20, 20)[0])


def low_end(failures: list[int], repeats: int = 10) -> float:
    """Of the pass rate of 20 cases asked so often, of which the first fail so often."""
    hits = np.ones((20, repeats))
    for case, count in enumerate(failures):
        hits[case, :count] = 0
    low = stats.estimate_rate(hits.ravel(), np.repeat(np.arange(20), repeats)).low
    assert low is not None
    return low


def test_one_failing_repeat_never_makes_the_rate_surer() -> None:
    assert low_end([0]) == pytest.approx(0.839, abs=5e-4)
    assert low_end([1]) == pytest.approx(0.831, abs=5e-4)
    assert low_end([1, 1]) == pytest.approx(0.828, abs=5e-4)


@given(st.integers(2, 20))
def test_further_failures_of_one_case_never_raise_the_low_end(repeats: int) -> None:
    ends = [low_end([count], repeats) for count in range(repeats + 1)]
    assert ends == sorted(ends, reverse=True)


def test_one_case_has_no_interval_however_often_it_is_asked() -> None:
    estimate = stats.estimate_rate([True, False, True], [0, 0, 0])
    assert (estimate.value, estimate.low, estimate.high) == (pytest.approx(2 / 3), None, None)
    assert stats.estimate_percentile([1.0, 2.0, 3.0], [0, 0, 0], 0.5).low is None


def test_the_clustered_error_of_unclustered_values_is_the_textbook_one() -> None:
    values = np.array([3.1, 2.7, 4.4, 5.0, 1.9])
    assert stats.clustered_error(values, np.arange(5)) == pytest.approx(
        values.std(ddof=1) / np.sqrt(5)
    )


def test_equal_repeats_give_the_t_interval_of_the_case_means() -> None:
    values = np.random.default_rng(1).normal(-5, 2, size=(12, 4))
    means = values.mean(axis=1)
    half = t.ppf(0.975, 11) * means.std(ddof=1) / np.sqrt(12)
    estimate = stats.estimate_mean(values.ravel(), np.repeat(np.arange(12), 4))
    assert (estimate.low, estimate.high) == pytest.approx(
        (means.mean() - half, means.mean() + half)
    )


def test_a_bounded_mean_stays_inside_its_bounds_and_is_never_falsely_sure() -> None:
    perfect = stats.estimate_mean([1.0] * 10, np.arange(10), bounded=True)
    assert perfect.low == pytest.approx(stats.wilson_interval(10, 10)[0])
    low = stats.estimate_mean([0.0, 0.0, 0.0, 1.0], np.arange(4), bounded=True).low
    assert low is not None
    assert 0 <= low < 0.05


def test_a_positive_mean_never_has_a_negative_end() -> None:
    """Times as they are: many short, one long; the t interval would begin below zero."""
    found = stats.estimate_mean([0.2] * 9 + [30.0], np.arange(10))
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 0.3 < found.value < 20 < found.high
    assert found.method.endswith("rough below 50 cases")
    free = stats.estimate_mean([0.0] * 5, np.arange(5))
    assert (free.low, free.high) == (0, 0)
    assert stats.estimate_mean([1e-9, 1e9], np.arange(2)).high is None


@pytest.mark.parametrize(
    ("n", "share", "ranks"), [(10, 0.5, (2, 9)), (100, 0.5, (40, 61)), (20, 0.5, (6, 15))]
)
def test_order_statistics_for_the_median_are_the_tabled_ones(
    n: int, share: float, ranks: tuple[int, int]
) -> None:
    """Conover, Practical Nonparametric Statistics (1999), §3.2; Hahn and Meeker (1991),
    table A.15."""
    assert stats.order_ranks(n, share) == ranks


@settings(max_examples=scale_examples(30))
@given(st.integers(1, 600), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_order_ranks_are_the_tightest_that_keep_both_tails(n: int, share: float) -> None:
    ranks = np.arange(1, n + 1)
    low = [r for r in ranks if binom.cdf(r - 1, n, share) <= 0.025]
    high = [r for r in ranks if binom.sf(r - 1, n, share) <= 0.025]
    assert stats.order_ranks(n, share) == (max(low, default=None), min(high, default=None))


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(298, False, False), (299, False, True), (367, False, True), (368, True, True)],
)
def test_a_p99_has_no_upper_bound_below_299_and_no_interval_below_368(
    n: int, low: bool, high: bool
) -> None:
    estimate = stats.estimate_percentile(np.arange(n), np.arange(n), 0.99)
    assert (estimate.low is not None, estimate.high is not None) == (low, high)


def test_the_sizes_a_p99_needs() -> None:
    assert stats.samples_for_upper_bound(0.99) == 299
    assert stats.samples_for_upper_bound(0.99, two_sided=True) == 368


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99])
)
def test_a_percentile_is_an_observed_value_with_its_share_at_or_below(
    values: list[float], share: float
) -> None:
    estimate = stats.estimate_percentile(values, np.arange(len(values)), share)
    ordered = np.asarray(values)
    assert estimate.value in values
    assert (ordered <= estimate.value).mean() >= share - 1e-9
    assert (ordered < estimate.value).mean() < share
    assert estimate.value == np.quantile(ordered, share, method="inverted_cdf")


def test_answers_that_follow_one_another_alike_count_as_fewer() -> None:
    """One slow half hour is one observation, however many answers fell into it."""
    values = np.where(np.arange(400) // 20 % 2 == 0, 1.0, 5.0) + np.arange(400) / 1e4
    mixed = np.random.default_rng(4).permutation(400)
    apart = stats.estimate_percentile(values, np.arange(400), 0.9, started=mixed)
    drift = stats.estimate_percentile(np.arange(400.0), np.arange(400), 0.5, started=np.arange(400))
    assert (apart.low, apart.high) != (None, None)
    assert drift.high is None or drift.low is None or drift.high - drift.low > 150
    assert drift.method.startswith("no interval") or "independent ones" in drift.method


RATE, MEAN, MEDIAN = 0.75, float(np.exp(1.2**2 / 2)), 1.0


def simulate_rate(dice: np.random.Generator) -> stats.Estimate:
    chance = dice.beta(3, 1, size=40)
    hits = (dice.random((40, 4)) < chance[:, None]).ravel()
    return stats.estimate_rate(hits, np.repeat(np.arange(40), 4))


def simulate_mean(dice: np.random.Generator) -> stats.Estimate:
    return stats.estimate_mean(dice.lognormal(0, 1.2, 50), np.arange(50))


def simulate_score(dice: np.random.Generator) -> stats.Estimate:
    return stats.estimate_mean(dice.beta(3, 1, 50), np.arange(50), bounded=True)


def simulate_median(dice: np.random.Generator) -> stats.Estimate:
    """Of latencies with a lag-1 correlation of 0.8."""
    noise = dice.normal(size=200)
    for place in range(1, 200):
        noise[place] = 0.8 * noise[place - 1] + 0.6 * noise[place]
    return stats.estimate_percentile(np.exp(noise), np.arange(200), 0.5, started=np.arange(200))


@pytest.mark.parametrize(
    ("simulate", "truth"),
    [
        (simulate_rate, RATE),
        (simulate_mean, MEAN),
        (simulate_score, RATE),
        (simulate_median, MEDIAN),
    ],
)
def test_intervals_cover_as_often_as_they_say(
    simulate: Callable[[np.random.Generator], stats.Estimate], truth: float
) -> None:
    """400 simulated data sets; tests/benchmarks/interval_coverage.py has many more."""
    dice = np.random.default_rng(11)
    found = [simulate(dice) for _ in range(400)]
    inside = sum(each.low <= truth <= each.high for each in found)
    assert 0.92 <= inside / 400 <= 0.985


def test_nothing_observed_is_not_zero() -> None:
    assert (
        stats.estimate_rate([], []).value
        is stats.estimate_mean([], []).value
        is stats.estimate_percentile([], [], 0.5).value
        is None
    )
