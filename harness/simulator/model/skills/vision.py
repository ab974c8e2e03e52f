"""Looks at a picture and answers what is asked about it: how many, which colour, which shape, which bar is the tallest.

What is right comes from the pixels. The wrong candidates are what one takes for it at a glance: one more or less, another
colour or shape of the same picture, the next taller bar. Many shapes and bars of nearly one height are harder.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.simulator.model.chance import digest
from harness.simulator.model.pixels import COLOURS, Shape, Sight, look
from harness.simulator.model.requests import Prompt
from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import Drawing, margin, rivals
from harness.simulator.model.skills.prompt_features import Guidance, guidance

KINDS = ("circle", "square", "triangle", "rectangle")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BLIND = "I cannot make out the picture."

COLOUR_NAMES = re.compile(rf"\b({'|'.join(COLOURS)}|gray|violet)\b", re.IGNORECASE)
KIND_NAMES = re.compile(rf"\b({'|'.join(KINDS)})s?\b", re.IGNORECASE)
ORDINAL = re.compile(r"\b(first|second|third|fourth|last) (?:picture|image|photo|chart)\b", re.IGNORECASE)
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
DESCRIBE = re.compile(r"\b(?:describe|what (?:do|can) you see|what is (?:in|on|this|shown)|what does .* show)\b", re.IGNORECASE)


class Reading(NamedTuple):
    """What is right, what one takes for it (the likeliest first), and the logits the question costs."""

    right: str
    wrong: Sequence[str]
    penalty: float = 0.0


def attempt(prompt: Prompt) -> Drawing | None:
    """Answer what is asked about the picture; None where there is none, or something else is asked."""
    files = [file for turn in prompt.turns for file in turn.images]
    if not files or prompt.schema is not None:
        return None
    file = _meant(files, prompt.question)
    sight = look(file)
    if sight is None:
        return _blind()
    reading = read(prompt.question, sight)
    return None if reading is None else _answer(prompt, file, reading)


def read(question: str, sight: Sight) -> Reading | None:
    """What the question asks of the picture, answered; None where it asks nothing that is known."""
    for rule in _RULES:
        reading = rule(question, sight)
        if reading is not None:
            return reading
    return None


def _meant(files: Sequence[bytes], question: str) -> bytes:
    """The picture that is asked about: the one that is named by its place, else the last."""
    named = ORDINAL.search(question)
    place = ("first", "second", "third", "fourth", "last").index(named[1].lower()) if named else len(files)
    return files[place] if place < min(len(files), 4) else files[-1]


def _blind() -> Drawing:
    return (yield [Candidate(BLIND, 0.0)])


def _answer(prompt: Prompt, file: bytes, reading: Reading) -> Drawing:
    logit = margin(prompt, f"{digest(file).hex()} {prompt.question}", reading.penalty)
    result = yield rivals(reading.right, logit, reading.wrong)
    return (yield phrasings(result, guidance(prompt)))


def phrasings(result: str, asked: Guidance) -> list[Candidate]:
    """The ways to say it: bare when asked for nothing else, else in a sentence."""
    sentence = f"I see: {result}."
    if asked.marker:
        return [Candidate(f"{asked.marker}: {result}", 3.0), Candidate(sentence, 0.0)]
    if asked.terse:
        return [Candidate(result, 4.5), Candidate(f"{result}.", 0.5), Candidate(sentence, 0.0)]
    return [Candidate(sentence, 1.5), Candidate(f"The answer is {result}.", 1.5), Candidate(f"It is {result}.", 0.5)]


# What can be asked


def _bar(question: str, sight: Sight) -> Reading | None:
    bars = sight.bars
    if not bars or not BAR.search(question):
        return None
    if MOST.search(question) or LEAST.search(question):
        ranked = sorted(bars, key=lambda bar: bar.height, reverse=not LEAST.search(question))
        name = _namer(question, bars)
        close = min(ranked[0].height, ranked[1].height) / max(ranked[0].height, ranked[1].height)
        return Reading(name(ranked[0]), [name(bar) for bar in ranked[1:]], penalty=4 * max(close - 0.75, 0))
    return _counted(len(bars)) if HOW_MANY.search(question) else None


def _namer(question: str, bars: Sequence[Shape]) -> Callable[[Shape], str]:
    """How a bar is called in the answer: by its label where the question lists them, its place, else its colour."""
    labels = LABELS.search(question)
    letters = re.findall(r"[A-Z]", labels[1]) if labels else []
    if len(letters) == len(bars):
        return lambda bar: letters[bars.index(bar)]
    if POSITION.search(question) and not COLOUR_ASKED.search(question):
        return lambda bar: str(bars.index(bar) + 1)
    return lambda bar: bar.colour


def _many(question: str, sight: Sight) -> Reading | None:
    if MANY_COLOURS.search(question):
        return _counted(len({shape.colour for shape in sight.shapes}))
    return _counted(len(_asked(question, sight))) if HOW_MANY.search(question) else None


def _there(question: str, sight: Sight) -> Reading | None:
    if not IS_THERE.search(question) or not (COLOUR_NAMES.search(question) or KIND_NAMES.search(question)):
        return None
    found = bool(_asked(question, sight))
    return Reading("yes" if found else "no", ["no" if found else "yes"])


def _colour(question: str, sight: Sight) -> Reading | None:
    if not COLOUR_ASKED.search(question):
        return None
    if BACKGROUND.search(question):
        return Reading(sight.background, _others(sight, sight.background))
    found = _asked(COLOUR_NAMES.sub("", question), sight)
    if not found:
        return None
    if KIND_NAMES.search(question) or MOST.search(question) or LEAST.search(question):
        right = _extreme(question, found).colour
    else:
        right = _main_colour(sight)
    return Reading(right, _others(sight, right))


def _shape(question: str, sight: Sight) -> Reading | None:
    found = _asked(question, sight)
    if not SHAPE_ASKED.search(question) or not found:
        return None
    right = _extreme(question, found).kind
    seen = [shape.kind for shape in sight.shapes]
    return Reading(right, [*dict.fromkeys(kind for kind in (*seen, *KINDS) if kind != right)])


def _everything(question: str, sight: Sight) -> Reading | None:
    if not DESCRIBE.search(question):
        return None
    counted = Counter((shape.colour, shape.kind) for shape in sight.shapes)
    said = [f"{_number(count)} {colour} {kind}{'s' if count > 1 else ''}" for (colour, kind), count in counted.items()]
    listed = ", ".join(said) or "nothing"
    return Reading(f"{listed} on {sight.background}", [f"a picture with a {sight.background} background"])


_RULES: tuple[Callable[[str, Sight], Reading | None], ...] = (_bar, _many, _there, _shape, _colour, _everything)


# What is seen


def _asked(question: str, sight: Sight) -> list[Shape]:
    """The shapes of the colours and kinds that the question names; all where it names none."""
    colours = {{"gray": "grey", "violet": "purple"}.get(name.lower(), name.lower()) for name in COLOUR_NAMES.findall(question)}
    kinds = {name.lower() for name in KIND_NAMES.findall(question)}
    return [shape for shape in sight.shapes if (not colours or shape.colour in colours) and (not kinds or shape.kind in kinds)]


def _extreme(question: str, shapes: Sequence[Shape]) -> Shape:
    """The smallest where that is asked, else the largest."""
    by_size = sorted(shapes, key=lambda shape: shape.area)
    return by_size[0] if LEAST.search(question) else by_size[-1]


def _main_colour(sight: Sight) -> str:
    areas: Counter[str] = Counter()
    for shape in sight.shapes:
        areas[shape.colour] += shape.area
    return areas.most_common(1)[0][0]


def _others(sight: Sight, right: str) -> list[str]:
    seen = [shape.colour for shape in sight.shapes]
    return [*dict.fromkeys(colour for colour in (*seen, *COLOURS) if colour != right)][:5]


def _counted(count: int) -> Reading:
    near = [count + 1, count - 1, count + 2, count - 2]
    return Reading(str(count), [str(number) for number in near if number >= 0], penalty=0.3 * max(count - 4, 0))


def _number(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)
