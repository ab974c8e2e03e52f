"""Features of a prompt's wording: what it asks for, and how much it helps the model.

Models do better when the prompt specifies the form of the answer, shows a worked example, gives
definitions or asks for step-by-step work. So does this one, by these amounts of logit: a comparison
of two prompts shows a true difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from harness.simulator.model.types import Prompt

TERSE = re.compile(
    r"\b(?:numbers?|digits?|integers?|names?|labels?|queues?|categor(?:y|ies)|words?|values?|results?|answers?|json|object)"
    r"(?:'s name)?(?: alone| only\b|,? (?:and )?nothing else)|\bonly (?:with"
    r" )?(?:the|a|one)\b|\bjust the\b|\bnothing else\b"
    r"|\bno (?:other|extra|explanation|working|words)\b",
    re.IGNORECASE,
)
EXAMPLE = re.compile(
    r"\bexamples?\b|\be\.g\.|\bfor instance\b|\bquestion:.{1,200}\banswer:",
    re.IGNORECASE | re.DOTALL,
)
STEPS = re.compile(
    r"\bstep[- ]by[- ]step\b|\bthink (?:carefully|first)|\bshow your work|\bwork .{0,20}\bout"
    r" before",
    re.IGNORECASE,
)
SHOWN_STEPS = re.compile(r"\bstep[- ]by[- ]step\b|\bshow your work|\bexplain\b", re.IGNORECASE)
MARKER = re.compile(
    r"\b(?:end|finish|last line|final line|conclude)\b.{0,60}?[\"'`*]*((?:final"
    r" )?(?:answer|result)):",
    re.IGNORECASE | re.DOTALL,
)

DEFINITIONS = re.compile(r"(?:^[ \t]*[-*•] ?[\w `\"'*-]{2,30}:.+\s+){2}", re.MULTILINE)

EXAMPLE_BONUS = 0.6
DEFINITIONS_BONUS = 0.6
STEPS_BONUS = 0.5
FORM_BONUS = 0.4


@dataclass(frozen=True, slots=True)
class PromptFeatures:
    """`bonus` in logits; `terse` asks for the bare answer, `steps` for the working; `marker`
    introduces the answer."""

    bonus: float
    terse: bool
    steps: bool
    marker: str | None


def find_features(prompt: Prompt) -> PromptFeatures:
    """The features of the whole prompt: instructions and question."""
    first, second = _read_features(prompt.instructions), _read_features(prompt.question)
    return PromptFeatures(
        max(first.bonus, second.bonus),
        first.terse or second.terse,
        first.steps or second.steps,
        first.marker or second.marker,
    )


@lru_cache(maxsize=1024)
def _read_features(text: str) -> PromptFeatures:
    terse = TERSE.search(text) is not None
    bonus = (
        (EXAMPLE.search(text) is not None) * EXAMPLE_BONUS
        + (STEPS.search(text) is not None) * STEPS_BONUS
        + (DEFINITIONS.search(text) is not None) * DEFINITIONS_BONUS
        + terse * FORM_BONUS
    )
    marker = MARKER.search(text)
    return PromptFeatures(
        bonus, terse, SHOWN_STEPS.search(text) is not None, marker[1] if marker else None
    )
