"""Finds the skill for a prompt and performs its draws with the sampler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TypeVar

from harness.simulator.model.chance import Stream
from harness.simulator.model.logprobs import Draw
from harness.simulator.model.requests import Call, Prompt, Turn
from harness.simulator.model.sampler import Candidate, draw
from harness.simulator.model.skills import arithmetic, calling, extraction, judging, labelling, prose, results, roleplay, vision
from harness.simulator.model.skills.difficulty import Drawing

T = TypeVar("T")
Skill = Callable[[Prompt], Drawing | None]

SKILLS: tuple[Skill, ...] = (
    judging.attempt,
    roleplay.attempt,
    vision.attempt,
    extraction.attempt,
    labelling.attempt,
    arithmetic.attempt,
)
"""In order of how sure a prompt can be theirs; prose answers whatever is left."""

THOUGHT_WORDS = 24


def choose_calls(prompt: Prompt, chance: Stream) -> tuple[Call, ...]:
    """The functions the model calls now, instead of answering in words; empty where it needs none."""
    plan = calling.attempt(prompt)
    return () if plan is None else perform(plan, prompt, chance)


def answer_text(prompt: Prompt, chance: Stream, seen: list[Draw] | None = None) -> str:
    """The text the simulated model says to `prompt`, a function of the prompt and of `chance`'s key; draws go to `seen`."""
    return perform(_drawing(prompt), prompt, chance, seen)


def think(prompt: Prompt, chance: Stream) -> str:
    """What the model says to itself before it answers: a few sentences, about nothing that was asked."""
    return perform(prose.sentences(THOUGHT_WORDS), prompt, chance)


def perform(
    drawing: Generator[Sequence[Candidate], str, T], prompt: Prompt, chance: Stream, seen: list[Draw] | None = None
) -> T:
    """Draw for a skill until it returns its text, or its calls; the penalties are for what was drawn before."""
    said: Counter[str] = Counter()
    try:
        candidates = next(drawing)
        while True:
            drawn = draw(candidates, prompt.sampling, chance, said)
            said[drawn] += 1
            if seen is not None:
                seen.append(Draw(drawn, candidates))
            candidates = drawing.send(drawn)
    except StopIteration as stop:
        value: T = stop.value
        return value


def _drawing(prompt: Prompt) -> Drawing:
    returned = results.since(prompt)
    if returned and prompt.schema is None:
        return results.words(prompt, returned)
    if returned:
        prompt = _told(prompt, returned)
    for skill in SKILLS:
        drawing = skill(prompt)
        if drawing is not None:
            return drawing
    return prose.attempt(prompt)


def _told(prompt: Prompt, returned: Sequence[results.Result]) -> Prompt:
    """The prompt as if the user had said what the functions returned, for an answer in JSON that is read from it."""
    facts = "\n".join(f"{fact.name}: {fact.value}" for each in returned for fact in each.facts)
    return replace(prompt, turns=(Turn("user", f"{prompt.question}\n{facts}"),))
