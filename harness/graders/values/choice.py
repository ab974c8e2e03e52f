r"""The choice grader, and how an answer's choice among options is read: by letter or by text.

What the answer marks more strongly wins: a stated choice (`Answer: B`, `\boxed{B}`) over one in
bold, that over one in parentheses (`(B)`, `B.`), that over a bare letter or an option's text.
Two different choices of the same strength are no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from string import ascii_uppercase
from typing import Any

from msgspec import Struct
from pydantic import Field, ValidationInfo, field_validator

from harness.config.diagnostics import quote_text
from harness.graders.base import EXPECTED, Answer, Arguments, GraderType, PlainText, Verdict
from harness.graders.text.latex_boxes import find_boxed

_STATEMENT = re.compile(
    r"####|答案(?:是|为)?|\b(?:answer|choice|option|choose|select|pick)\b"
    r"(?:[^.:：=\n]{0,40}?(?:[:：=]|\b(?:is|would be|must be|should be)\b(?!\s+not\b)))?"
    r"(?:[\s*_]*[:：])?",
    re.IGNORECASE,
)
_OPENING = (
    r"[\s*_`\"'“$({\[<:：]*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?"
    r"(?:(?:(?:the\s+)?(?:option|choice|letter)|indeed|clearly|therefore)[\s*_(]+)?[({\[*_]*"
)
_ARTICLE = r"(?!\s+(?!(?:because|since|as|is|and|but|for|due|which|in|with|or)\b)[a-z])"
_LETTER = rf"(?:[B-HJ-Zb-z]|[AaI]{_ARTICLE})(?![\w'’]|-\w)"
_STATED = re.compile(rf"{_OPENING}({_LETTER})")
_ALONE = re.compile(r"[\W_]*([A-Za-z])[\W_]*")
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^\n]{1,300}?)(?<=\S)\1")
_BOLD_LETTER = re.compile(r"\(?([A-Za-z])(?:[.):\]]|$)")
_IN_PARENTHESES = re.compile(
    r"(?<!\w)[(\[]\s*([A-Za-z])\s*[)\]]|(?:^|(?<=\n))[ \t>*_]*([A-Za-z])[*_]*[).:](?=\s|$|[*_])"
)
_BARE = re.compile(
    rf"(?<![\w'’-])(?<!not )(?:([B-HJ-Z])(?![\w'’]|-\w)|(A){_ARTICLE}(?![\w'’]|-\w))"
)
_PASSAGE, _MOST_MARKS = 300, 1_000
MAX_LENGTH = 20_000
"""Characters at the end of an answer in which its choice is looked for."""

MOST_OPTIONS = len(ascii_uppercase)


class Choices(Arguments):
    """The options to choose from."""

    options: tuple[PlainText, ...] = Field(
        description="The options: letters, or texts, which have the letters A, B, C, … in this"
        " order."
    )

    @field_validator("options")
    @classmethod
    def _check_distinct(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        if not 2 <= len(options) <= MOST_OPTIONS:
            raise ValueError(f"there must be 2 to {MOST_OPTIONS} options, not {len(options)}")
        folded = [option.strip().casefold() for option in options]
        if "" in folded or len(set(folded)) < len(folded):
            raise ValueError("the options must be different texts, none of them empty")
        return options


class ChoiceReader(Struct, frozen=True):
    """Reads the choice among some options: what each letter and each text, case folded, stands for,
    and the expression that finds a text."""

    by_letter: dict[str, str]
    by_text: dict[str, str]
    text: re.Pattern[str]

    def read(self, answer: str) -> str | None:
        """The option that `answer` chooses, as written; None where it chooses none, or several."""
        answer = answer[-MAX_LENGTH:]
        whole = self._name(answer.strip(" \t\r\n.!*_`\"'"))
        alone = _ALONE.fullmatch(answer.strip()[:_PASSAGE])
        if whole is not None:
            return whole
        if alone is not None:
            return self.by_letter.get(alone[1].upper())
        for strength in (self._stated, self._bold, self._in_parentheses, self._bare):
            found = set(islice(strength(answer), _MOST_MARKS))
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    def _name(self, text: str) -> str | None:
        return self.by_text.get(" ".join(text.split()).casefold())

    def _texts(self, passage: str) -> Iterator[str]:
        return filter(None, (self._name(found[0]) for found in self.text.finditer(passage)))

    def _stated(self, answer: str) -> Iterator[str | None]:
        """What the answer states; None where that is a letter without an option."""
        for box in find_boxed(answer)[:_MOST_MARKS]:
            yield from self._state(box)
        for mark in islice(_STATEMENT.finditer(answer), _MOST_MARKS):
            passage = answer[mark.end() : mark.end() + _PASSAGE].lstrip().partition("\n")[0]
            if (
                mark[0][-1:] in ":：=#是为"
                or mark[0].lower().endswith(("is", "be"))
                or _is_verb(mark)
            ):
                yield from self._state(passage)

    def _state(self, passage: str) -> Iterator[str | None]:
        letter = _STATED.match(passage)
        if letter is not None:
            yield self.by_letter.get(letter[1].upper())
            return
        named = set(self._texts(passage)) or set(self._in_parentheses(passage))
        yield from named

    def _bold(self, answer: str) -> Iterator[str]:
        for bold in _BOLD.finditer(answer):
            letter = _BOLD_LETTER.match(bold[2])
            option = self._name(bold[2].strip(" .:")) or (
                self.by_letter.get(letter[1].upper()) if letter else None
            )
            if option is not None:
                yield option

    def _in_parentheses(self, answer: str) -> Iterator[str]:
        for found in _IN_PARENTHESES.finditer(answer):
            option = self.by_letter.get((found[1] or found[2]).upper())
            if option is not None:
                yield option

    def _bare(self, answer: str) -> Iterator[str]:
        yield from self._texts(answer)
        for found in _BARE.finditer(answer):
            option = self.by_letter.get(found[1] or found[2])
            if option is not None:
                yield option


def _is_verb(mark: re.Match[str]) -> bool:
    return mark[0].lower() in ("choose", "select", "pick")


@lru_cache(256)
def make_reader(options: Sequence[str]) -> ChoiceReader:
    """The reader of choices among `options`."""
    names = [" ".join(option.split()) for option in options]
    are_letters = all(len(name) == 1 and name.isalpha() for name in names)
    letters = [name.upper() for name in names] if are_letters else ascii_uppercase
    by_text = {} if are_letters else dict(zip(map(str.casefold, names), options, strict=True))
    longest_first = sorted(by_text and names, key=len, reverse=True)
    words = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in longest_first) or r"(?!)"
    return ChoiceReader(
        dict(zip(letters, options, strict=False)),
        by_text,
        re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE),
    )


class Choice(Choices):
    """Arguments of `choice`."""

    expected: PlainText = Field(
        EXPECTED, description="The expected option: its text, or its letter."
    )

    @field_validator("expected")
    @classmethod
    def _find_option(cls, expected: str, info: ValidationInfo) -> str:
        options = info.data.get("options")
        if options is None:
            return expected
        reader, name = make_reader(options), " ".join(expected.split())
        found = reader.by_text.get(name.casefold()) or reader.by_letter.get(name.upper())
        if found is None:
            listed = ", ".join(map(quote_text, options))
            raise ValueError(f"must be one of the options, {listed}, or the letter of one")
        return found


def _grade_choice(arguments: Choice, answer: Answer) -> Verdict:
    chosen = make_reader(arguments.options).read(answer.text)
    if chosen is None:
        return Verdict(False, f"no single choice in {quote_text(answer.text)}", unparsed=True)
    passed = chosen == arguments.expected
    reason = f"expected {quote_text(arguments.expected)}, chose {quote_text(chosen)}"
    return Verdict(passed, "" if passed else reason)


choice_grader: GraderType[Any] = GraderType(
    "choice", Choice, _grade_choice, short="options", summary="chooses this option"
)
