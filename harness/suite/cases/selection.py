"""Selects the cases of an eval that are run, and collects facts about all of its cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.config.diagnostics import Place
from harness.hashing import TextHashes, canonical_json, hash64
from harness.suite.cases.image_inventory import ImageInventory
from harness.suite.model import Case, CaseSampling, RoleReference
from harness.suite.tools import Toolset


class Row(NamedTuple):
    """A checked case with its place, its value as written, and, in a .jsonl file, its byte offset.

    `images` is a hash of the contents of its images.
    """

    place: Place
    raw: Mapping[str, Any]
    case: Case
    offset: int = 0
    images: int = 0


@dataclass
class LongestCase:
    """The case whose variables are longest as JSON, with its place. If its request fits a
    model's context, so do all others.
    """

    case: Case | None = None
    place: Place | None = None
    _size: int = -1

    def note(self, case: Case, place: Place) -> None:
        """Keep `case` where it is longer than the longest so far."""
        size = len(canonical_json(case.vars))
        if size > self._size:
            self._size, self.case, self.place = size, case, place


@dataclass
class Selection:
    """Which cases of an eval are selected, the variables each must have, and facts collected while
    they are read.

    `needs` and `grader_needs` map each variable to who uses it; the latter apply where a case has
    no graders of its own, and `later_needs`, those of the prompts' later turns, where it has no
    turns of its own. `roles` are the targets that graders ask, `sampled` the sampling parameters of
    single cases, `plain` the id of a completion prompt.
    """

    keep: Callable[[Case], bool]
    limit: int | None
    needs: Mapping[str, str]
    grader_needs: Mapping[str, str]
    image_inventory: ImageInventory = field(default_factory=lambda: ImageInventory(()))
    later_needs: Mapping[str, str] = field(default_factory=dict)
    toolset: Toolset | None = None
    plain: str | None = None
    tags: set[str] = field(default_factory=set)
    ids: TextHashes = field(default_factory=TextHashes)
    total: int = 0
    kept: int = 0
    digest: int = 0
    roles: dict[tuple[str, bytes], RoleReference] = field(default_factory=dict)
    sampled: dict[bytes, CaseSampling] = field(default_factory=dict)
    longest_case: LongestCase = field(default_factory=LongestCase)

    def note_roles(self, roles: Iterable[RoleReference]) -> None:
        """Note the targets that graders and simulated users ask; equal references are kept once."""
        for each in roles:
            self.roles.setdefault((each.target, canonical_json(each.sampling)), each)

    def take_row(self, row: Row) -> bool:
        """Collect the facts of a row; whether it is selected."""
        self.total += 1
        self.ids.add(row.case.id)
        if row.case.tags:
            self.tags.update(row.case.tags)
        if (self.limit is not None and self.kept >= self.limit) or not self.keep(row.case):
            return False
        self.kept += 1
        self.longest_case.note(row.case, row.place)
        if row.case.sampling:
            self.sampled.setdefault(
                canonical_json(row.case.sampling), CaseSampling(row.case.sampling, row.place)
            )
        self.digest += hash64(canonical_json(row.raw)) + row.images
        return True
