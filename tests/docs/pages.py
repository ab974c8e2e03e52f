"""The pages people read, taken apart into what can be checked: fences, commands, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "evals/README.md")
]
PAGES += sorted((ROOT / "docs").glob("*.md"))

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`(harness [^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Fence:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str

    @property
    def suite(self) -> str | None:
        """The suite's name, where the block is a whole suite."""
        found = re.match(r"suite: (\S+)\n", self.text) if self.language == "yaml" else None
        return found[1] if found else None

    @property
    def file(self) -> str | None:
        """The file a leading comment says the block is."""
        found = re.match(r"# (\.git\S+\.ya?ml)", self.text)
        return found[1] if found else None

    @property
    def source(self) -> str | None:
        """The file of the workspace that a leading comment says the block is."""
        found = re.match(r"# (suites/\S+\.(?:py|sh))", self.text)
        return found[1] if found else None

    @property
    def commands(self) -> Iterator[tuple[str, str]]:
        """Each command of a console, without its comment, and the output shown under it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", "").partition("\n")
            yield re.sub(r"\s+# .*", "", command), output


@cache
def fences() -> list[Fence]:
    """Every fenced block, in the order of pages and of blocks on them."""
    return [
        Fence(page, *found) for page in PAGES for found in _FENCE.findall(page.read_text("utf-8"))
    ]


def mentioned() -> list[str]:
    """Every `harness …` that the text of a page or a CI file mentions."""
    spans = [span for page in PAGES for span in _SPAN.findall(page.read_text("utf-8"))]
    steps = [
        found
        for each in fences()
        if each.file
        for found in re.findall(r"- (?:run: )?(harness .*)", each.text)
    ]
    return sorted({" ".join(text.split()) for text in (*spans, *steps)})


def links() -> list[tuple[Path, str]]:
    """Every relative link and picture: the page, and where it leads."""
    found = [(page, link) for page in PAGES for link in _LINK.findall(page.read_text("utf-8"))]
    return [(page, link) for page, link in found if not re.match(r"\w+:", link)]


def words(command: str) -> list[str]:
    """The arguments of `harness` in a shell's command, up to a redirection or a second command."""
    _, *arguments = shlex.split(re.split(r" (?:>|&&|\|) ", command)[0])
    return arguments
