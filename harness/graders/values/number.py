"""The number grader: the last number in the answer against the expected one, exactly or within a
tolerance.

How a number is read (docs/graders.md has the table): `,` groups thousands and `.` marks decimals,
as do apostrophes, `_` and narrow spaces for thousands; a group that is not three digits long makes
it a list, of which the last item counts. A hyphen, U+2212 or an en dash is a minus sign unless a
letter or digit stands before it (`3-5` is a range). `%` and a currency sign are units: `25 %` is
25. Numbers are decimals, never floats: no digit is lost, and 0.30 equals 0.3.

An answer is read from its end, a piece at a time, so that a long one takes no more time than it
must: one expression over a text that is nothing but numbers takes time that grows with its square.
"""

from __future__ import annotations

import re
from collections import deque
from decimal import Decimal, DecimalException
from typing import Annotated, Any
from unicodedata import category

import re2
from pydantic import Field, PlainValidator

from harness.config.diagnostics import quote_text, quote_value
from harness.graders.base import (
    EXPECTED,
    Answer,
    Arguments,
    GraderType,
    MisreadNumber,
    Verdict,
    to_text,
)

_TEN_TO_THE = r"10(?:(?:\^|\*\*)[{(]?([-−+]?\d+)|([⁻⁺]?[⁰¹²³⁴-⁹]+))"
_NUMBER = re2.compile(
    r"(?:^|[^\pL\pN_])"  # what stands before it: not a letter, as in H2O, nor a digit
    r"([-−–+]?)(?:[A-Z]{0,3}\p{Sc}\s?)?([-−]?)"  # a sign before or after a currency
    rf"(?:{_TEN_TO_THE}|(?:(\d[\d,'’_\x{{a0}}\x{{2009}}\x{{202f}}]*)(\.\d+)?|(\.\d+))"
    rf"(?:[eE]([-−+]?\d+)|\s?(?:[x×*·⋅]|\\times|\\cdot)\s?{_TEN_TO_THE})?)"
)
MAX_LENGTH = 10_000
"""Characters of a number, or a list of numbers, that is read in any case; one of twice as many is
not."""

_PIECE, _LONGEST_PIECE = 500, 4_000
_BORDER = 32
"""Characters at either end of a piece where a number may not be whole."""

