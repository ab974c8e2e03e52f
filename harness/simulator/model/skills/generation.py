"""Finds the skill for a prompt and performs its draws with the sampler."""

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
"""In order of how sure a prompt can be theirs; prose answers whatever is left."""

THOUGHT_WORDS = 24


def generate_calls(prompt: Prompt, rng: RandomStream) -> tuple[Call, ...]:
    """The functions the model calls now, instead of answering in words; empty where it needs none."""
    plan = calling.propose_calls(prompt)
    return () if plan is None else run_skill(plan, prompt, rng)


def generate_text(prompt: Prompt, rng: RandomStream, seen: list[Draw] | None = None) -> str:
    """The text the simulated model says to `prompt`, a function of the prompt and of `rng`'s key; draws go to `seen`."""
    return run_skill(_choose_skill(prompt), prompt, rng, seen)


def generate_thoughts(prompt: Prompt, rng: RandomStream) -> str:
    """What the model says to itself before it answers: a few sentences, about nothing that was asked."""
    return run_skill(prose.generate_sentences(THOUGHT_WORDS), prompt, rng)


def run_skill(
    drawing: Generator[Sequence[Candidate], str, T], prompt: Prompt, rng: RandomStream, seen: list[Draw] | None = None
) -> T:
    """Draw for a skill until it returns its text, or its calls; the penalties are for what was drawn before."""
    said: Counter[str] = Counter()
    try:
        candidates = next(drawing)
        while True:
            drawn = sample_candidate(candidates, prompt.sampling, rng, said)
            said[drawn] += 1
            if seen is not None:
                seen.append(Draw(drawn, candidates))
            candidates = drawing.send(drawn)
    except StopIteration as stop:
        value: T = stop.value
        return value


def _choose_skill(prompt: Prompt) -> TextGenerator:
    returned = results.tool_results(prompt)
    if returned and prompt.schema is None:
        return results.describe_results(prompt, returned)
    if returned:
        prompt = _add_tool_results(prompt, returned)
    for skill in SKILLS:
        drawing = skill(prompt)
        if drawing is not None:
            return drawing
    return prose.propose_answer(prompt)


def _add_tool_results(prompt: Prompt, returned: Sequence[results.Result]) -> Prompt:
    """The prompt as if the user had said what the functions returned, for an answer in JSON that is read from it."""
    facts = "\n".join(f"{fact.name}: {fact.value}" for each in returned for fact in each.facts)
    return replace(prompt, turns=(Turn("user", f"{prompt.question}\n{facts}"),))
