"""Graders that compare the answer's text with another: equals, contains, icontains, starts_with,
ends_with, one_of.

`ignore_case` compares case-folded (`ß` equals `SS`); `strip` takes white space off both ends of
both texts.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from harness.config.diagnostics import quote_text
from harness.config.units import Flag
from harness.graders.base import (
    EXPECTED,
    Answer,
    Arguments,
    GraderType,
    PlainText,
    Verdict,
    to_text,
)


class TextFolding(Arguments):
    """What two texts are compared without."""

    ignore_case: Flag = Field(False, description="Whether to ignore case.")
    strip: Flag = Field(True, description="Whether to ignore white space at both ends.")

    def normalize(self, text: str) -> str:
        """`text` as these arguments compare it."""
        text = text.strip() if self.strip else text
        return text.casefold() if self.ignore_case else text


class TextComparison(TextFolding):
    """Arguments of a grader that compares with one text."""

    value: PlainText = Field(
        EXPECTED, description="The text to compare with; anything else counts as its JSON text."
    )


def _grade_equals(arguments: TextComparison, answer: Answer) -> Verdict:
    return _match_verdict(
        arguments.normalize(answer.text) == arguments.normalize(arguments.value),
        arguments.value,
        answer,
    )


def _grade_starts_with(arguments: TextComparison, answer: Answer) -> Verdict:
    return _match_verdict(
        arguments.normalize(answer.text).startswith(arguments.normalize(arguments.value)),
        arguments.value,
        answer,
    )


def _grade_ends_with(arguments: TextComparison, answer: Answer) -> Verdict:
    return _match_verdict(
        arguments.normalize(answer.text).endswith(arguments.normalize(arguments.value)),
        arguments.value,
        answer,
    )


def _match_verdict(passed: bool, wanted: str, answer: Answer) -> Verdict:
    return Verdict(
        passed, "" if passed else f"expected {quote_text(wanted)}, got {quote_text(answer.text)}"
    )


class Containment(Arguments):
    """Arguments of a grader that looks for one or more texts in the answer."""

    value: tuple[PlainText, ...] = Field(
        EXPECTED, description="The text to find, or a list of them."
    )
    mode: Literal["all", "any"] = Field(
        "all", description="Whether all texts of a list must be found, or any one."
    )

    @field_validator("value", mode="before")
    @classmethod
    def _check_texts(cls, value: Any) -> list[str]:
        texts = (
            [to_text(each) for each in value]
            if isinstance(value, list | tuple)
            else [to_text(value)]
        )
        if not texts or not all(texts):
            raise ValueError(
                "the text to look for must not be empty; every answer contains the empty text"
            )
        return texts


def _grade_contains(arguments: Containment, answer: Answer) -> Verdict:
    return _containment_verdict(arguments, answer, answer.text, arguments.value)


def _grade_icontains(arguments: Containment, answer: Answer) -> Verdict:
    return _containment_verdict(
        arguments,
        answer,
        answer.text.casefold(),
        tuple(text.casefold() for text in arguments.value),
    )


def _containment_verdict(
    arguments: Containment, answer: Answer, text: str, wanted: tuple[str, ...]
) -> Verdict:
    missing = [
        original for original, each in zip(arguments.value, wanted, strict=True) if each not in text
    ]
    passed = not missing if arguments.mode == "all" else len(missing) < len(wanted)
    return Verdict(
        passed,
        "" if passed else f"{', '.join(map(quote_text, missing))} not in {quote_text(answer.text)}",
    )


class OneOf(TextFolding):
    """Arguments of `one_of`."""

    values: tuple[PlainText, ...] = Field(
        min_length=1, description="The texts that the answer may equal."
    )


def _grade_one_of(arguments: OneOf, answer: Answer) -> Verdict:
    passed = arguments.normalize(answer.text) in map(arguments.normalize, arguments.values)
    return Verdict(
        passed,
        ""
        if passed
        else f"{quote_text(answer.text)} is none of {', '.join(map(quote_text, arguments.values))}",
    )


equals_grader = GraderType(
    "equals", TextComparison, _grade_equals, short="value", summary="equals this text"
)
starts_with_grader = GraderType(
    "starts_with",
    TextComparison,
    _grade_starts_with,
    short="value",
    summary="starts with this text",
)
ends_with_grader = GraderType(
    "ends_with", TextComparison, _grade_ends_with, short="value", summary="ends with this text"
)
contains_grader = GraderType(
    "contains",
    Containment,
    _grade_contains,
    short="value",
    summary="contains this text, or these texts",
)
icontains_grader = GraderType(
    "icontains",
    Containment,
    _grade_icontains,
    short="value",
    summary="contains this text, ignoring case",
)
one_of_grader = GraderType(
    "one_of", OneOf, _grade_one_of, short="values", summary="equals one of these texts"
)
