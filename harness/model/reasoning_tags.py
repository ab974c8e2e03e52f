"""Tells reasoning that a model wrote into its answer, between tags such as `<think>`, from the
answer."""

from __future__ import annotations

import re
from functools import lru_cache

REASONING_TAGS = ("think", "thinking", "reasoning")
"""The names of the tags that open models put around their reasoning."""


def split_reasoning(text: str, tags: tuple[str, ...] = REASONING_TAGS) -> tuple[str, str | None]:
    """(reasoning, answer) of a text with tags; the answer is None where the text ends inside its
    reasoning.

    A block begins where its opening tag stands at the start of the text or of a line. A closing tag
    without an opening one ends reasoning that began with the text: chat templates often write the
    opening tag themselves.
    """
    opening, closing = _tag_patterns(tags)
    reasoning: list[str] = []
    answer: list[str] = []
    end = closing.search(text)
    start = opening.search(text)
    at = 0
    if end is not None and (start is None or end.start() < start.start()):
        reasoning.append(text[: end.start()])
        at = end.end()
    while (start := opening.search(text, at)) is not None:
        answer.append(text[at : start.start()])
        end = closing.search(text, start.end())
        if end is None:
            reasoning.append(text[start.end() :])
            before = "".join(answer)
            return _join(reasoning), before if before.strip() else None
        reasoning.append(text[start.end() : end.start()])
        at = end.end()
    answer.append(text[at:])
    return _join(reasoning), "".join(answer).strip("\n") if reasoning else text


def _join(reasoning: list[str]) -> str:
    return "\n".join(part.strip() for part in reasoning)


@lru_cache
def _tag_patterns(tags: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    names = "|".join(map(re.escape, tags))
    return (
        re.compile(rf"(?:\A\s*|^[ \t]*)<(?:{names})>", re.IGNORECASE | re.MULTILINE),
        re.compile(rf"</(?:{names})>", re.IGNORECASE),
    )
