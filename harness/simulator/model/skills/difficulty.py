"""Difficulty: the logit margin of the right answer over the wrong ones.

The margin is a base, plus the bonus of the prompt's wording, plus the model's size, minus the
question's difficulty: logistic noise hashed from the question, so that some questions are hard for
every prompt and a few are beyond greedy decoding. A share of the noise depends on the model: two
models fail on different questions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Sequence
from functools import lru_cache

from harness.simulator.model.rng import hashed_logistic, hashed_uniform
from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.prompt_features import find_features
from harness.simulator.model.types import Prompt

TextGenerator = Generator[Sequence[Candidate], str, str]

BASE = 1.2
REFERENCE_BILLIONS = 17.0
SHARED_NOISE = 0.55
OWN_NOISE = 0.3

SIZE = re.compile(r"(\d+(?:\.\d+)?)b\b", re.IGNORECASE)
SMALL = re.compile(r"\b(?:nano|tiny|mini|micro|small|lite)\b", re.IGNORECASE)


def answer_margin(prompt: Prompt, question: str, penalty: float = 0.0) -> float:
    """The logit of the right answer where the best wrong one has about 0; below 0 even greedy
    decoding is wrong."""
    ease = SHARED_NOISE * hashed_logistic("question", question) + OWN_NOISE * hashed_logistic(
        "model", prompt.model, question
    )
    return BASE + find_features(prompt).bonus + model_strength(prompt.model) + ease - penalty


@lru_cache(maxsize=256)
def model_strength(model: str) -> float:
    """The bonus for a model's size as its name gives it: 0 for 17 billion parameters, 0.35 more for
    each doubling."""
    size = SIZE.search(model)
    if size and float(size[1]) > 0:
        return 0.35 * math.log2(float(size[1]) / REFERENCE_BILLIONS)
    return -0.5 if SMALL.search(model) else 0.0


def competing_candidates(right: str, logit: float, wrong: Sequence[str]) -> list[Candidate]:
    """The right text at `logit`, and the distinct wrong ones below zero: the earlier, the more
    plausible."""
    candidates = [Candidate(right, logit)]
    for index, text in enumerate(dict.fromkeys(text for text in wrong if text != right)):
        candidates.append(
            Candidate(text, -0.6 * index - 0.6 * hashed_uniform("rival", right, text))
        )
    return candidates
