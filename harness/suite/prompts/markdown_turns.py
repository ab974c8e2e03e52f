"""Reads the turns of a prompt file: Markdown whose headings open the turns.

A line that is exactly `# system`, `# developer`, `# user` or `# assistant` (outside a fenced block)
opens a turn; blank lines around a turn's text are layout and not part of it. A line that is exactly
`![](…)` places an image there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast, get_args

from harness.config.diagnostics import Place, Problems
from harness.suite.model import TurnRole

ROLES: tuple[TurnRole, ...] = get_args(TurnRole)

_HEADING = re.compile(r"#\s+(\w+)\s*")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_IMAGE = re.compile(r"\s{0,3}!\[(?P<alternative>.*)\]\((?P<source>.*)\)\s*")


class WrittenTurn(NamedTuple):
    """One turn as written, with its place; its images come before the text, each with its place.

    `folder` is that of the file it is in, None for the suite's own; in a Markdown file, lines of
    the text may name images too (`marked`).
    """

    role: TurnRole
    text: str
    place: Place
    images: tuple[tuple[str, Place], ...] = ()
    folder: Path | None = None
    marked: bool = False


def split_images(turn: WrittenTurn, problems: Problems) -> Iterator[tuple[str, Place, bool]]:
    """Splits a turn's text at its image lines into (text, place, whether it names an image).

    Blank lines around an image are layout.
    """
    lines = turn.text.splitlines(keepends=True)
    images = list(_image_lines(lines, turn.place, problems)) if turn.marked else []
    if not images:
        yield turn.text, turn.place, False
        return
    begin = 0
    for index, source in [*images, (len(lines), None)]:
        filled = [each for each in range(begin, index) if lines[each].strip()]
        if filled:
            text = "".join(lines[filled[0] : filled[-1] + 1]).removesuffix("\n").removesuffix("\r")
            yield text, _line_place(turn.place, filled[0]), False
        if source is not None:
            yield source, _line_place(turn.place, index), True
        begin = index + 1


def _image_lines(
    lines: Sequence[str], place: Place, problems: Problems
) -> Iterator[tuple[int, str]]:
    """Yields (index, reference) of each line that is an image."""
    for index, line in _unfenced_lines(lines):
        match = _IMAGE.fullmatch(line)
        if match is None:
            continue
        if match["alternative"]:
            problems.add(
                _line_place(place, index),
                f"the text in `![{match['alternative']}]` would not be sent; leave it empty, or put"
                " the line in a fenced block",
            )
        yield index, match["source"].strip()


def _line_place(place: Place, index: int) -> Place:
    return Place(place.path, None if place.line is None else place.line + index, 1)


def _unfenced_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yields (index, line) of each line outside fenced blocks."""
    fence = None
    for index, line in enumerate(lines):
        if marker := _FENCE.match(line):
            fence = (
                marker[1][:3]
                if fence is None
                else None
                if line.lstrip().startswith(fence)
                else fence
            )
        if fence is None:
            yield index, line


def parse_markdown_turns(text: str, path: str, problems: Problems) -> Iterator[WrittenTurn]:
    """The turns of a Markdown prompt; without headings, the whole text is the user's turn."""
    lines = text.splitlines(keepends=True)
    headings = list(_find_headings(lines, path, problems))
    if not headings:
        yield from _parse_turn("user", lines, 0, path, problems)
        return
    if "".join(lines[: headings[0][0]]).strip():
        problems.add(
            Place(path, 1),
            "text before the first heading belongs to no turn; begin with `# system` or `# user`",
        )
    ends = [index for index, _ in headings[1:]] + [len(lines)]
    for (index, role), end in zip(headings, ends, strict=True):
        yield from _parse_turn(role, lines[index + 1 : end], index + 1, path, problems)


def _find_headings(
    lines: Sequence[str], path: str, problems: Problems
) -> Iterator[tuple[int, TurnRole]]:
    """Yields (index of the line, role) of each line that opens a turn."""
    for index, line in _unfenced_lines(lines):
        match = _HEADING.fullmatch(line)
        if match and match[1] in ROLES:
            yield index, cast("TurnRole", match[1])
        elif match and match[1].lower() in (*ROLES, "tool"):
            problems.add(
                Place(path, index + 1),
                f"`# {match[1]}` is not a turn; write `# system`, `# user` or `# assistant`",
            )


def _parse_turn(
    role: TurnRole, lines: Sequence[str], before: int, path: str, problems: Problems
) -> Iterator[WrittenTurn]:
    """The turn in `lines`, which begin `before` lines into the file."""
    filled = [index for index, line in enumerate(lines) if line.strip()]
    if not filled:
        problems.add(
            Place(path, max(before, 1)),
            f"the {role} turn is empty; write its text or remove its heading",
        )
        return
    text = "".join(lines[filled[0] : filled[-1] + 1]).removesuffix("\n").removesuffix("\r")
    yield WrittenTurn(role, text, Place(path, before + filled[0] + 1, 1))
