"""Replaces English number words by digits: `twenty-one` by 21."""

from __future__ import annotations

import re

MAX_LENGTH = 1_000
"""Characters of a text whose number words are read: a long text without any digit is prose."""

_WORD = re.compile(
    r"\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|million|billion)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"\b(?:no|the|this|that|which|any|every|each|some|another|other|only|right|correct|wrong"
    r"|first|second|last|next|same)[ -]one\b|\bone(?= (?:of|another|can|could|should|must|may)\b)",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"\b(\d+)[ -](\d+)(?:rd|th)s?\b")
_ORDINAL = re.compile(r"\b\d+(?:st|nd|rd|th)s?\b")
_SIGN = re.compile(r"\b(?:minus|negative) (?=\d)", re.IGNORECASE)


def replace_number_words(text: str) -> str:
    """`text` with digits for its number words; as it is where it has none, or is long."""
    if len(text) > MAX_LENGTH or _WORD.search(text) is None:
        return text
    from text_to_num import alpha2digit  # noqa: PLC0415 - 20 ms that few answers need

    plain = _PRONOUN.sub("…", text).encode(errors="replace").decode()
    digits = alpha2digit(plain, "en", threshold=0)
    return _SIGN.sub("-", _ORDINAL.sub("…", _FRACTION.sub(r"\1/\2", digits)))
