"""Collects every problem in a suite with its place, so that all of them are reported at once.

A reader adds what it finds and continues with the rest; `load_suite` raises one `SuiteError` at
the end. A file that is read twice, as two evals may, reports a problem once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import Problem, SuiteError

KeyPath = tuple[str | int, ...]
"""The way from a document's root to a value: keys and indices."""


class Place(NamedTuple):
    """A place in a file; `line` and `column` count from 1."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in self if part is not None)


class Problems:
    """The problems found so far, in order."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}
        self._warnings: dict[str, None] = {}

    def add(self, place: Place, message: str, subject: str = "") -> None:
        """Add the problem at `place` that `message` says of `subject`."""
        message = f"{subject} {message}" if subject else message
        self._found[Problem(message, place.path, place.line, place.column)] = None

    def add_warning(self, place: Place, message: str) -> None:
        """Add what is allowed, but probably a mistake."""
        self._warnings[f"{place}: {message}"] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, each with its place, in order."""
        return tuple(self._warnings)

    def __len__(self) -> int:
        return len(self._found)

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Add the problems of a SuiteError that is raised inside, and go on after it."""
        try:
            yield
        except SuiteError as found:
            self._found |= dict.fromkeys(found.problems)

    def raise_any(self) -> None:
        """Raise SuiteError where there are problems, sorted by file and line."""
        if self._found:
            raise SuiteError(
                sorted(self._found, key=lambda each: (each.path, each.line or 0, each.column or 0))
            )


def nearest_match(word: str, choices: Iterable[str], cutoff: int = 60) -> str | None:
    """The choice most similar to `word`, None where none is close: `cutoff` of 100."""
    from rapidfuzz import fuzz, process, utils  # noqa: PLC0415 - only a mistake needs it

    found = process.extractOne(
        word, list(choices), scorer=fuzz.ratio, processor=utils.default_process, score_cutoff=cutoff
    )
    return found[0] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A suggestion instead of `word`: the nearest choice, else all of them."""
    names = sorted(choices)
    if close := nearest_match(word, names):
        return f"did you mean `{close}`?"
    if not names:
        return "none is defined"
    listed = ", ".join(f"`{name}`" for name in names[:20])
    return (
        f"there is only {listed}"
        if len(names) == 1
        else f"choose from {listed}{', …' if len(names) > 20 else ''}"
    )


def quote_value(value: Any) -> str:
    """`value` as JSON for a message: on one line, cut at 60 characters, what is invisible in it
    escaped.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = text if text.isprintable() else "".join(map(_show_character, text))
    return text if len(text) <= 60 else text[:57] + "…"


def _show_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def display_path(path: Path) -> str:
    """`path` as the user would write it: relative to the working directory if it lies inside."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def cut_text(text: str, limit: int) -> str:
    """`text`, of which at most `limit` characters are kept; what was cut is marked."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def quote_text(text: str, limit: int = 120) -> str:
    """`text` for a grader's reason: in quotes, white space visible, cut at `limit` characters."""
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}…"
