"""Chooses the skill for a prompt and samples from the candidates it proposes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TypeVar

from harness.simulator.model.logprobs import Draw
from harness.simulator.model.rng import RandomStream
from harness.simulator.model.sampler import Candidate, sample_candidate
from harness.simulator.model.skills import (
    arithmetic,
    calling,
    classification,
    extraction,
    judging,
    prose,
    results,
    roleplay,
    vision,
)
from harness.simulator.model.skills.difficulty import TextGenerator
from harness.simulator.model.types import Call, Prompt, Turn

T = TypeVar("T")
Skill = Callable[[Prompt], TextGenerator | None]

SKILLS: tuple[Skill, ...] = (
    judging.propose_answer,
    roleplay.propose_answer,
    vision.propose_answer,
    extraction.propose_answer,
    classification.propose_answer,
    arithmetic.propose_answer,
)
"""From the most specific to the least; prose answers any other prompt."""

THOUGHT_WORDS = 24


def generate_calls(prompt: Prompt, rng: RandomStream) -> tuple[Call, ...]:
    """The functions the model calls instead of answering in words; empty where it needs none."""
    skill = calling.propose_calls(prompt)
    return () if skill is None else run_skill(skill, prompt, rng)


def generate_text(prompt: Prompt, rng: RandomStream, draws: list[Draw] | None = None) -> str:
    """The model's answer, a function of the prompt and of `rng`'s key;
    draws are added to `draws`."""
    return run_skill(_choose_skill(prompt), prompt, rng, draws)


def generate_thoughts(prompt: Prompt, rng: RandomStream) -> str:
    """Reasoning text before the answer: a few sentences about nothing in particular."""
    return run_skill(prose.generate_sentences(THOUGHT_WORDS), prompt, rng)


def run_skill(
    skill: Generator[Sequence[Candidate], str, T],
    prompt: Prompt,
    rng: RandomStream,
    draws: list[Draw] | None = None,
) -> T:
    """Sample for a skill until it returns its text or its calls; penalties count earlier draws."""
    counts: Counter[str] = Counter()
    try:
        candidates = next(skill)
        while True:
            drawn = sample_candidate(candidates, prompt.sampling, rng, counts)
            counts[drawn] += 1
            if draws is not None:
                draws.append(Draw(drawn, candidates))
            candidates = skill.send(drawn)
    except StopIteration as stop:
        value: T = stop.value
        return value


def _choose_skill(prompt: Prompt) -> TextGenerator:
    returned = results.tool_results(prompt)
    if returned and prompt.schema is None:
        return results.describe_results(prompt, returned)
    if returned:  # an answer in JSON reads them as if the user had stated them
        facts = "\n".join(f"{fact.name}: {fact.value}" for each in returned for fact in each.facts)
        prompt = replace(prompt, turns=(Turn("user", f"{prompt.question}\n{facts}"),))
    for propose_answer in SKILLS:
        skill = propose_answer(prompt)
        if skill is not None:
            return skill
    return prose.propose_answer(prompt)
