"""A rate holds in every window of 60 s, however the load comes, and is nearly used up when it can
be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.transport.middleware.quota import WINDOW, RateLimiter


def run(rate: RateLimiter, load: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """When each (nanoseconds since the last asked, units) of `load` is let through."""
    now, taken = 0, []
    for gap, units in load:
        now = rate.ready(units, now + gap)
        rate.take(units, now)
        taken.append((now, units))
    return taken


def worst_window(taken: list[tuple[int, int]]) -> int:
    """The most units in any 60 s."""
    return max(sum(units for other, units in taken if at <= other < at + WINDOW) for at, _ in taken)


@given(
    st.integers(1, 500),
    st.lists(
        st.tuples(st.integers(0, 30 * 10**9) | st.just(0), st.integers(1, 50)),
        min_size=1,
        max_size=60,
    ),
)
def test_no_window_holds_more_than_the_limit(limit: int, load: list[tuple[int, int]]) -> None:
    fitting = [(gap, min(units, limit)) for gap, units in load]
    assert worst_window(run(RateLimiter(limit), fitting)) <= limit


@pytest.mark.parametrize("limit", [1, 2, 7, 60, 300, 1000])
def test_under_full_load_the_limit_is_reached(limit: int) -> None:
    taken = run(RateLimiter(limit), [(0, 1)] * (limit * 2))
    assert limit * 0.97 <= worst_window(taken) <= limit


def test_bursts_are_one_percent() -> None:
    taken = run(RateLimiter(1000), [(0, 1)] * 30)
    assert [at for at, _ in taken[:10]] == [0] * 10
    gaps = {later - earlier for (earlier, _), (later, _) in pairwise(taken[9:])}
    assert len(gaps) == 1 and gaps.pop() >= WINDOW // 1000


def test_a_lump_larger_than_the_limit_goes_alone() -> None:
    (first, _), (lump, _), (after, _) = run(RateLimiter(100), [(0, 1), (0, 1000), (0, 1)])
    assert lump - first >= WINDOW * 99 / 100
    assert after - lump >= WINDOW


def test_tightening_keeps_the_past() -> None:
    rate = RateLimiter(100)
    rate.take(50, 0)
    assert rate.with_limit(50).ready(1, 0) >= WINDOW