_BARE = re.compile(r"[-+]?\d+(?:\.\d+)?", re.ASCII)
# Besides letters and digits, what may precede a closing number's space without being part of it.
_SEPARATING_PUNCTUATION = ":="
_SEPARATORS = ",'’_\u00a0\u2009\u202f"
_DECIMAL_COMMA = re.compile(r"[-+−–]?\d+,\d+")
_GROUPED = re.compile(rf"\d{{1,3}}([{_SEPARATORS}])\d{{3}}(?:\1\d{{3}})*")
_ASCII = str.maketrans("−–⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "--" + "-+0123456789")


def read_number(text: str) -> Decimal | None:
    """The last number in `text`, None where there is none."""
    closing = _closing_number(text)
    if closing is not None:
        return closing
    last = _find_last_number(text)
    return _to_decimal(*map(_to_ascii, last.groups())) if last else None


def _find_last_number(text: str, piece: int = _PIECE) -> Any:
    """The last match of `_NUMBER`, None where there is none or it is too long to be read."""
    end, length = len(text), piece
    while (digit := _find_last_digit(text, end)) >= 0:
        start = max(0, digit - length)
        matches = _NUMBER.finditer(text[start : digit + _BORDER].encode(errors="replace"))
        last = next(iter(deque(matches, maxlen=1)), None)
        if last is None:
            end, length = start + _BORDER if start else 0, min(2 * length, _LONGEST_PIECE)
        elif not start or last.start() > _BORDER:
            return last
        elif length < MAX_LENGTH:  # it may begin before this piece
            length *= 2
        else:
            return None
    return None


def _find_last_digit(text: str, end: int) -> int:
    while end > 0:
        start = max(0, end - _LONGEST_PIECE)
        found = max([text.rfind(digit, start, end) for digit in "0123456789"])
        if found >= 0:
            return found
        end = start
    return -1


def _closing_number(text: str) -> Decimal | None:
    """The plain number that is the text's last word, as in most answers: read in a tenth of the
    time, and to the same result.

    None where what stands before it could belong to it, as a sign or a currency can (`- 5`, `-$
    5`).
    """
    before, _, word = text.strip().rpartition(" ")
    word = word.removesuffix(".")
    apart = not before or before[-1].isalnum() or before[-1] in _SEPARATING_PUNCTUATION
    bare = apart and len(word) <= MAX_LENGTH and _BARE.fullmatch(word)
    return Decimal(word) if bare else None


def _to_decimal(
    sign: str,
    inner_sign: str,
    power: str,
    raised: str,
    whole: str,
    decimals: str,
    point: str,
    e: str,
    times: str,
    times_raised: str,
) -> Decimal | None:
    digits, listed = _strip_grouping(whole)
    mantissa = digits + decimals + point or "1"
    exponent = power or raised or e or times or times_raised or "0"
    minus = "-" if "-" in (sign, inner_sign) and not listed else ""
    try:
        return Decimal(f"{minus}{mantissa}e{exponent}")
    except DecimalException:  # an exponent of more than eighteen digits
        return None


def _strip_grouping(whole: str) -> tuple[str, bool]:
    """The digits without separators, and whether they were the last item of a list instead."""
    whole = whole.rstrip(_SEPARATORS)
    if _GROUPED.fullmatch(whole):
        return re.sub(r"\D", "", whole), False
    items = re.split(r"\D+", whole)
    return items[-1], len(items) > 1


def _to_ascii(group: bytes | None) -> str:
    return group.decode().translate(_ASCII) if group else ""


def read_exact_number(text: str) -> Decimal:
    """The one number in `text`, which is meant as nothing else: unlike an answer, what is expected
    must not be guessed. Raises MisreadNumber where it holds more numbers, or could be read
    otherwise; ValueError where it holds none.
    """
    bare = text.strip()
    if len(bare) <= MAX_LENGTH and _BARE.fullmatch(bare):
        return Decimal(bare)
    shown = quote_value(text)
    if len(text) > 2 * MAX_LENGTH:
        raise MisreadNumber(f"{shown} is too long for a number")
    found = list(_NUMBER.finditer(text.encode(errors="replace")))
    if not found and not any(map(str.isdecimal, text)):
        raise ValueError(f"there is no number in {shown}")
    groups = [_to_ascii(group) for group in found[0].groups()] if len(found) == 1 else []
    is_list = bool(groups) and _strip_grouping(groups[4])[1]
    if is_list and _DECIMAL_COMMA.fullmatch(bare):
        raise MisreadNumber(
            f"{shown} has a decimal comma; write {bare.replace(',', '.')}, or for a whole column"
            """ {file: …, expected: "{{ expected | replace(',', '.') }}"}"""
        )
    number = None if is_list or not groups else _to_decimal(*groups)
    if number is None or _count_numerals(found[0][0].decode()) != _count_numerals(text):
        raise MisreadNumber(
            f"{shown} is not exactly one number; write the number alone, such as 1234.5"
        )
    return number


def _count_numerals(text: str) -> int:
    return sum(category(character).startswith("N") for character in text)


def _parse_expected(value: Any) -> Decimal:
    """What a suite or a case gives as a number: a number, or a text that holds exactly one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError("must be a number, or text that contains one")  # noqa: TRY004 - pydantic's contract
    number = read_exact_number(value) if isinstance(value, str) else Decimal(str(value))
    if not number.is_finite():
        raise ValueError(f"there is no number in {quote_text(to_text(value), 40)}")
    return number


class Number(Arguments):
    """Arguments of `number`; the larger of the two tolerances counts."""

    expected: Annotated[
        Decimal, PlainValidator(_parse_expected, json_schema_input_type=float | str)
    ] = Field(EXPECTED, description="The expected number; text must hold exactly one.")
    tolerance: Decimal = Field(Decimal(0), ge=0, description="The absolute tolerance.")
    relative: Decimal = Field(
        Decimal(0),
        ge=0,
        description="The relative tolerance, as a share of the expected number: 0.01 is 1 %.",
    )


def _grade_number(arguments: Number, answer: Answer) -> Verdict:
    found = read_number(answer.text)
    if found is None:
        return Verdict(False, f"no number in {quote_text(answer.text)}")
    passed = found == arguments.expected or _is_near(found, arguments)
    return Verdict(
        passed,
        (
            ""
            if passed
            else (
                f"expected {arguments.expected}, read {quote_text(str(found))} in"
                f" {quote_text(answer.text)}"
            )
        ),
    )


def _is_near(found: Decimal, arguments: Number) -> bool:
    try:
        allowed = max(arguments.tolerance, arguments.relative * abs(arguments.expected))
        return abs(found - arguments.expected) <= allowed
    except DecimalException:  # 1e9999999: too large to subtract, so not near
        return False


number_grader = GraderType(
    "number", Number, _grade_number, short="expected", summary="has this number as its last one"
)
