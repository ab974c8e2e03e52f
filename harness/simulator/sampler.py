"""A real sampler over scored candidates: temperature, then top-k, then top-p, then one uniform draw.

The order is that of Llama's reference code and of vLLM. Because wrong candidates score below the right one by a finite
margin, a temperature sweep shows a true accuracy curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.simulator.chance import Stream
from harness.simulator.nouns import Sampling


class Candidate(NamedTuple):
    """A possible continuation and its unnormalised log probability at temperature 1."""

    text: str
    logit: float


def draw(candidates: Sequence[Candidate], sampling: Sampling, chance: Stream) -> str:
    """One candidate's text; the highest logit (the first of equals) at temperature 0."""
    if sampling.temperature == 0 or len(candidates) == 1:
        return max(candidates, key=lambda candidate: candidate.logit).text
    weighted = nucleus(candidates, sampling)
    target = chance.uniform() * sum(weight for _, weight in weighted)
    for text, weight in weighted:
        target -= weight
        if target < 0:
            return text
    return weighted[-1][0]


def nucleus(candidates: Sequence[Candidate], sampling: Sampling) -> list[tuple[str, float]]:
    """The candidates that survive top-k and top-p with their probabilities before renormalising, likeliest first."""
    ranked = sorted(candidates, key=lambda candidate: -candidate.logit)[: sampling.top_k]
    top = ranked[0].logit
    weights = [math.exp((candidate.logit - top) / sampling.temperature) for candidate in ranked]
    total = sum(weights)
    kept = [(candidate.text, weight / total) for candidate, weight in zip(ranked, weights, strict=True)]
    return kept if sampling.top_p is None else kept[: _cutoff(kept, sampling.top_p)]


def _cutoff(ranked: Sequence[tuple[str, float]], top_p: float) -> int:
    """How many of the likeliest it takes for their probabilities to reach `top_p`; at least one."""
    mass = 0.0
    for index, (_, probability) in enumerate(ranked):
        mass += probability
        if mass >= top_p:
            return index + 1
    return len(ranked)
