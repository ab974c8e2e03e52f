"""Regular expressions in time linear in the text, through RE2, so that no pattern can hang a
run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2


@lru_cache(1_024)
def compile_re2(pattern: str, ignore_case: bool = False) -> Any:
    """The pattern compiled by RE2, None where RE2 cannot express it."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        return None


def matches_re2(pattern: str, text: str, ignore_case: bool, full: bool) -> bool:
    """Whether RE2 finds the pattern in `text`, or with `full` whether all of `text` matches."""
    compiled = compile_re2(pattern, ignore_case)
    return (compiled.fullmatch if full else compiled.search)(to_re2_text(text)) is not None


def to_re2_text(text: str) -> str | bytes:
    """`text` as RE2 takes it: without a final newline, lone surrogates replaced."""
    text = text.removesuffix("\n")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace")
    return text
