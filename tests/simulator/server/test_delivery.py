from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.model.rng import RandomStream
from harness.simulator.server.delivery import Latency


def test_without_jitter_tokens_are_evenly_spaced() -> None:
    assert Latency(0.5, 0.1, 0).token_offsets(3, RandomStream("k")) == pytest.approx(
        (0, 0.5, 0.6, 0.7)
    )


def test_no_latency_is_no_wait() -> None:
    assert Latency(0, 0, 0.5).token_offsets(3, RandomStream("k")) == (0, 0, 0, 0)


def test_an_empty_answer_takes_the_time_to_first_token() -> None:
    assert Latency(0.5, 0.1, 0).token_offsets(0, RandomStream("k"))[-1] == 0.5


def test_jitter_keeps_the_mean() -> None:
    firsts = [
        Latency(1.0, 0, 0.5).token_offsets(1, RandomStream("k", number))[1]
        for number in range(5_000)
    ]
    assert fmean(firsts) == pytest.approx(1.0, abs=0.04)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 2), st.integers(0, 50))
def test_tokens_leave_in_order(ttft: float, gap: float, jitter: float, steps: int) -> None:
    offsets = Latency(ttft, gap, jitter).token_offsets(steps, RandomStream("k"))
    assert list(offsets) == sorted(offsets)
    assert len(offsets) >= steps + 1
