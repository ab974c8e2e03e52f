from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simulator.model.rng import RandomStream
from harness.simulator.model.sampler import (
    Candidate,
    apply_penalties,
    filter_candidates,
    sample_candidate,
)
from harness.simulator.model.types import Sampling

ABC = [Candidate("a", math.log(5)), Candidate("b", math.log(3)), Candidate("c", math.log(2))]


def shares(sampling: Sampling, draws: int = 20_000) -> dict[str, float]:
    chance = RandomStream("test")
    counted = Counter(sample_candidate(ABC, sampling, chance) for _ in range(draws))
    return {text: count / draws for text, count in counted.items()}


def test_at_temperature_one_candidates_come_as_often_as_their_weights_say() -> None:
    assert shares(Sampling(temperature=1)) == pytest.approx(
        {"a": 0.5, "b": 0.3, "c": 0.2}, abs=0.015
    )


def test_temperature_two_takes_the_square_root_of_the_odds() -> None:
    roots = [math.sqrt(5), math.sqrt(3), math.sqrt(2)]
    expected = {text: root / sum(roots) for text, root in zip("abc", roots, strict=True)}
    assert shares(Sampling(temperature=2)) == pytest.approx(expected, abs=0.015)


def test_top_k_keeps_the_likeliest() -> None:
    assert shares(Sampling(temperature=1, top_k=2)) == pytest.approx(
        {"a": 0.625, "b": 0.375}, abs=0.015
    )


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    assert shares(Sampling(temperature=1, top_p=0.5)) == {"a": 1.0}
    assert set(shares(Sampling(temperature=1, top_p=0.51))) == {"a", "b"}
    assert set(shares(Sampling(temperature=1, top_p=1))) == {"a", "b", "c"}


def test_min_p_keeps_what_is_at_least_that_share_of_the_likeliest() -> None:
    assert shares(Sampling(temperature=1, min_p=0.5)) == pytest.approx(
        {"a": 0.625, "b": 0.375}, abs=0.015
    )
    assert set(shares(Sampling(temperature=1, min_p=0.61))) == {"a"}
    assert set(shares(Sampling(temperature=1, min_p=0.39))) == {"a", "b", "c"}
    # Temperature first: at 2 the odds are the square roots, 1 : 0.77 : 0.63.
    assert set(shares(Sampling(temperature=2, min_p=0.61))) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("sampling", "logits"),
    [
        (Sampling(1, frequency_penalty=0.5), [2 - 0.5 * 3, -1 - 0.5, 0.0]),
        (Sampling(1, presence_penalty=0.5), [2 - 0.5, -1 - 0.5, 0.0]),
        (Sampling(1, frequency_penalty=-1), [2 + 3, -1 + 1, 0.0]),
        (Sampling(1, repetition_penalty=1.25), [2 / 1.25, -1 * 1.25, 0.0]),
        (
            Sampling(1, repetition_penalty=2, frequency_penalty=0.1, presence_penalty=0.2),
            [1 - 0.3 - 0.2, -2 - 0.1 - 0.2, 0.0],
        ),
        (Sampling(1), [2, -1, 0.0]),
    ],
)
def test_penalties_change_the_logits_of_earlier_draws(
    sampling: Sampling, logits: list[float]
) -> None:
    candidates = [Candidate("thrice", 2), Candidate("once", -1), Candidate("never", 0)]
    changed = apply_penalties(candidates, sampling, {"thrice": 3, "once": 1})
    assert [logit for _, logit in changed] == pytest.approx(logits)


def test_a_penalty_changes_even_greedy_decoding() -> None:
    pair = [Candidate("again", 1), Candidate("new", 0.8)]
    assert (
        sample_candidate(pair, Sampling(0, presence_penalty=0.3), RandomStream("any"), {"again": 1})
        == "new"
    )
    assert (
        sample_candidate(pair, Sampling(0, presence_penalty=0.1), RandomStream("any"), {"again": 1})
        == "again"
    )


def test_a_repetition_penalty_of_nothing_repeats_without_end_and_breaks_nothing() -> None:
    assert (
        sample_candidate(
            [Candidate("again", 1), Candidate("new", 9)],
            Sampling(1, repetition_penalty=0),
            RandomStream("any"),
            {"again": 1},
        )
        == "again"
    )


def test_temperature_zero_takes_the_highest_logit_wherever_it_stands() -> None:
    assert (
        sample_candidate(
            [Candidate("low", 0), Candidate("high", 1)],
            Sampling(temperature=0),
            RandomStream("any"),
        )
        == "high"
    )


def test_the_same_key_draws_the_same() -> None:
    once, twice = (
        [sample_candidate(ABC, Sampling(1), RandomStream("k", n)) for n in range(50)]
        for _ in range(2)
    )
    assert once == twice


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=8),
    temperature=st.floats(0.01, 5),
    top_k=st.none() | st.integers(1, 50),
    top_p=st.none() | st.floats(0, 2),
    min_p=st.none() | st.floats(0, 1),
)
def test_something_always_survives_and_the_likeliest_first(
    logits: list[float],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
) -> None:
    candidates = [Candidate(str(index), logit) for index, logit in enumerate(logits)]
    kept = filter_candidates(
        candidates, Sampling(temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    )
    assert kept
    assert candidates[int(kept[0][0])].logit == max(logits)
    assert [weight for _, weight in kept] == sorted((weight for _, weight in kept), reverse=True)
