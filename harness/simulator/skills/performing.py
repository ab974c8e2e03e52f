"""Finds the skill for a prompt and performs its draws with the sampler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from harness.simulator.chance import Stream
from harness.simulator.logprobs import Draw
from harness.simulator.nouns import Prompt
from harness.simulator.sampler import draw
from harness.simulator.skills import arithmetic, extraction, labelling, prose
from harness.simulator.skills.belief import Drawing

Skill = Callable[[Prompt], Drawing | None]

SKILLS: tuple[Skill, ...] = (extraction.attempt, labelling.attempt, arithmetic.attempt)
"""In order of how sure a prompt can be theirs; prose answers whatever is left."""

THOUGHT_WORDS = 24


def answer_text(prompt: Prompt, chance: Stream, seen: list[Draw] | None = None) -> str:
    """The text the simulated model says to `prompt`, a function of the prompt and of `chance`'s key; draws go to `seen`."""
    return perform(_drawing(prompt), prompt, chance, seen)


def think(prompt: Prompt, chance: Stream) -> str:
    """What the model says to itself before it answers: a few sentences, about nothing that was asked."""
    return perform(prose.sentences(THOUGHT_WORDS), prompt, chance)


def perform(drawing: Drawing, prompt: Prompt, chance: Stream, seen: list[Draw] | None = None) -> str:
    """Draw for a skill until it returns its text; the penalties are for what was drawn before."""
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
        return str(stop.value)


def _drawing(prompt: Prompt) -> Drawing:
    for skill in SKILLS:
        drawing = skill(prompt)
        if drawing is not None:
            return drawing
    return prose.attempt(prompt)
