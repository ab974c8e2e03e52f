"""What a prompt's wording asks for and how much it helps.

Models do better when they are told the form of the answer, shown a worked example, given definitions, or made to work step by
step; so does this one, by these amounts of logit, and a comparison of two prompts shows a true difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from harness.simulator.model.types import Prompt

ONLY = re.compile(
    r"\b(?:numbers?|digits?|integers?|names?|labels?|queues?|categor(?:y|ies)|words?|values?|results?|answers?|json|object)"
    r"(?:'s name)?(?: alone| only\b|,? (?:and )?nothing else)|\bonly (?:with )?(?:the|a|one)\b|\bjust the\b|\bnothing else\b"
    r"|\bno (?:other|extra|explanation|working|words)\b",
    re.IGNORECASE,
)
EXAMPLE = re.compile(r"\bexamples?\b|\be\.g\.|\bfor instance\b|\bquestion:.{1,200}\banswer:", re.IGNORECASE | re.DOTALL)
STEPS = re.compile(
    r"\bstep[- ]by[- ]step\b|\bthink (?:carefully|first)|\bshow your work|\bwork .{0,20}\bout before", re.IGNORECASE
)
SHOWN_STEPS = re.compile(r"\bstep[- ]by[- ]step\b|\bshow your work|\bexplain\b", re.IGNORECASE)
MARKER = re.compile(
    r"\b(?:end|finish|last line|final line|conclude)\b.{0,60}?[\"'`*]*((?:final )?(?:answer|result)):",
    re.IGNORECASE | re.DOTALL,
)

DEFINITIONS = re.compile(r"(?:^[ \t]*[-*•] ?[\w `\"'*-]{2,30}:.+\s+){2}", re.MULTILINE)

EXAMPLE_HELPS = 0.6
DEFINITIONS_HELP = 0.6
STEPS_HELP = 0.5
FORM_HELPS = 0.4


@dataclass(frozen=True, slots=True)
class PromptFeatures:
    """`bonus` in logits; `terse` asks for the bare answer; `steps` for the working; `marker` introduces the answer."""

    bonus: float
    terse: bool
    steps: bool
    marker: str | None


def find_features(prompt: Prompt) -> PromptFeatures:
    """What the wording of the whole prompt asks for."""
    return _merge_features(prompt.instructions, prompt.question)


@lru_cache(maxsize=1024)
def _read_features(instructions: str) -> tuple[float, bool, bool, str | None]:
    terse = ONLY.search(instructions) is not None
    helps = (
        (EXAMPLE.search(instructions) is not None) * EXAMPLE_HELPS
        + (STEPS.search(instructions) is not None) * STEPS_HELP
        + (DEFINITIONS.search(instructions) is not None) * DEFINITIONS_HELP
        + terse * FORM_HELPS
    )
    marker = MARKER.search(instructions)
    return helps, terse, SHOWN_STEPS.search(instructions) is not None, marker[1] if marker else None


def _merge_features(instructions: str, question: str) -> PromptFeatures:
    helps, terse, steps, marker = _read_features(instructions)
    more, also_terse, also_steps, other_marker = _read_features(question)
    return PromptFeatures(max(helps, more), terse or also_terse, steps or also_steps, marker or other_marker)
