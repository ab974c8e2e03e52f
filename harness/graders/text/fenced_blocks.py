"""Finds Markdown's fenced code blocks as CommonMark reads them, and those that models write within
a line."""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[\w+#.-]*)(?P<rest>.*)")
_WITHIN_LINE = re.compile(
    r"(?<!`)(?P<fence>`{3,8})(?P<label>[\w+#.-]*)[ \t]*(?P<text>[^`\n]+)(?P=fence)(?!`)"
)


class FencedBlock(NamedTuple):
    """A block's text without its fences, and the language its fence names, in lower case."""

    label: str
    text: str


def find_fenced_blocks(text: str) -> list[FencedBlock]:
    """The fenced blocks of `text`, in order; one that is never closed ends with the text."""
    blocks: list[FencedBlock] = []
    fence, label = "", ""
    lines: list[str] = []
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if not fence and found and "`" not in found["rest"]:
            fence, label, lines = found["fence"], found["label"].lower(), []
        elif not fence:
            blocks += [
                FencedBlock(one["label"].lower(), one["text"].strip())
                for one in _WITHIN_LINE.finditer(line)
            ]
        elif (
            found
            and found["fence"].startswith(fence)
            and not found["label"] + found["rest"].strip()
        ):
            blocks.append(FencedBlock(label, "\n".join(lines)))
            fence = ""
        else:
            lines.append(line.removesuffix("\r"))
    if fence:
        blocks.append(FencedBlock(label, "\n".join(lines)))
    return blocks
