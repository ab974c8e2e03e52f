"""Tables in the docs that are made from the code: between `<!-- name -->` and `<!-- /name -->` of a
page.

A test compares each with what the code says now; its module, run as a program, writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def read_block(page: str, name: str) -> str:
    """What stands in the block. Raises ValueError where the page has none of that name."""
    found = _pattern(name).search((DOCS / page).read_text("utf-8"))
    if found is None:
        raise ValueError(f"{page} has no block <!-- {name} -->")
    return found.group()


def write_block(page: str, name: str, text: str) -> None:
    """Put the text in the block."""
    path = DOCS / page
    path.write_text(_pattern(name).sub(lambda _: text, path.read_text("utf-8")), "utf-8")


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The table as Markdown, with its final newline."""
    head, *lines = (f"| {' | '.join(cells)} |\n" for cells in (titles, *rows))
    return "".join([head, f"|{'---|' * len(titles)}\n", *lines])


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?<=<!-- {re.escape(name)} -->\n).*?(?=<!-- /{re.escape(name)} -->)", re.DOTALL
    )
