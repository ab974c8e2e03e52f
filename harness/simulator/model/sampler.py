"""A real sampler over scored candidates: penalties, temperature, min-p, top-k, top-p, then one uniform draw.

The order is that of vLLM. Because wrong candidates score below the right one by a finite margin, a temperature sweep shows a
true accuracy curve. A penalty looks at what was drawn before in the same answer: the word again, not the letters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.simulator.model.rng import RandomStream
from harness.simulator.model.types import Sampling

NEVER: Mapping[str, int] = {}
LEAST_REPETITION = 1e-6
"""A repetition penalty of 0, which Workers AI accepts, divides by this."""


class Candidate(NamedTuple):
    """A possible continuation and its unnormalised log probability at temperature 1."""

    text: str
    logit: float


def sample_candidate(
    candidates: Sequence[Candidate], sampling: Sampling, rng: RandomStream, said: Mapping[str, int] = NEVER
) -> str:
    """One candidate's text; the highest logit (the first of equals) at temperature 0. `said` counts what was drawn before."""
    candidates = apply_penalties(candidates, sampling, said)
    if sampling.temperature == 0 or len(candidates) == 1:
        return max(candidates, key=lambda candidate: candidate.logit).text
    weighted = filter_candidates(candidates, sampling)
    target = rng.uniform() * sum(weight for _, weight in weighted)
    for text, weight in weighted:
        target -= weight
        if target < 0:
            return text
    return weighted[-1][0]


def has_penalties(sampling: Sampling) -> bool:
    """Whether what was said before matters at all."""
    return bool(sampling.frequency_penalty or sampling.presence_penalty or sampling.repetition_penalty != 1)


def apply_penalties(candidates: Sequence[Candidate], sampling: Sampling, said: Mapping[str, int]) -> Sequence[Candidate]:
    """The candidates, those that were said before at another logit.

    The repetition penalty divides a positive logit and multiplies a negative one (Keskar et al., CTRL, 2019); then the
    frequency penalty is taken off for each time, and the presence penalty once (OpenAI's definition).
    """
    if not said or not has_penalties(sampling):
        return candidates
    return [Candidate(text, _penalized_logit(logit, sampling, said.get(text, 0))) for text, logit in candidates]


def _penalized_logit(logit: float, sampling: Sampling, times: int) -> float:
    if not times:
        return logit
    repetition = max(sampling.repetition_penalty, LEAST_REPETITION)
    logit = logit / repetition if logit > 0 else logit * repetition
    return logit - sampling.frequency_penalty * times - sampling.presence_penalty


def filter_candidates(candidates: Sequence[Candidate], sampling: Sampling) -> list[tuple[str, float]]:
    """The candidates that survive min-p, top-k and top-p with their probabilities before renormalising, likeliest first."""
    ranked = sorted(candidates, key=lambda candidate: -candidate.logit)[: sampling.top_k]
    top = ranked[0].logit
    weights = [math.exp((candidate.logit - top) / sampling.temperature) for candidate in ranked]
    likely = [weight for weight in weights if weight >= (sampling.min_p or 0.0)]  # the likeliest weighs 1
    total = sum(likely)
    kept = [(candidate.text, weight / total) for candidate, weight in zip(ranked, likely, strict=False)]
    return kept if sampling.top_p is None else kept[: _top_p_count(kept, sampling.top_p)]


def _top_p_count(ranked: Sequence[tuple[str, float]], top_p: float) -> int:
    """How many of the likeliest it takes for their probabilities to reach `top_p`; at least one."""
    mass = 0.0
    for index, (_, probability) in enumerate(ranked):
        mass += probability
        if mass >= top_p:
            return index + 1
    return len(ranked)
