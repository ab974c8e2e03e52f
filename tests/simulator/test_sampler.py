from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.chance import Stream
from harness.simulator.nouns import Sampling
from harness.simulator.sampler import Candidate, draw, nucleus

ABC = [Candidate("a", math.log(5)), Candidate("b", math.log(3)), Candidate("c", math.log(2))]


def shares(sampling: Sampling, draws: int = 20_000) -> dict[str, float]:
    chance = Stream("test")
    counted = Counter(draw(ABC, sampling, chance) for _ in range(draws))
    return {text: count / draws for text, count in counted.items()}


def test_at_temperature_one_candidates_come_as_often_as_their_weights_say() -> None:
    assert shares(Sampling(temperature=1)) == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2}, abs=0.015)


def test_temperature_two_takes_the_square_root_of_the_odds() -> None:
    roots = [math.sqrt(5), math.sqrt(3), math.sqrt(2)]
    expected = {text: root / sum(roots) for text, root in zip("abc", roots, strict=True)}
    assert shares(Sampling(temperature=2)) == pytest.approx(expected, abs=0.015)


def test_top_k_keeps_the_likeliest() -> None:
    assert shares(Sampling(temperature=1, top_k=2)) == pytest.approx({"a": 0.625, "b": 0.375}, abs=0.015)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    assert shares(Sampling(temperature=1, top_p=0.5)) == {"a": 1.0}
    assert set(shares(Sampling(temperature=1, top_p=0.51))) == {"a", "b"}
    assert set(shares(Sampling(temperature=1, top_p=1))) == {"a", "b", "c"}


def test_temperature_zero_takes_the_highest_logit_wherever_it_stands() -> None:
    assert draw([Candidate("low", 0), Candidate("high", 1)], Sampling(temperature=0), Stream("any")) == "high"


def test_the_same_key_draws_the_same() -> None:
    once, twice = ([draw(ABC, Sampling(1), Stream("k", n)) for n in range(50)] for _ in range(2))
    assert once == twice


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=8),
    temperature=st.floats(0.01, 5),
    top_k=st.none() | st.integers(1, 50),
    top_p=st.none() | st.floats(0, 2),
)
def test_something_always_survives_and_the_likeliest_first(
    logits: list[float], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    candidates = [Candidate(str(index), logit) for index, logit in enumerate(logits)]
    kept = nucleus(candidates, Sampling(temperature, top_k=top_k, top_p=top_p))
    assert kept
    assert candidates[int(kept[0][0])].logit == max(logits)
    assert [weight for _, weight in kept] == sorted((weight for _, weight in kept), reverse=True)
