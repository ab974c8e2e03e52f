"""Token log probabilities: the sampler's own, at temperature 1, before top-k, top-p and min-p.

A skill samples whole words, labels or sentences, which the tokenizer splits into tokens. A token's
probability is that of the candidates that continue with it, among those with the same tokens before
it; so a candidate's tokens multiply to the candidate's probability. Text that was not sampled has
probability 1. Where one draw is part of a later one (a label in a sentence), both count.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from harness.simulator.model.sampler import Candidate
from harness.simulator.model.tokenizer import tokenize

Probabilities = dict[str, float]
Logprob = tuple[float, tuple[tuple[str, float], ...]]

LEAST = -9999.0
"""Stands for the logarithm of zero, as in OpenAI's API."""


class Draw(NamedTuple):
    """A sampled candidate and those it was sampled from."""

    text: str
    candidates: Sequence[Candidate]


def token_logprobs(pieces: Sequence[str], draws: Sequence[Draw], most: int) -> tuple[Logprob, ...]:
    """For each token its log probability, and the `most` likeliest tokens
    in its place with theirs."""
    decided: list[list[Probabilities]] = [[] for _ in pieces]
    for place, chances in _decided_places(pieces, draws):
        decided[place].append(chances)
    return tuple(
        _combine_draws(piece, several, most) for piece, several in zip(pieces, decided, strict=True)
    )


def _decided_places(
    pieces: Sequence[str], draws: Sequence[Draw]
) -> Iterator[tuple[int, Probabilities]]:
    """Each token position that a draw decided, with the probabilities of the alternatives there."""
    text = "".join(pieces)
    starts = [0, *accumulate(len(piece) for piece in pieces)]
    after = 0
    for draw in draws:
        at = text.find(draw.text, after)
        at = text.find(draw.text) if at < 0 else at
        if at >= 0 and draw.text:
            after = max(after, at + len(draw.text))
            first = bisect_right(starts, at) - 1
            lead = text[starts[first] : at]
            yield from enumerate(_piece_probabilities(pieces[first:], lead, draw), first)


def _piece_probabilities(pieces: Sequence[str], lead: str, draw: Draw) -> Iterator[Probabilities]:
    """The probabilities at each token of the drawn text, until one candidate is left or the tokens
    diverge."""
    top = max(candidate.logit for candidate in draw.candidates)
    alive = [
        (tokenize(lead + candidate.text), math.exp(candidate.logit - top))
        for candidate in draw.candidates
    ]
    for place, piece in enumerate(pieces):
        chances: defaultdict[str, float] = defaultdict(float)
        for candidate, weight in alive:
            chances[candidate[place] if place < len(candidate) else ""] += weight
        if len(alive) < 2 or piece not in chances:
            return
        total = sum(chances.values())
        yield {text: weight / total for text, weight in chances.items()}
        alive = [
            (candidate, weight)
            for candidate, weight in alive
            if candidate[place : place + 1] == [piece]
        ]


def _combine_draws(piece: str, several: Sequence[Probabilities], most: int) -> Logprob:
    """Multiply the draws that decided one token; the alternatives are those of the least certain
    draw."""
    own = [chances[piece] for chances in several]
    together = math.prod(own)
    widest = min(several, key=lambda chances: chances[piece], default={piece: 1.0})
    rest = together / widest[piece] if widest[piece] else 0.0
    likeliest = sorted(
        ((text, chance * rest) for text, chance in widest.items() if text),
        key=lambda item: -item[1],
    )
    return _clamped_log(together), tuple(
        (text, _clamped_log(chance)) for text, chance in likeliest[:most]
    )


def _clamped_log(chance: float) -> float:
    return min(math.log(chance), 0.0) if chance > 0 else LEAST
