"""Log probabilities of tokens from draws of whole candidates."""

from __future__ import annotations

import math

import pytest

from harness.simulator.model.logprobs import Draw, token_logprobs
from harness.simulator.model.sampler import Candidate
from harness.simulator.model.tokenizer import tokenize


def candidates(**weights: float) -> list[Candidate]:
    return [Candidate(text.replace("_", " "), math.log(weight)) for text, weight in weights.items()]


def chances(text: str, *draws: Draw, most: int = 9) -> list[tuple[str, float, dict[str, float]]]:
    pieces = tokenize(text)
    return [
        (
            piece,
            round(math.exp(own), 6),
            {other: round(math.exp(chance), 6) for other, chance in top},
        )
        for piece, (own, top) in zip(pieces, token_logprobs(pieces, draws, most), strict=True)
    ]


def test_a_word_in_a_sentence_has_its_candidates_chances() -> None:
    assert chances("It is red.", Draw("red", candidates(red=3, blue=1))) == [
        ("It", 1, {"It": 1}),
        (" is", 1, {" is": 1}),
        (" red", 0.75, {" red": 0.75, " blue": 0.25}),
        (".", 1, {".": 1}),
    ]


def test_candidates_of_several_pieces_share_their_first() -> None:
    drawn = Draw("red car", candidates(red_car=1, red_bus=1, blue_car=2))
    assert chances("red car", drawn) == [
        ("red", 0.5, {"red": 0.5, "blue": 0.5}),
        (" car", 0.5, {" car": 0.5, " bus": 0.5}),
    ]


def test_a_draw_within_a_draw_multiplies() -> None:
    word, sentence = Draw("red", candidates(red=3, blue=1)), Draw("red", candidates(red=1, Red=1))
    assert chances("red", word, sentence) == [("red", 0.375, {"red": 0.375, "Red": 0.375})]


def test_equal_words_are_distinguished_by_their_order() -> None:
    first, second = Draw("the", candidates(the=1, a=1)), Draw("the", candidates(the=1, a=3))
    assert [own for _, own, _ in chances("the the", first, second)] == [0.5, 0.25]


def test_only_so_many_alternatives_are_reported() -> None:
    ((_, _, top),) = chances("b", Draw("b", candidates(a=3, b=2, c=1)), most=2)
    assert top == {"a": 0.5, "b": pytest.approx(1 / 3, abs=1e-6)}
