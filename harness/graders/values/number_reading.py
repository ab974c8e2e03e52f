"""Reads the number that an answer gives, or that is expected.

An answer is read from its end or its beginning, a piece at a time, so that a long one takes no more
time than it must: one expression over a text that is nothing but numbers takes time that grows with
its square.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Literal
from unicodedata import category

from pydantic import Field

from harness.config.diagnostics import quote_value
from harness.config.units import Flag
from harness.graders.base import Arguments, MisreadNumber
from harness.graders.text.latex_boxes import find_boxed
from harness.graders.values.number_grammar import (
    DIGIT,
    NumberValue,
    Numeral,
    evaluate_numeral,
    find_numeral,
    to_plain_form,
)
from harness.graders.values.number_words import replace_number_words

MAX_LENGTH = 10_000
"""Characters of a number, or a list of numbers, that is read in any case; one of twice as many is
not."""

_PIECE, _LONGEST_PIECE, _MOST_PIECES = 500, 4_000, 16
"""Characters of the pieces that are searched for a number, and how many with digits that are no
numbers are."""

_BORDER = 32
"""Characters at either end of a piece where a number may not be whole."""

_BARE = re.compile(r"[-+]?\d+(?:\.\d+)?", re.ASCII)
# Besides letters and digits, what may precede a closing number's space without being part of it.
_SEPARATING_PUNCTUATION = ":="
_DECIMAL_COMMA = re.compile(r"[-+−–]?\d+,\d+")


class NumberReading(Arguments):
    """How a number is read: arguments that `number` has as a grader and as a step."""

    which: Literal["last", "first", "only", "marked"] = Field(
        "last",
        description=r"Which number counts, where there are several; `marked` is the one after"
        r" ####, in \boxed{}, after `Answer:` or `answer is`, or in bold, else the last one; with"
        " `only`, an answer with several has none.",
    )
    percent: Flag = Field(
        False, description="Whether `25 %` is 0.25, in what is expected too; else it is 25."
    )
    decimal: Literal[".", ","] = Field(
        ".", description="The decimal point; with a comma, `.` groups thousands."
    )


def read_number(text: str, reading: NumberReading = NumberReading()) -> NumberValue | None:  # noqa: B008 - frozen
    """The number in `text` that counts, None where there is none."""
    if reading.which == "last" and reading.decimal == ".":
        closing = _closing_number(text)
        if closing is not None:
            return closing
    if "&" in text:
        from html import unescape  # noqa: PLC0415 - 2 ms that few answers need

        text = unescape(text)
    if DIGIT.search(text) is None:
        text = replace_number_words(text)
    return _READERS[reading.which](text, reading)


def _read_last(text: str, reading: NumberReading) -> NumberValue | None:
    found = find_last_number(text, reading)
    return None if found is None else evaluate_numeral(found[0], percent=reading.percent)[0]


def _read_first(text: str, reading: NumberReading) -> NumberValue | None:
    found = find_first_number(text, reading)
    if found is None:
        return None
    return evaluate_numeral(found[0], percent=reading.percent, item="first")[0]


def _read_only(text: str, reading: NumberReading) -> NumberValue | None:
    first, last = find_first_number(text, reading), find_last_number(text, reading)
    if first is None or last is None or first[1] != last[1]:
        return None
    value, listed = evaluate_numeral(last[0], percent=reading.percent)
    return None if listed else value


def _read_marked(text: str, reading: NumberReading) -> NumberValue | None:
    for passage in _find_marked(text):
        value = _read_first(passage, reading)
        if value is not None:
            return value
    return _read_last(text, reading)


_READERS: Mapping[str, Callable[[str, NumberReading], NumberValue | None]] = {
    "last": _read_last,
    "first": _read_first,
    "only": _read_only,
    "marked": _read_marked,
}


def find_last_number(
    text: str, reading: NumberReading, piece: int = _PIECE
) -> tuple[Numeral, int] | None:
    """The last number of `text` and where it ends, None where there is none or it is too long to be
    read."""
    end, length = len(text), piece
    for _ in range(_MOST_PIECES):
        digit = _find_last_digit(text, end)
        if digit < 0:
            return None
        start = max(0, digit - length)
        encoded = _encode(text[start : digit + _BORDER], reading)
        last = find_numeral(encoded)
        if last is None:
            end, length = start + _BORDER if start else 0, min(2 * length, _LONGEST_PIECE)
        elif not start or last.start > _BORDER:
            return last, start + len(encoded[: last.end].decode())
        elif length < MAX_LENGTH:  # it may begin before this piece
            length *= 2
        else:
            return None
    return None


def find_first_number(
    text: str, reading: NumberReading, piece: int = _PIECE
) -> tuple[Numeral, int] | None:
    """The first number of `text` and where it ends, None where there is none or it is too long to
    be read."""
    place, length = 0, piece
    for _ in range(_MOST_PIECES):
        digit = DIGIT.search(text, place)
        if digit is None:
            return None
        start, end = max(0, digit.start() - _BORDER), digit.start() + length
        encoded = _encode(text[start:end], reading)
        # The first characters of a piece may be the rest of a number before it.
        first = find_numeral(encoded, "first", cut=_BORDER // 4 if start else 0)
        if first is not None and (end >= len(text) or first.end < len(encoded) - 4 * _BORDER):
            return first, start + len(encoded[: first.end].decode())
        if first is None:
            place, length = end - _BORDER, min(2 * length, _LONGEST_PIECE)
        elif length < MAX_LENGTH:  # it may end behind this piece
            length *= 2
        else:
            return None
    return None


def _encode(text: str, reading: NumberReading) -> bytes:
    return to_plain_form(text, decimal_comma=reading.decimal == ",").encode(errors="replace")


def _find_last_digit(text: str, end: int) -> int:
    while end > 0:
        start = max(0, end - _LONGEST_PIECE)
        found = DIGIT.search(text[start:end][::-1])
        if found is not None:
            return end - 1 - found.start()
        end = start
    return -1


def _closing_number(text: str) -> Decimal | None:
    """The plain number that is the text's last word, as in most answers: read in a tenth of the
    time, and to the same result.

    None where what stands before it could belong to it, as a sign, a currency or LaTeX can (`- 5`,
    `-$ 5`, `\\frac 3 4`).
    """
    before, _, word = text.strip().rpartition(" ")
    word = word.removesuffix(".")
    apart = not before or before[-1].isalnum() or before[-1] in _SEPARATING_PUNCTUATION
    bare = apart and len(word) <= MAX_LENGTH and _BARE.fullmatch(word)
    return Decimal(word) if bare and "\\" not in before[-_BORDER:] else None


_ANSWER = re.compile(
    r"####|\banswers?\b[^.\n:：=]{0,40}?(?:[:：=]|\b(?:is|are)\b(?!\s+not\b))", re.IGNORECASE
)
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^\n]{1,200}?)(?<=\S)\1")
_LISTING = re.compile(r"\s*\d+[.)]\s")
_BEGINS_WITH_NUMBER = re.compile(r"[^\w\n]*(?:[A-Z]{0,3}[^\w\n]{1,3})?(?:[dtc]?frac\b|[\d¼-¾⅐-⅞↉])")
_PASSAGE, _MOST_MARKS = 300, 1_000


def _find_marked(text: str) -> Iterator[str]:
    """The passages of `text` that are marked as its answer, the surest first, each cut to where its
    number is the first one."""
    marks = islice(_ANSWER.finditer(text), _MOST_MARKS)
    after = [(mark[0], _first_line(text, mark.end())) for mark in marks]
    yield from (line for marker, line in after if marker == "####" and _begins_with_number(line))
    yield from map(_cut_to_result, find_boxed(text)[:_MOST_MARKS])
    yield from (_cut_to_result(line) for marker, line in after if marker != "####")
    for bold in islice(_BOLD.finditer(text), _MOST_MARKS):
        result = _cut_to_result(bold[2])
        follows = text[bold.end() : bold.end() + 2]
        if _begins_with_number(result + follows):
            yield result


def _first_line(text: str, start: int) -> str:
    """The first line from `start` on that says anything."""
    lines = text[start : start + _PASSAGE].splitlines()
    return next((line for line in lines if any(map(str.isalnum, line))), "")


def _cut_to_result(line: str) -> str:
    """What stands behind the last `=` or `:` of a line, without a remark in parentheses behind
    a number."""
    number, bracket, _ = line.partition(" (")
    line = number if bracket and DIGIT.search(number) else line
    parts = [part for part in re.split(r"[=≈]|:\s", line) if DIGIT.search(part)]
    return parts[-1] if parts else ""


def _begins_with_number(line: str) -> bool:
    """Whether a number comes before any word, and does not number an item of a list."""
    return bool(_BEGINS_WITH_NUMBER.match(line)) and not _LISTING.match(line)


def read_exact_number(text: str, reading: NumberReading = NumberReading()) -> NumberValue:  # noqa: B008 - frozen
    """The one number in `text`, which is meant as nothing else: unlike an answer, what is expected
    must not be guessed. Raises MisreadNumber where it holds more numbers, or could be read
    otherwise; ValueError where it holds none.
    """
    bare = text.strip()
    if reading.decimal == "." and len(bare) <= MAX_LENGTH and _BARE.fullmatch(bare):
        return Decimal(bare)
    shown = quote_value(text)
    if len(text) > 2 * MAX_LENGTH:
        raise MisreadNumber(f"{shown} is too long for a number")
    encoded = _encode(text, reading)
    found = find_numeral(encoded)
    if found is None and DIGIT.search(text) is None:
        raise ValueError(f"there is no number in {shown}")
    number, listed = evaluate_numeral(found, percent=reading.percent) if found else (None, False)
    if listed and _DECIMAL_COMMA.fullmatch(bare):
        raise MisreadNumber(
            f"{shown} has a decimal comma; write {bare.replace(',', '.')}, or"
            """ `decimal: ","` beside `expected`, which is then how answers are read, too"""
        )
    if (
        not found
        or number is None
        or listed
        or _count_numerals(found.text) != _count_numerals(text)
    ):
        raise MisreadNumber(
            f"{shown} is not exactly one number; write the number alone, such as 1234.5"
        )
    return number


def _count_numerals(text: str) -> int:
    return sum(category(character).startswith("N") for character in text)
