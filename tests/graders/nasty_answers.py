"""Answers of about a megabyte that are hard on a parser, a search or a copy."""

from __future__ import annotations

from collections.abc import Mapping

MEGABYTE = 1_000_000


def _repeat(piece: str) -> str:
    return piece * (MEGABYTE // len(piece))


def _list_of(item: str) -> str:
    return "[" + _repeat(item + ",") + item + "]"


NASTY: Mapping[str, str] = {
    "empty lists": _list_of("[]"),
    "empty objects": _list_of("{}"),
    "small objects": _list_of('{"a":1}'),
    "numbers": _list_of("1"),
    "exponents": _list_of("1e308"),
    "long whole numbers": _list_of("1" * 4_000),
    "one whole number": _repeat("1"),
    "one decimal": "0." + _repeat("1"),
    "digits in groups": _repeat("1,234"),
    "signs": _repeat("-−+$ "),
    "powers of ten": _repeat("10^10^"),
    "many keys": "{" + ",".join(f'"k{number}":1' for number in range(MEGABYTE // 11)) + "}",
    "one text": f'"{_repeat("x")}"',
    "escapes": '"' + _repeat("\\u0041") + '"',
    "quotes": '"' + _repeat('\\"') + '"',
    "deep lists": "[" * (MEGABYTE // 2) + "]" * (MEGABYTE // 2),
    "never closed": _repeat("["),
    "deep objects": _repeat('{"a":'),
    "as deep as can be parsed": "[" * 900 + "]" * 900 + _repeat(" "),
    "fences": _repeat("```json\n"),
    "wide characters": f'"{_repeat("☃")}"',
    "control characters": _repeat("\x01"),
    "lone surrogates": '"' + _repeat("\ud800") + '"',
    "words": _repeat("word "),
}
