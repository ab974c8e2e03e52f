"""Steps that look for marked parts of an answer: reasoning, fence, boxed, xml."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Literal

from pydantic import Field, field_validator

from harness.config.diagnostics import quote_text
from harness.graders.base import Answer, Arguments, ExtractionStep, NothingToExtract
from harness.graders.text.fenced_blocks import find_fenced_blocks
from harness.graders.text.latex_boxes import find_boxed
from harness.model.reasoning_tags import split_reasoning


class ReasoningRemoval(Arguments):
    """Arguments of `reasoning`."""

    action: Literal["drop"] = Field("drop", description="drop: the text without its reasoning.")


def _drop_reasoning(_: ReasoningRemoval, answer: Answer) -> str:
    reasoning, text = split_reasoning(answer.text)
    if text is None:
        raise NothingToExtract(f"the answer ends inside its reasoning: {quote_text(reasoning)}")
    return text


class Fence(Arguments):
    """Arguments of `fence`."""

    language: str = Field(
        "any",
        description="The language that the fence names, such as json or python; `any` takes any"
        " block. A block without a language counts where none has the right one.",
    )
    which: Literal["first", "last"] = Field(
        "last", description="Which block counts, where there are several."
    )

    @field_validator("language")
    @classmethod
    def _fold(cls, language: str) -> str:
        return language.strip().lower()


_ALIASES = {"py": "python", "python3": "python", "js": "javascript", "yml": "yaml", "sh": "bash"}


def _take_fenced(arguments: Fence, answer: Answer) -> str:
    blocks = find_fenced_blocks(answer.text)
    if arguments.language != "any":
        wanted = _ALIASES.get(arguments.language, arguments.language)
        labelled = [each for each in blocks if _ALIASES.get(each.label, each.label) == wanted]
        blocks = labelled or [each for each in blocks if not each.label]
    if not blocks:
        kind = "" if arguments.language == "any" else f"{arguments.language} "
        raise NothingToExtract(
            f"there is no {kind}block between fences in {quote_text(answer.text)}"
        )
    return blocks[0 if arguments.which == "first" else -1].text


class Box(Arguments):
    r"""Arguments of `boxed`."""

    which: Literal["first", "last"] = Field(
        "last", description="Which box counts, where there are several."
    )


def _take_boxed(arguments: Box, answer: Answer) -> str:
    found = find_boxed(answer.text)
    if not found:
        raise NothingToExtract(rf"there is no \boxed{{…}} in {quote_text(answer.text)}")
    return found[0 if arguments.which == "first" else -1]


class Tag(Arguments):
    """Arguments of `xml`."""

    tag: str = Field(
        pattern=r"^[A-Za-z_][\w.-]*$",
        description="The tag's name: `answer` takes <answer>…</answer>.",
    )
    which: Literal["first", "last"] = Field(
        "last", description="Which element counts, where there are several."
    )


def _take_element(arguments: Tag, answer: Answer) -> str:
    name = re.escape(arguments.tag)
    starts = [
        each.end() for each in re.finditer(rf"<{name}(?:\s[^<>]*)?>", answer.text, re.IGNORECASE)
    ]
    ends = [each.start() for each in re.finditer(rf"</{name}\s*>", answer.text, re.IGNORECASE)]
    if ends and arguments.which == "last":
        starts = [start for start in starts if start <= ends[-1]][-1:]
    for start in starts[:1]:
        for end in ends[bisect_left(ends, start) :][:1]:
            return answer.text[start:end]
    raise NothingToExtract(
        f"there is no <{arguments.tag}>…</{arguments.tag}> in {quote_text(answer.text)}"
    )


reasoning_step = ExtractionStep(
    "reasoning",
    ReasoningRemoval,
    _drop_reasoning,
    short="action",
    summary="the text without the reasoning between <think> tags",
)
fence_step = ExtractionStep(
    "fence",
    Fence,
    _take_fenced,
    short="language",
    summary="what a Markdown fence of a language holds",
)
boxed_step = ExtractionStep(
    "boxed", Box, _take_boxed, short="which", summary=r"what LaTeX's \boxed{…} holds"
)
xml_step = ExtractionStep(
    "xml", Tag, _take_element, short="tag", summary="what an XML element holds"
)
