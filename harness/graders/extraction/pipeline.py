"""Runs extraction steps one after the other: each is given what the one before it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from harness.flows.base import Flow
from harness.graders.base import Answer

Extraction: TypeAlias = Callable[[Answer], str | Flow[str]]
"""From an answer to the text that is graded, or the flow that leads to it; raises
NothingToExtract."""


def chain_steps(steps: Sequence[Extraction]) -> Extraction:
    """The steps as one, each given what the one before it took."""

    def extract(answer: Answer) -> str | Flow[str]:
        for place, step in enumerate(steps):
            found = step(answer)
            if not isinstance(found, str):
                return _continue_as_flow(found, steps[place + 1 :], answer)
            answer = replace(answer, text=found)
        return answer.text

    return extract


def _continue_as_flow(found: Flow[str], steps: Sequence[Extraction], answer: Answer) -> Flow[str]:
    answer = replace(answer, text=(yield from found))
    for step in steps:
        text = step(answer)
        answer = replace(answer, text=text if isinstance(text, str) else (yield from text))
    return answer.text
