"""Which rows of an eval's cases are selected, and what was seen of all of them on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.config.diagnostics import Place
from harness.suite.cases.case_index import Ids, canonical, hash64
from harness.suite.longest import Longest
from harness.suite.model import Case, CaseSampling, RoleReference
from harness.suite.multimodal import ImageInventory
from harness.suite.toolset import Toolset


class Row(NamedTuple):
    """A checked case, where it stands, what it was written as, and the byte it begins at (.jsonl only).

    `images` is a hash of what its images hold.
    """

    place: Place
    raw: Mapping[str, Any]
    case: Case
    offset: int = 0
    images: int = 0


@dataclass
class Selection:
    """Which cases to keep, what each must give a value for, and what was seen of all of them.

    `needs` and `grader_needs` map each variable to who uses it; the latter count where a case has no graders of its own, and
    `later_needs`, those of the prompts' later turns, where it has no turns of its own. `asked` is whom graders ask, `sampled`
    the sampling parameters of cases alone, `plain` a prompt that is text to be completed; `album` looks into the cases' images.
    """

    keep: Callable[[Case], bool]
    limit: int | None
    needs: Mapping[str, str]
    grader_needs: Mapping[str, str]
    album: ImageInventory = field(default_factory=lambda: ImageInventory(()))
    later_needs: Mapping[str, str] = field(default_factory=dict)
    toolset: Toolset | None = None
    plain: str | None = None
    tags: set[str] = field(default_factory=set)
    ids: Ids = field(default_factory=Ids)
    total: int = 0
    kept: int = 0
    digest: int = 0
    asked: dict[tuple[str, bytes], RoleReference] = field(default_factory=dict)
    sampled: dict[bytes, CaseSampling] = field(default_factory=dict)
    longest: Longest = field(default_factory=Longest)

    def note_asked(self, asked: Iterable[RoleReference]) -> None:
        """Note whom graders ask, and how; once what a thousand cases say alike."""
        for each in asked:
            self.asked.setdefault((each.target, canonical(each.sampling)), each)

    def takes(self, row: Row) -> bool:
        """Note the row, and say whether it is one of the selected."""
        self.total += 1
        self.ids.add(row.case.id)
        if row.case.tags:
            self.tags.update(row.case.tags)
        if (self.limit is not None and self.kept >= self.limit) or not self.keep(row.case):
            return False
        self.kept += 1
        self.longest.note(row.case, row.place)
        if row.case.sampling:
            self.sampled.setdefault(canonical(row.case.sampling), CaseSampling(row.case.sampling, row.place))
        self.digest += hash64(canonical(row.raw)) + row.images
        return True
