"""Selects the cases of an eval that are run, and collects facts about all of its cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from harness.config.diagnostics import Place
from harness.graders.base import GraderSpec
from harness.hashing import canonical_json, hash64
from harness.suite.cases.asked_prompts import AskedPrompts
from harness.suite.cases.case_ids import CaseIds, Duplicates
from harness.suite.cases.case_rows import Row
from harness.suite.cases.grader_filling import GraderFilling
from harness.suite.cases.image_inventory import ImageInventory
from harness.suite.cases.missing_variables import FindUse
from harness.suite.model import USUAL, Case, CaseForm, CaseSampling, RoleReference
from harness.suite.tools import Toolset


class LongestCase(Struct):
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


class Selection(Struct):
    """Which cases of an eval are selected, the variables each must have, and facts collected while
    they are read.

    `graders` are the eval's, and `extract` the steps of those without steps of their own.
    `needs` and `grader_needs` map each variable to who uses it; the latter apply where a case has
    no graders of its own, and `later_needs`, those of the prompts' later turns, where it has no
    turns of its own; `find_use` knows where they stand. A case may lack those in `optional`, and
    with `reads_all` code sees all variables there are. `roles` are the targets that graders ask,
    `sampled` the sampling parameters of single cases, `plain` the id of a completion prompt.
    `findings` say how files were read, `warnings` what in them is probably a mistake, and `sources`
    which revisions of data sets they are. `forms` counts the selected cases that are not of
    the usual form, by their form; `self_graded` those with graders of their own.
    """

    keep: Callable[[Case], bool]
    limit: int | None
    needs: Mapping[str, str]
    grader_needs: Mapping[str, str]
    find_use: FindUse = lambda *_: None
    graders: Sequence[GraderSpec] = ()
    extract: tuple[dict[str, Any], ...] | None = None
    asked_prompts: AskedPrompts = field(default_factory=lambda: AskedPrompts(()))
    image_inventory: ImageInventory = field(default_factory=lambda: ImageInventory(()))
    later_needs: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    reads_all: bool = False
    toolset: Toolset | None = None
    plain: str | None = None
    tags: set[str] = field(default_factory=set)
    ids: CaseIds = field(default_factory=CaseIds)
    total: int = 0
    kept: int = 0
    forms: Counter[CaseForm] = field(default_factory=Counter)
    self_graded: int = 0
    digest: int = 0
    roles: dict[tuple[str, bytes], RoleReference] = field(default_factory=dict)
    sampled: dict[bytes, CaseSampling] = field(default_factory=dict)
    grader_filling: GraderFilling = field(default_factory=GraderFilling)
    longest_case: LongestCase = field(default_factory=LongestCase)
    findings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sources: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def used(self) -> frozenset[str]:
        """The variables that any prompt or grader knows of."""
        return self.optional.union(self.needs, self.grader_needs, self.later_needs)

    def note_roles(self, roles: Iterable[RoleReference]) -> None:
        """Note the targets that graders and simulated users ask; equal references are kept once."""
        for each in roles:
            self.roles.setdefault((each.target, canonical_json(each.sampling)), each)

    def take_row(self, row: Row, duplicates: Duplicates = "keep") -> Row | None:
        """Collect the facts of a row; the row, with an id of its own, where it is selected."""
        self.total += 1
        row = self.ids.assign_id(row, duplicates)
        case = row.case
        if case.tags:
            self.tags.update(case.tags)
        if (self.limit is not None and self.kept >= self.limit) or not self.keep(case):
            return None
        self.kept += 1
        form = case.form
        if form is not USUAL:
            self.forms[form] += 1
        if case.graders or (case.later_turns and any(turn.graders for turn in case.later_turns)):
            self.self_graded += 1
        self.longest_case.note(case, row.place)
        if case.sampling:
            self.sampled.setdefault(
                canonical_json(case.sampling), CaseSampling(case.sampling, row.place)
            )
        self.digest += hash64(canonical_json(row.raw)) + row.images
        return row
