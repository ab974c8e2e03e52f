"""LLM-as-judge: grades an answer by what the rubric quotes or expects, and by the words they share.

The prompt delimits its parts by tags (`<rubric …>` … `</rubric …>`, `<answer-7f>` …
`</answer-7f>`); a part ends only at the closing tag with the same marker, so that an answer cannot
end itself. The verdict is a boolean or a number, as the schema or the JSON in the prompt has it.

What decides, in this order: phrases that the rubric quotes (those in a sentence with "not" must be
missing), the expected answer it states, else the share of its words that the answer has. Enough for
a judge that is right on clear cases, wrong on others, and deterministic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import TextGenerator
from harness.simulator.model.skills.lexicon import stems
from harness.simulator.model.types import Prompt

RUBRIC_NAMES = ("rubric", "criteria", "criterion")
ANSWER_NAMES = ("answer", "response", "submission", "output")
VERDICT_NAMES = re.compile(r"pass|correct|verdict|score|rating|grade|accept", re.IGNORECASE)
MAX_CHARACTERS = 20_000

PART = re.compile(
    r"<(?P<name>[a-z]+)(?P<mark>[-_:. ]?[^<>]{0,80})>\n?(?P<text>.*?)\n?</(?P=name)(?P=mark)>",
    re.DOTALL,
)
QUOTED = re.compile(r"[\"“`]([^\"”`\n]{1,200})[\"”`]")
EXPECTED = re.compile(
    r"\b(?:expected|reference|correct|right)(?: answer)?(?: is)?:[ \t]*(\S[^\n]*)", re.IGNORECASE
)
FORBIDS = re.compile(r"\b(?:not|never|no|without|avoids?|must not|n't)\b", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
SHOWN_SCALE = re.compile(
    r"\"(?P<name>\w+)\": (?:an? )?(?:whole )?(?:number|integer)s? from"
    r" (?P<low>\d+)\D{1,20}?(?P<high>\d+)"
)
SHOWN_FLAG = re.compile(r"\"(?P<name>\w+)\": (?:true|false)\b")
SURE = 4.0


class VerdictScale(NamedTuple):
    """The key of the verdict and its range; a boolean has none."""

    name: str
    low: int = 0
    high: int = 0


def propose_answer(prompt: Prompt) -> TextGenerator | None:
    """Answer with a verdict; None unless the prompt has a rubric and an answer and asks for a
    verdict in JSON."""
    scale = _asked_scale(prompt)
    if scale is None or not any(f"<{name}" in prompt.question for name in RUBRIC_NAMES):
        return None
    parts: dict[str, str] = {}
    for match in PART.finditer(prompt.question):
        parts.setdefault(match["name"], match["text"])
    rubric, answer = _first_part(parts, RUBRIC_NAMES), _first_part(parts, ANSWER_NAMES)
    if rubric is None or answer is None:
        return None
    return _judge_answer(rubric[:MAX_CHARACTERS], answer[:MAX_CHARACTERS], scale)


def _first_part(parts: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((parts[name] for name in names if name in parts), None)


def _asked_scale(prompt: Prompt) -> VerdictScale | None:
    """The scale in the schema, else the one that the instructions show."""
    properties = (prompt.schema or {}).get("properties")
    if isinstance(properties, dict):
        return next(
            filter(None, (_scale_of(name, member) for name, member in properties.items())), None
        )
    if shown := SHOWN_SCALE.search(prompt.instructions):
        return VerdictScale(shown["name"], int(shown["low"]), int(shown["high"]))
    shown = SHOWN_FLAG.search(prompt.instructions)
    return VerdictScale(shown["name"]) if shown else None


def _scale_of(name: str, member: Any) -> VerdictScale | None:
    if not isinstance(member, dict) or not VERDICT_NAMES.search(name):
        return None
    if member.get("type") == "boolean":
        return VerdictScale(name)
    if member.get("type") not in ("integer", "number"):
        return None
    options = member.get("enum") or [member.get("minimum", 0), member.get("maximum", 1)]
    numbers = [value for value in options if isinstance(value, int)]
    return VerdictScale(name, min(numbers), max(numbers)) if numbers else None


def _judge_answer(rubric: str, answer: str, scale: VerdictScale) -> TextGenerator:
    share, reason = score_answer(rubric, answer)
    verdict = yield list(_verdict_candidates(share, scale))
    return json.dumps({"reason": reason, scale.name: json.loads(verdict)})


def _verdict_candidates(share: float, scale: VerdictScale) -> Iterator[Candidate]:
    """Every verdict on the scale; the nearer to the answer's score, the likelier."""
    if scale.low == scale.high:
        yield Candidate("true", SURE * (share - 0.5))
        yield Candidate("false", SURE * (0.5 - share))
        return
    width = scale.high - scale.low
    for value in range(scale.low, scale.high + 1):
        yield Candidate(str(value), -SURE * abs((value - scale.low) / width - share))


def score_answer(rubric: str, answer: str) -> tuple[float, str]:
    """The share of the rubric's demands that the answer meets, from 0 to 1, and the reason."""
    words = _plain_words(answer)
    if not words:
        return 0.0, "The answer is empty."
    demands = [
        *_quoted_demands(rubric),
        *((_plain_words(match[1]), False) for match in EXPECTED.finditer(rubric)),
    ]
    if demands:
        missed = [text for text, forbidden in demands if (f" {text} " in f" {words} ") == forbidden]
        reason = (
            f"It does not meet what is asked of: {', '.join(missed)}."
            if missed
            else "It has what is asked for."
        )
        return 1 - len(missed) / len(demands), reason
    wanted = stems(rubric)
    share = min(1.0, 2 * len(wanted & stems(answer)) / max(len(wanted), 1))
    return share, f"It touches {share:.0%} of what the rubric speaks of."


def _quoted_demands(rubric: str) -> Iterator[tuple[str, bool]]:
    """(phrase, whether it must be missing) for every quotation."""
    for sentence in SENTENCE_END.split(rubric):
        forbidden = FORBIDS.search(QUOTED.sub("", sentence)) is not None
        yield from (
            (_plain_words(match[1]), forbidden)
            for match in QUOTED.finditer(sentence)
            if _plain_words(match[1])
        )


def _plain_words(text: str) -> str:
    """Lower-case words and numbers, separated by single spaces."""
    return " ".join(re.findall(r"[^\W_]+(?:[.,'][^\W_]+)*", text.lower()))
