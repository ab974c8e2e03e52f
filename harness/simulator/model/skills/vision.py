"""Vision: answers questions about an image: how many, which colour, which shape, which bar is the
tallest.

The right answer comes from the pixels. Wrong candidates are the mistakes of a glance: one more or
less, another colour or shape of the same image, the next taller bar. Many shapes and bars of
similar height are harder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.simulator.model.images import COLOURS, Scene, Shape, detect_shapes
from harness.simulator.model.rng import stable_digest
from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import (
    TextGenerator,
    answer_margin,
    competing_candidates,
)
from harness.simulator.model.skills.prompt_features import PromptFeatures, find_features
from harness.simulator.model.types import Prompt

KINDS = ("circle", "square", "triangle", "rectangle")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BLIND = "I cannot make out the picture."

COLOUR_NAMES = re.compile(rf"\b({'|'.join(COLOURS)}|gray|violet)\b", re.IGNORECASE)
KIND_NAMES = re.compile(rf"\b({'|'.join(KINDS)})s?\b", re.IGNORECASE)
ORDINAL = re.compile(
    r"\b(first|second|third|fourth|last) (?:picture|image|photo|chart)\b", re.IGNORECASE
)
HOW_MANY = re.compile(r"\b(?:how many|count|number of)\b", re.IGNORECASE)
COLOUR_ASKED = re.compile(r"\bcolou?rs?\b", re.IGNORECASE)
MANY_COLOURS = re.compile(r"\bhow many (?:different )?colou?rs\b", re.IGNORECASE)
SHAPE_ASKED = re.compile(r"\b(?:what|which)(?: kind of)? shape\b", re.IGNORECASE)
IS_THERE = re.compile(r"\b(?:is there|are there|does it show)\b(?!.*\bhow many\b)", re.IGNORECASE)
BACKGROUND = re.compile(r"\bbackground\b", re.IGNORECASE)
BAR = re.compile(r"\bbars?\b", re.IGNORECASE)
MOST = re.compile(r"\b(?:tall|high|long|larg|bigg)est\b", re.IGNORECASE)
LEAST = re.compile(r"\b(?:short|low|small)est\b", re.IGNORECASE)
POSITION = re.compile(r"\b(?:position|from the left|place)\b", re.IGNORECASE)
LABELS = re.compile(r"\blabell?ed\b[^A-Z]*((?:\b[A-Z]\b(?:, | and |, and )?){2,})")
DESCRIBE = re.compile(
    r"\b(?:describe|what (?:do|can) you see|what is (?:in|on|this|shown)|what does .* show)\b",
    re.IGNORECASE,
)


class Reading(NamedTuple):
    """The right answer, the wrong ones (likeliest first), and the logits
    that the question costs."""

    right: str
    wrong: Sequence[str]
    penalty: float = 0.0


def propose_answer(prompt: Prompt) -> TextGenerator | None:
    """Answer the question about the image; None where there is no image, or the question is not
    about it."""
    files = [file for turn in prompt.turns for file in turn.images]
    if not files or prompt.schema is not None:
        return None
    file = _choose_picture(files, prompt.question)
    scene = detect_shapes(file)
    if scene is None:
        return _unreadable_picture()
    reading = read_scene(prompt.question, scene)
    return None if reading is None else _answer_question(prompt, file, reading)


def read_scene(question: str, scene: Scene) -> Reading | None:
    """The answer to the question about the scene; None where it asks nothing known."""
    for rule in _RULES:
        reading = rule(question, scene)
        if reading is not None:
            return reading
    return None


def _choose_picture(files: Sequence[bytes], question: str) -> bytes:
    """The image that the question names by its position, else the last."""
    named = ORDINAL.search(question)
    place = (
        ("first", "second", "third", "fourth", "last").index(named[1].lower())
        if named
        else len(files)
    )
    return files[place] if place < min(len(files), 4) else files[-1]


def _unreadable_picture() -> TextGenerator:
    return (yield [Candidate(BLIND, 0.0)])


def _answer_question(prompt: Prompt, file: bytes, reading: Reading) -> TextGenerator:
    logit = answer_margin(prompt, f"{stable_digest(file).hex()} {prompt.question}", reading.penalty)
    result = yield competing_candidates(reading.right, logit, reading.wrong)
    return (yield phrase_result(result, find_features(prompt)))


def phrase_result(result: str, asked: PromptFeatures) -> list[Candidate]:
    """The bare result where the prompt asks for nothing else, else a sentence with it."""
    sentence = f"I see: {result}."
    if asked.marker:
        return [Candidate(f"{asked.marker}: {result}", 3.0), Candidate(sentence, 0.0)]
    if asked.terse:
        return [Candidate(result, 4.5), Candidate(f"{result}.", 0.5), Candidate(sentence, 0.0)]
    return [
        Candidate(sentence, 1.5),
        Candidate(f"The answer is {result}.", 1.5),
        Candidate(f"It is {result}.", 0.5),
    ]


# The questions, in the order they are tried


def _read_bar(question: str, scene: Scene) -> Reading | None:
    bars = scene.bars
    if not bars or not BAR.search(question):
        return None
    if MOST.search(question) or LEAST.search(question):
        ranked = sorted(bars, key=lambda bar: bar.height, reverse=not LEAST.search(question))
        name = _bar_namer(question, bars)
        close = min(ranked[0].height, ranked[1].height) / max(ranked[0].height, ranked[1].height)
        return Reading(
            name(ranked[0]), [name(bar) for bar in ranked[1:]], penalty=4 * max(close - 0.75, 0)
        )
    return _count_reading(len(bars)) if HOW_MANY.search(question) else None


def _bar_namer(question: str, bars: Sequence[Shape]) -> Callable[[Shape], str]:
    """How the answer names a bar: by its label where the question lists them, by its position, else
    by its colour."""
    labels = LABELS.search(question)
    letters = re.findall(r"[A-Z]", labels[1]) if labels else []
    if len(letters) == len(bars):
        return lambda bar: letters[bars.index(bar)]
    if POSITION.search(question) and not COLOUR_ASKED.search(question):
        return lambda bar: str(bars.index(bar) + 1)
    return lambda bar: bar.colour


def _read_count(question: str, scene: Scene) -> Reading | None:
    if MANY_COLOURS.search(question):
        return _count_reading(len({shape.colour for shape in scene.shapes}))
    return (
        _count_reading(len(_matching_shapes(question, scene)))
        if HOW_MANY.search(question)
        else None
    )


def _read_presence(question: str, scene: Scene) -> Reading | None:
    if not IS_THERE.search(question) or not (
        COLOUR_NAMES.search(question) or KIND_NAMES.search(question)
    ):
        return None
    found = bool(_matching_shapes(question, scene))
    return Reading("yes" if found else "no", ["no" if found else "yes"])


def _read_colour(question: str, scene: Scene) -> Reading | None:
    if not COLOUR_ASKED.search(question):
        return None
    if BACKGROUND.search(question):
        return Reading(scene.background, _other_colours(scene, scene.background))
    found = _matching_shapes(COLOUR_NAMES.sub("", question), scene)
    if not found:
        return None
    if KIND_NAMES.search(question) or MOST.search(question) or LEAST.search(question):
        right = _extreme_shape(question, found).colour
    else:
        right = _main_colour(scene)
    return Reading(right, _other_colours(scene, right))


def _read_shape(question: str, scene: Scene) -> Reading | None:
    found = _matching_shapes(question, scene)
    if not SHAPE_ASKED.search(question) or not found:
        return None
    right = _extreme_shape(question, found).kind
    seen = [shape.kind for shape in scene.shapes]
    return Reading(right, [*dict.fromkeys(kind for kind in (*seen, *KINDS) if kind != right)])


def _read_everything(question: str, scene: Scene) -> Reading | None:
    if not DESCRIBE.search(question):
        return None
    counted = Counter((shape.colour, shape.kind) for shape in scene.shapes)
    parts = [
        f"{NUMBERS[count] if count < len(NUMBERS) else count} {colour}"
        f" {kind}{'s' if count > 1 else ''}"
        for (colour, kind), count in counted.items()
    ]
    return Reading(
        f"{', '.join(parts) or 'nothing'} on {scene.background}",
        [f"a picture with a {scene.background} background"],
    )


_RULES: tuple[Callable[[str, Scene], Reading | None], ...] = (
    _read_bar,
    _read_count,
    _read_presence,
    _read_shape,
    _read_colour,
    _read_everything,
)


# What the scene shows


def _matching_shapes(question: str, scene: Scene) -> list[Shape]:
    """The shapes of the colours and kinds that the question names; all where it names none."""
    colours = {
        {"gray": "grey", "violet": "purple"}.get(name.lower(), name.lower())
        for name in COLOUR_NAMES.findall(question)
    }
    kinds = {name.lower() for name in KIND_NAMES.findall(question)}
    return [
        shape
        for shape in scene.shapes
        if (not colours or shape.colour in colours) and (not kinds or shape.kind in kinds)
    ]


def _extreme_shape(question: str, shapes: Sequence[Shape]) -> Shape:
    """The smallest where the question asks for it, else the largest."""
    by_size = sorted(shapes, key=lambda shape: shape.area)
    return by_size[0] if LEAST.search(question) else by_size[-1]


def _main_colour(scene: Scene) -> str:
    areas: Counter[str] = Counter()
    for shape in scene.shapes:
        areas[shape.colour] += shape.area
    return areas.most_common(1)[0][0]


def _other_colours(scene: Scene, right: str) -> list[str]:
    seen = [shape.colour for shape in scene.shapes]
    return [*dict.fromkeys(colour for colour in (*seen, *COLOURS) if colour != right)][:5]


def _count_reading(count: int) -> Reading:
    near = [count + 1, count - 1, count + 2, count - 2]
    return Reading(
        str(count), [str(number) for number in near if number >= 0], penalty=0.3 * max(count - 4, 0)
    )
