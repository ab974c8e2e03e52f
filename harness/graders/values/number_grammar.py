"""How a number is written, and what value one that is found has.

docs/graders.md has the table. `,` groups thousands and `.` marks decimals, as do apostrophes, `_`
and narrow spaces for thousands; a group that is not three digits long makes it a list. A hyphen,
U+2212 or an en dash is a minus sign unless a letter or digit stands before it (`3-5` is a range).
A number is a Decimal, never a float, so that no digit is lost; a fraction is a Fraction, since 1/3
has no last digit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal, DecimalException
from fractions import Fraction
from typing import Literal, TypeAlias

import re2
from msgspec import Struct

NumberValue: TypeAlias = Decimal | Fraction

_VULGAR = "[¼-¾⅐-⅞↉]"
_SEPARATORS = ",'’_\u00a0\u2009\u202f"
_SPACE = "[ \u00a0\u2009\u202f]"
_GROUPS = rf"\d[\d{_SEPARATORS}]*"
_TERM = r"\d[\d,]*(?:\.\d+)?"
_TEN_TO_THE = r"10(?:(?:\^|\*\*)[{(]?(?P<power%s>[-−+]?\d+)|(?P<raised%s>[⁻⁺]?[⁰¹²³⁴-⁹]+))"
_IN_BRACES = r"\s*(?:\{\s*(?P<%s>[-−+]?\d+)\s*\}|(?P<short_%s>\d))"
_FRACTION = (
    rf"(?:(?P<mixed_latex>\d+){_SPACE}?)?\\?[dtc]?frac"
    + _IN_BRACES % ("over", "over")
    + _IN_BRACES % ("under", "under")
    + rf"|(?:(?P<mixed_slash>\d+){_SPACE})?"
    rf"(?P<numerator>{_TERM}){_SPACE}?[/⁄]{_SPACE}?(?P<denominator>{_TERM})"
    rf"|(?:(?P<mixed_vulgar>{_GROUPS}){_SPACE}?)?(?P<vulgar>{_VULGAR})"
)
_DECIMAL = (
    rf"(?:(?P<whole>{_GROUPS})(?P<decimals>\.\d+)?|(?P<point>\.\d+))"
    r"(?:[eE](?P<e>[-−+]?\d+)"
    rf"|\s?(?:[x×*·⋅]|\\times|\\cdot)\s?{_TEN_TO_THE % ('_times', '_times')})?"
)
_MULTIPLIERS = {
    **{"hundred": 2, "k": 3, "thousand": 3, "m": 6, "mn": 6, "mln": 6, "million": 6},
    **{"b": 9, "bn": 9, "billion": 9, "t": 12, "tn": 12, "trillion": 12},
    **{"lakh": 5, "crore": 7, "万": 4, "萬": 4, "億": 8, "亿": 8},
}
_MULTIPLIER = (
    r"(?:(?:k|(?P<letter>[KMBTmb]))\b(?P<math>\$?)"
    rf"|(?:{_SPACE}|-)?(?:(?i:hundred|thousand|million|billion|trillion|lakh|crore)s?|bn|mn|mln|tn)\b"
    r"|[万萬億亿])"
)
_NUMBER = (
    r"(?P<sign>[-−–+]?)(?:(?P<currency>[A-Z]{0,3}\p{Sc})\s?)?(?P<inner_sign>[-−]?)"
    rf"(?:{_TEN_TO_THE % ('', '')}|{_FRACTION}|{_DECIMAL})"
    rf"(?P<multiplier>{_MULTIPLIER})?"
    rf"(?P<percent>{_SPACE}?\\?(?:[%٪]|(?:percent|per cent|pct)\b))?"
)
# RE2 finds numbers, in linear time; Python's `re`, which names groups cheaply, takes one apart.
_FIND = re2.compile(
    r"[^\pL\pN_]_{0,3}"  # what stands before it: not a letter, as in H2O, nor a digit
    rf"(?:{re.sub(r'[(][?]P<[a-z_]+>', '(?:', _NUMBER)})"  # groups would take half the time
)
_TAKE_APART = re.compile(_NUMBER.replace(r"\p{Sc}", r"[^\w\s.\\+−–¼-¾⅐-⅞↉-]"), re.ASCII)

DIGIT = re.compile(r"[\d¼-¾⅐-⅞↉]")
"""A character without which there is no number."""

_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_OTHER_FORMS = str.maketrans("＋－．／＄％٫٬", "+-./$%.,")
_DECIMAL_COMMA = str.maketrans(",.", ".,")
_ASCII = str.maketrans("−–⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "--" + "-+0123456789")
_GROUPED = re.compile(rf"\d{{1,3}}([{_SEPARATORS}])\d{{3}}(?:\1\d{{3}})*")
_BASE = re.compile(r"(\d+)_\d{1,2}")

_BEFORE_EXPONENT = re.compile(rb"(?:\^\s*[{(]?|_\{)\s*$|[A-Za-z]\*\*$")
_BEFORE_ERROR = re.compile(rb"(?:\xc2\xb1|\\pm|\+/-?)\s*$")
_UNIT_BEFORE_ERROR = re.compile(rb"(?!.*\b(?:and|or)\b)[^,;=\n]{0,12}(?:\xc2\xb1|\\pm|\+/-?)\s*")
_OTHER_BASE = re.compile(rb"[xX][0-9a-fA-F]|[oO][0-7]|[bB][01]")
_EXPONENTS = ("power", "raised", "e", "power_times", "raised_times")
_FRACTION_GROUPS = frozenset(("vulgar", "denominator", "under", "short_under"))
_LOOK_BACK = 24
_MAX_EXPONENT_DIGITS = 100
_MAX_FRACTION_DIGITS = 1_000

Item: TypeAlias = Literal["first", "last"]


def to_plain_form(text: str, *, decimal_comma: bool = False) -> str:
    """`text`, character for character, with the digits 0 to 9 for those of other scripts, and a
    decimal point for a comma where one is meant."""
    if decimal_comma:
        text = text.translate(_DECIMAL_COMMA)
    if text.isascii():
        return text
    return _OTHER_DIGIT.sub(_to_digit, text.translate(_OTHER_FORMS))


def _to_digit(match: re.Match[str]) -> str:
    return str(unicodedata.decimal(match[0]))


class Numeral(Struct, frozen=True):
    """A number as it is written, and where in the UTF-8 text it stands; `after_slash` tells the end
    of a date or path."""

    text: str
    start: int
    end: int
    after_slash: bool = False


def find_numeral(text: bytes, item: Item = "last", cut: int = 0) -> Numeral | None:
    """The first or last number of `text` that begins after `cut` bytes, None where there is none.

    What belongs to a number before it is none: the exponent of its unit, its margin of error.
    """
    text = b"\n" + text  # stands before the first number
    spans = [match.span() for match in _FIND.finditer(text)]
    order = range(len(spans)) if item == "first" else reversed(range(len(spans)))
    for place in order:
        before, end = spans[place]
        start = before + _count_bytes(text[before])
        if start > cut and _stands_alone(text, spans, place, start):
            written = text[start:end].decode().lstrip("_")
            return Numeral(written, start - 1, end - 1, text[before] == ord("/"))
    return None


def _count_bytes(first: int) -> int:
    """How many bytes the UTF-8 character has that begins with this one."""
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)


def _stands_alone(text: bytes, spans: Sequence[tuple[int, int]], place: int, start: int) -> bool:
    end = spans[place][1]
    if text[start - 1] == ord("^"):  # told apart first, since a long answer may hold nothing else
        return False
    before = text[max(0, start - _LOOK_BACK) : start]
    if _BEFORE_EXPONENT.search(before):
        return before.endswith(b"**") and text.startswith(b"**", end)
    if place and _BEFORE_ERROR.search(before):
        return not _UNIT_BEFORE_ERROR.fullmatch(text[spans[place - 1][1] : start])
    return end - start > 1 or text[start:end] != b"0" or _OTHER_BASE.match(text, end) is None


def evaluate_numeral(
    numeral: Numeral, *, percent: bool = False, item: Item = "last"
) -> tuple[NumberValue | None, bool]:
    """The value, of the first or last number where it is a list, and whether it is one. None where
    the number is too large."""
    match = _TAKE_APART.match(numeral.text)
    if match is None:
        return None, False
    groups = {name: group.translate(_ASCII) for name, group in match.groupdict("").items() if group}
    get = groups.get
    minus = "-" in (get("sign"), get("inner_sign"))
    shift = _find_shift(groups) - (2 if percent and "percent" in groups else 0)
    if not _FRACTION_GROUPS.isdisjoint(groups):
        parts = None if numeral.after_slash else _find_parts(groups)
        if parts is not None:
            return _make_fraction(parts, minus, shift), False
        found = get("numerator" if item == "first" else "denominator", "")
        return _make_decimal(_strip_grouping(found, item)[0], "0", shift), True
    digits, listed = _strip_grouping(get("whole", ""), item)
    if listed and item == "last":
        minus = False
    if not (listed and item == "first"):
        digits += get("decimals", "") + get("point", "")
    exponent = next((groups[name] for name in _EXPONENTS if name in groups), "0")
    return _make_decimal(f"{'-' if minus else ''}{digits or '1'}", exponent, shift), listed


def _strip_grouping(whole: str, item: Item) -> tuple[str, bool]:
    """The digits without separators, and whether they were an item of a list instead."""
    whole = whole.rstrip(_SEPARATORS)
    if whole.isdecimal():
        return whole, False
    if _GROUPED.fullmatch(whole):
        return re.sub(r"\D", "", whole), False
    if in_base := _BASE.fullmatch(whole):
        return in_base[1], True
    items = re.split(r"[^\d.]+", whole)
    return items[0 if item == "first" else -1], len(items) > 1


def _find_shift(groups: Mapping[str, str]) -> int:
    """The power of ten of `million` or `k`; a single letter is one only beside a currency, and
    nothing is in LaTeX (`$5k$`)."""
    word = groups.get("multiplier")
    if word is None or "math" in groups or ("letter" in groups and "currency" not in groups):
        return 0
    word = word.strip(" -\u00a0\u2009\u202f").lower()
    return _MULTIPLIERS[word.removesuffix("s")]


def _find_parts(groups: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The whole part, numerator and denominator; None where it is no fraction but, say, a date."""
    get = groups.get
    if "vulgar" in groups:
        whole = _strip_grouping(get("mixed_vulgar", "0"), "last")[0]
        over, _, under = unicodedata.normalize("NFKC", groups["vulgar"]).partition("⁄")
    elif "denominator" in groups:
        whole = get("mixed_slash", "0")
        over, under = (
            _strip_grouping(groups[name], "last")[0] for name in ("numerator", "denominator")
        )
        if any(part[0] == "0" and part[1:2].isdecimal() for part in (over, under)):
            return None
    else:
        whole = get("mixed_latex", "0")
        over, under = get("over") or groups["short_over"], get("under") or groups["short_under"]
    fits = max(map(len, (whole, over, under))) <= _MAX_FRACTION_DIGITS
    return (whole, over, under) if fits and under.strip("0.") else None


def _make_fraction(parts: tuple[str, str, str], minus: bool, shift: int) -> Fraction:
    whole, over, under = map(Fraction, parts)
    value = (whole + over / under) * Fraction(10) ** shift
    return -value if minus else value


def _make_decimal(mantissa: str, exponent: str, shift: int) -> Decimal | None:
    try:
        if shift and len(exponent) <= _MAX_EXPONENT_DIGITS:
            exponent = str(int(exponent) + shift)
        return Decimal(f"{mantissa}e{exponent}")
    except DecimalException:  # an exponent of more than eighteen digits
        return None


def to_digits(number: NumberValue) -> str:
    """The number as text: a plain decimal, `1/3` for a fraction that has none."""
    if isinstance(number, Fraction):
        rest = number.denominator
        for factor in (2, 5):
            while rest % factor == 0:
                rest //= factor
        if rest > 1:
            return str(number)
        number = Decimal(number.numerator) / Decimal(number.denominator)
    return f"{number:f}" if abs(number.adjusted()) < 50 else str(number)
