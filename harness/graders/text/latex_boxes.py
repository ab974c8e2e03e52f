r"""Finds what LaTeX's `\boxed{…}` holds."""

from __future__ import annotations

import re

_BOX_OR_BRACE = re.compile(r"\\f?box(?:ed)?\s*(?:(?P<box>\{)|(?P<bare>[^\s{}$\\]+))|\\.|[{}]")


def find_boxed(text: str) -> list[str]:
    r"""What each `\boxed{…}` of `text` holds, in the order of their ends; one whose brace is never
    closed is none."""
    found: list[str] = []
    open_braces: list[int | None] = []
    for token in _BOX_OR_BRACE.finditer(text):
        if token["bare"] is not None:
            found.append(token["bare"])
        elif token[0].endswith("{") and token[0] != r"\{":
            open_braces.append(token.end() if token["box"] else None)
        elif token[0] == "}" and open_braces:
            start = open_braces.pop()
            if start is not None:
                found.append(text[start : token.start()])
    return found
