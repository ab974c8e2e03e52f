"""The loaded suite, checked and resolved: what `plan` multiplies into trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from harness.config.diagnostics import Place, display_path
from harness.graders.base import GraderSpec
from harness.model import ResponseFormat
from harness.suite.cases.case_index import Cases
from harness.suite.cases.image_inventory import ImageInventory
from harness.suite.cases.selection import LongestCase
from harness.suite.gate_syntax import GateSpec
from harness.suite.model import USUAL, CaseForm, CaseSampling, Prompt, RoleReference
from harness.suite.persona import Persona
from harness.suite.run_settings import RunSpec
from harness.suite.schema import EvalFields, SuiteFile
from harness.suite.targets.target_reader import TargetSpec
from harness.suite.tools import Toolset


class Eval(Struct, frozen=True, kw_only=True):
    """Prompts × cases × graders: what is asked, and how answers are judged.

    `written` are the eval's keys as declared (its cases apart): keys that need no resolving are
    read from there. `roles` are the targets that its graders ask. `forms` counts the cases that are
    not of the usual form, by their form, and `self_graded` those with graders of their own.
    """

    name: str
    written: EvalFields
    prompts: tuple[Prompt, ...]
    cases: Cases
    graders: tuple[GraderSpec, ...] = ()
    response_format: ResponseFormat | None = None
    image_inventory: ImageInventory | None = None
    format_place: Place | None = None
    toolset: Toolset | None = None
    persona: Persona | None = None
    longest_case: LongestCase = field(default_factory=LongestCase)
    case_sources: tuple[Mapping[str, Any], ...] = ()
    roles: tuple[RoleReference, ...] = ()
    forms: dict[CaseForm, int] = {}
    self_graded: int = 0

    @property
    def asked(self) -> int:
        """How many pairs of a case and a prompt are asked."""
        return sum(count for _, _, count in self.asked_forms())

    @property
    def limited(self) -> bool:
        """Whether some cases are asked in some prompts only."""
        return any(form.prompts is not None for form in self.forms)

    def asked_forms(self) -> Iterator[tuple[Prompt, CaseForm, int]]:
        """Yields each prompt and form of cases, with the number of cases asked so."""
        usual = len(self.cases) - sum(self.forms.values())
        for form, count in ((USUAL, usual), *self.forms.items()):
            for prompt in self.prompts:
                if form.prompts is None or prompt.id in form.prompts:
                    yield prompt, form, count


class Suite(Struct, frozen=True, kw_only=True):
    """What to run: evals × targets × settings × repeats, how, and the gates that must hold
    afterwards.

    `written` are the suite's keys as declared (cases apart). `roles` are the judges and simulated
    users, with whom they ask and how; `role_targets` are those targets, whether or not they are
    among `targets`. `settings` are the points of the sweep, at least one (`{}` without a sweep);
    `excluded` counts those left out. `sampling` applies to every request, below the sweep's;
    `sampled` are the parameters of single cases, and `places` says where parameters (and `budget`,
    and targets, as `target NAME`) are written. `capability_overrides` are the entries of the user's
    own capability table. `workspace` is the folder that no reference may lead out of. `findings`
    say how files of cases were read.
    """

    name: str
    written: SuiteFile
    description: str = ""
    path: Path
    workspace: Path
    evals: tuple[Eval, ...]
    targets: tuple[TargetSpec, ...]
    roles: tuple[RoleReference, ...] = ()
    role_targets: tuple[TargetSpec, ...] = ()
    sampling: dict[str, Any] = {}
    sampled: tuple[CaseSampling, ...] = ()
    places: dict[str, Place] = {}
    settings: tuple[dict[str, Any], ...] = ({},)
    excluded: int = 0
    repeats: int = 1
    run: RunSpec
    gates: tuple[GateSpec, ...] = ()
    strict: bool = False
    mode_place: Place | None = None
    capability_overrides: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def merge_sampling(
        self, target: Mapping[str, Any], case: Mapping[str, Any] | None, setting: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The sampling parameters in force: the target's, overridden by the suite's, a case's,
        and last the sweep's.
        """
        return {**target, **self.sampling, **(case or {}), **setting}

    def place_of(self, target: str) -> Place:
        """Where the target of this name is written, else where it is first asked for."""
        asking = (each.place for each in self.roles if each.target == target)
        return self.places.get(f"target {target}") or next(asking, Place(display_path(self.path)))
