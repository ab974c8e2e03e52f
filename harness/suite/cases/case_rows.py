"""A row that has become a case, with what is known of where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.config.diagnostics import Place
from harness.suite.model import Case


class Row(NamedTuple):
    """A checked case with its place, its value in our own form, and, in a .jsonl file, its byte
    offset.

    `images` is a hash of the contents of its images; `numbered` says that its id was taken.
    """

    place: Place
    raw: Mapping[str, Any]
    case: Case
    offset: int = 0
    images: int = 0
    numbered: bool = False
