"""A sampler over scored candidates: penalties, temperature, min-p, top-k, top-p, then one draw.

The order is vLLM's. Wrong candidates score below the right one by a finite margin, so accuracy
falls with temperature as it does for a real model. Penalties count what was sampled before in the
same answer, by candidate rather than by token.
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
    candidates: Sequence[Candidate],
    sampling: Sampling,
    rng: RandomStream,
    drawn: Mapping[str, int] = NEVER,
) -> str:
    """The text of one candidate; at temperature 0 the highest logit's (the first of equals).
    `drawn` counts what was sampled before."""
    candidates = apply_penalties(candidates, sampling, drawn)
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
    """Whether any penalty applies."""
    return bool(
        sampling.frequency_penalty or sampling.presence_penalty or sampling.repetition_penalty != 1
    )


def apply_penalties(
    candidates: Sequence[Candidate], sampling: Sampling, drawn: Mapping[str, int]
) -> Sequence[Candidate]:
    """The candidates with the logits of those that were sampled before lowered.

    The repetition penalty divides a positive logit and multiplies a negative one (Keskar et al.,
    CTRL, 2019); then the frequency penalty is subtracted for each occurrence, and the presence
    penalty once (OpenAI's definition).
    """
    if not drawn or not has_penalties(sampling):
        return candidates
    return [
        Candidate(text, _penalized_logit(logit, sampling, drawn.get(text, 0)))
        for text, logit in candidates
    ]


def _penalized_logit(logit: float, sampling: Sampling, times: int) -> float:
    if not times:
        return logit
    repetition = max(sampling.repetition_penalty, LEAST_REPETITION)
    logit = logit / repetition if logit > 0 else logit * repetition
    return logit - sampling.frequency_penalty * times - sampling.presence_penalty


def filter_candidates(
    candidates: Sequence[Candidate], sampling: Sampling
) -> list[tuple[str, float]]:
    """The candidates that survive min-p, top-k and top-p with their probabilities before
    renormalising, likeliest first."""
    ranked = sorted(candidates, key=lambda candidate: -candidate.logit)[: sampling.top_k]
    top = ranked[0].logit
    weights = [math.exp((candidate.logit - top) / sampling.temperature) for candidate in ranked]
    kept_weights = [
        weight for weight in weights if weight >= (sampling.min_p or 0.0)
    ]  # the likeliest has weight 1
    total = sum(kept_weights)
    kept = [
        (candidate.text, weight / total)
        for candidate, weight in zip(ranked, kept_weights, strict=False)
    ]
    return kept if sampling.top_p is None else kept[: _top_p_count(kept, sampling.top_p)]


def _top_p_count(ranked: Sequence[tuple[str, float]], top_p: float) -> int:
    """How many of the likeliest candidates it takes to reach a probability of `top_p`; at least
    one."""
    mass = 0.0
    for index, (_, probability) in enumerate(ranked):
        mass += probability
        if mass >= top_p:
            return index + 1
    return len(ranked)
