"""Classification: finds the labels a prompt offers, and chooses one by the words that it shares
with the text.

Labels come as a bulleted list with or without descriptions, a comma-separated list, or "yes or no".
A label's logit is the weight of its matching words; a word that indicates several labels counts
less. Descriptions in the prompt add words, so a prompt that describes its labels is answered better
than one that lists them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from harness.simulator.model.rng import hashed_logistic
from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import (
    OWN_NOISE,
    SHARED_NOISE,
    TextGenerator,
    model_strength,
)
from harness.simulator.model.skills.lexicon import label_stems, stems
from harness.simulator.model.skills.prompt_features import PromptFeatures, find_features
from harness.simulator.model.types import Prompt

CUE = re.compile(
    r"\b(?:one of|queues?|labels?|categor|classif|class\b|classes\b|intents?\b|topics?\b"
    r"|sentiments?\b|choose|pick|either"
    r"|options?\b|departments?\b|teams?\b|yes or no)",
    re.IGNORECASE,
)
NAME = r"[`\"'*_]{0,2}([A-Za-z][\w/-]*(?: [\w/-]+){0,2}?)[`\"'*_]{0,2}"
DESCRIBED = re.compile(
    rf"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*{NAME}[ \t]*(?::|–|—| -)[ \t]*(.+(?:\n[ \t]+\S.*)*)",
    re.MULTILINE,
)
BULLET = re.compile(rf"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*{NAME}[ \t]*[.,;]?$", re.MULTILINE)
ITEM = r"[`\"'*]{0,2}[A-Za-z][\w/-]*(?: [\w/-]+){0,2}[`\"'*]{0,2}"
LISTED = re.compile(rf"{ITEM}(?:\s*[,|/]\s*{ITEM})+(?:\s*,?\s+(?:and|or)\s+{ITEM})?")
AFTER = re.compile(r"[:(]\s*$|\b(?:of|as|either|from|with|say|are)\s+$", re.IGNORECASE)
PAIR = re.compile(
    r"\b(?:either |answer |with |say |reply |:\s*)[`\"']?([A-Za-z]+)[`\"']? or"
    r" [`\"']?([A-Za-z]+)[`\"']?",
    re.IGNORECASE,
)
INSIDE = re.compile(r"^(?:\w+ ){0,2}(?:of|as|either|from|with|say|are) ", re.IGNORECASE)
ANNOUNCEMENT = 20
MAX_CHARACTERS = 20_000
SEPARATOR = re.compile(r"\s*[,|/]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+")
Label = tuple[str, str]
NAME_WEIGHT = 2.0
KNOWN_WEIGHT = 1.0
DESCRIBED_WEIGHT = 0.7
BASE_SHARPNESS = 2.0
SHARPNESS_PER_BONUS = 0.8
NOISE = 0.45


@lru_cache(maxsize=256)
def find_labels(text: str) -> tuple[tuple[str, str], ...]:
    """The labels as written, each with its description (or ""); empty if
    the text offers no choice."""
    text = text[:MAX_CHARACTERS]
    if not CUE.search(text):
        return ()
    described = tuple((name, " ".join(body.split())) for name, body in DESCRIBED.findall(text))
    if len(described) > 1:
        return described
    names = BULLET.findall(text)
    if len(names) < 2:
        names = _listed_labels(text) or [name for pair in PAIR.findall(text)[:1] for name in pair]
    return tuple((name, "") for name in names)


def _listed_labels(text: str) -> list[str]:
    """The first comma-separated list of three or more (or of two, joined by a bar) after a colon or
    a word like "of"."""
    for match in LISTED.finditer(text):
        listed = INSIDE.sub("", match[0])
        announced = listed != match[0] or AFTER.search(
            text[max(match.start() - ANNOUNCEMENT, 0) : match.start()]
        )
        names = [item.strip("`\"'*") for item in SEPARATOR.split(listed)]
        if announced and (len(names) > 2 or "|" in listed):
            return names
    return []


def propose_answer(prompt: Prompt) -> TextGenerator | None:
    """Answer with a label; None where the prompt offers none."""
    offered = find_labels(prompt.instructions) or find_labels(prompt.question)
    return _answer_label(prompt, offered) if len(offered) > 1 else None


def _answer_label(prompt: Prompt, offered: Sequence[Label]) -> TextGenerator:
    asked = find_features(prompt)
    text = text_to_classify(prompt.question, offered)
    label = yield label_candidates(text, offered, prompt.model, asked.bonus)
    return (yield phrase_label(label, asked))


def text_to_classify(question: str, offered: Sequence[Label]) -> str:
    """The question without the paragraphs that list the labels."""
    paragraphs = question.split("\n\n")
    kept = [
        part
        for part in paragraphs
        if sum(name.lower() in part.lower() for name, _ in offered) < len(offered)
    ]
    return "\n\n".join(kept) or question


def label_candidates(
    text: str, offered: Sequence[Label], model: str, bonus: float
) -> list[Candidate]:
    """One candidate per label. Noise hashed from (text, label) makes some texts hard; a helpful
    prompt reduces it."""
    sharpness = max(BASE_SHARPNESS + SHARPNESS_PER_BONUS * bonus + 0.5 * model_strength(model), 0.2)
    noise = NOISE * math.exp(-bonus - 0.5 * model_strength(model))
    words = stems(text)
    candidates = []
    for name, weights in _label_weights(tuple(offered)).items():
        shared, own = (
            hashed_logistic("label", text, name),
            hashed_logistic("model", model, text, name),
        )
        ease = noise * (SHARED_NOISE * shared + OWN_NOISE * own)
        candidates.append(Candidate(name, sharpness * (_matching_weight(words, weights) + ease)))
    return candidates


def _matching_weight(words: set[str], weights: dict[str, float]) -> float:
    """The square root of the matching words' weights: the fifth word adds less than the first.

    `fsum`, because the order of a set differs between processes, and with it the last digit of a
    sum.
    """
    return math.sqrt(math.fsum(weights[word] for word in weights.keys() & words))


@lru_cache(maxsize=64)
def _label_weights(offered: tuple[Label, ...]) -> dict[str, dict[str, float]]:
    """For each label the weight of each stem, divided by the number of labels that the stem
    indicates."""
    vocabulary = {name: label_stems(name) | stems(description) for name, description in offered}
    sharing = Counter(word for words in vocabulary.values() for word in words)
    return {
        name: {word: _word_weight(word, name) / sharing[word] for word in words}
        for name, words in vocabulary.items()
    }


def _word_weight(word: str, name: str) -> float:
    if word in stems(name):
        return NAME_WEIGHT
    return KNOWN_WEIGHT if word in label_stems(name) else DESCRIBED_WEIGHT


def phrase_label(label: str, asked: PromptFeatures) -> list[Candidate]:
    """The bare label where the prompt asks for it (now and then in other words), else a sentence
    with it."""
    sentence = f"This belongs to {label}."
    if asked.marker:
        return [Candidate(f"{asked.marker}: {label}", 3.0), Candidate(sentence, 0.0)]
    if asked.terse:
        return [
            Candidate(label, 4.5),
            Candidate(f"{label.capitalize()}.", 0.5),
            Candidate(sentence, 0.0),
        ]
    return [
        Candidate(sentence, 2.0),
        Candidate(f"I would put this under {label}.", 1.0),
        Candidate(f"Label: {label}", 0.5),
    ]
