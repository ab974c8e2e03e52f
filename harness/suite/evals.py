"""Evals: the one written in the suite, or those in folders of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.config.diagnostics import Place, Problems
from harness.config.fields import check_name, read_partial_model
from harness.config.yaml import Document
from harness.graders.base import GraderSpec
from harness.model import ResponseFormat
from harness.suite.cases.case_reader import CaseReader
from harness.suite.cases.image_inventory import ImageInventory
from harness.suite.cases.selection import Selection
from harness.suite.files import WorkspaceFiles
from harness.suite.grader_specs import GraderReader, grader_variables
from harness.suite.model import Prompt, RoleReference
from harness.suite.overrides import Filter, Overrides, matches_filters
from harness.suite.persona import Persona, read_persona
from harness.suite.prompts import PromptReader, turn_roles, turn_variables
from harness.suite.schema import EvalFile, FormatSpec, SuiteFile
from harness.suite.suite import Eval
from harness.suite.tools import ToolReader, Toolset

EVAL_FILE = "eval.yaml"

_EVAL_KEYS = {
    "cases": "put them in the eval",
    "response_format": "put it in the eval",
    "tools": "put them in the eval",
    "tool_choice": "put it in the eval",
    "max_turns": "put it in the eval",
    "parallel_tool_calls": "put it in the eval",
    "simulated_user": "put it in the eval",
}
_PLACEHOLDERS = {"prompts": [{"user": ""}], "cases": [{}]}  # so that an eval with a wrong key is checked to its end

_Added = tuple[Sequence[GraderSpec], Sequence[RoleReference]]
"""A suite's own graders beside those of its evals, and whom they ask."""


class EvalReader:
    """Reads the evals of one suite. `selections` tells, by eval, what was seen of its cases, selected or not."""

    def __init__(
        self, suite: SuiteFile, document: Document, base: Path, files: WorkspaceFiles, overrides: Overrides,
        filters: Sequence[Filter], problems: Problems,
    ) -> None:  # fmt: skip
        self._suite = suite
        self._document = document
        self._base = base
        self._files = files
        self._overrides = overrides
        self._filters = tuple(filters)
        self._problems = problems
        self.selections: dict[str, Selection] = {}

    def read(self) -> tuple[Eval, ...]:
        """Every eval of the suite, its cases filtered and limited; none of them is dropped yet."""
        if self._suite.evals is None:
            return tuple(self._read_inline())
        self._refuse_eval_keys()
        return tuple(each for index, item in enumerate(self._suite.evals) if item for each in self._read_folder(index, item))

    def _read_inline(self) -> Iterator[Eval]:
        for key in ("prompts", "cases"):
            if getattr(self._suite, key) is None and self._document.value.get(key) is None:  # else it is wrong, and said to be
                self._problems.add(
                    self._document.place_of((key,)), f"`{key}:` is missing; give prompts and cases, or name `evals:`"
                )
        written = EvalFile.model_construct(
            description=self._suite.description,
            prompts=self._suite.prompts or [],
            cases=self._suite.cases or [],
            graders=self._suite.graders,
            response_format=self._suite.response_format,
            tools=self._suite.tools,
            tool_choice=self._suite.tool_choice,
            max_turns=self._suite.max_turns,
            parallel_tool_calls=self._suite.parallel_tool_calls,
            simulated_user=self._suite.simulated_user,
        )
        prompts = PromptReader(self._files, self._base, self._document, self._problems).read(written.prompts, ("prompts",))
        yield self._build_eval(self._suite.suite, written, self._document, self._base, prompts, ([], []))

    def _read_folder(self, index: int, reference: str) -> Iterator[Eval]:
        place = self._document.place_of(("evals", index))
        path = self._eval_file(reference, place)
        document = None if path is None else self._files.document(path, place)
        if path is None or document is None:
            return
        if not isinstance(document.value, dict):
            self._problems.add(document.place_of(), "an eval is a mapping with `prompts:`, `cases:` and `graders:`")
            return
        written = read_partial_model(EvalFile, document.value, document, self._problems, _PLACEHOLDERS)
        if written is None:
            return
        name = self._eval_name(path, place)
        yield self._build_eval(
            name, written, document, path.parent, self._read_prompts(written, document, path), self._added_graders()
        )

    def _eval_file(self, reference: str, place: Place) -> Path | None:
        path = self._files.resolve(reference, self._base, place)
        if path is None or path.is_file():
            return path
        return self._files.file(EVAL_FILE, path, place)

    def _eval_name(self, path: Path, place: Place) -> str:
        name = path.parent.name if path.name == EVAL_FILE else path.stem
        try:
            name = check_name(name)
        except ValueError as wrong:
            self._problems.add(place, f"the eval's name {wrong}")
        if name in self.selections:
            self._problems.add(place, f"two evals are called `{name}`; rename one's folder")
        return name

    def _read_prompts(self, written: EvalFile, document: Document, path: Path) -> tuple[Prompt, ...]:
        """The suite's prompts where it has any, else the eval's own."""
        if self._suite.prompts is not None:
            return PromptReader(self._files, self._base, self._document, self._problems).read(self._suite.prompts, ("prompts",))
        return PromptReader(self._files, path.parent, document, self._problems).read(written.prompts, ("prompts",))

    def _added_graders(self) -> tuple[list[GraderSpec], list[RoleReference]]:
        reader = GraderReader(self._files, self._base, self._document, self._problems)
        return reader.read(self._suite.graders, ("graders",)), reader.roles

    def _build_eval(
        self, name: str, written: EvalFile, document: Document, base: Path, prompts: tuple[Prompt, ...], added: _Added
    ) -> Eval:
        reader = GraderReader(self._files, base, document, self._problems)
        more, asked = added
        graders = reader.assign_ids([*reader.read(written.graders, ("graders",)), *more], ("graders",))
        toolset = self._read_toolset(written, document, base, prompts)
        persona = self._read_persona(written, document, prompts)
        selection = self._build_selection(name, prompts, graders, toolset, persona)
        selection.note_roles((*reader.roles, *asked, *(one for prompt in prompts for one in turn_roles(prompt.later))))
        selection.note_roles(() if persona is None else (persona.roles,))
        self.selections[name] = selection
        return Eval(
            name=name,
            description=written.description,
            prompts=prompts,
            cases=CaseReader(self._files, base, document, self._problems, selection).read(written.cases, ("cases",)),
            graders=graders,
            response_format=self._read_format(written.response_format, document, base),
            image_inventory=selection.image_inventory,
            format_place=document.place_of(("response_format",), key=True) if written.response_format else None,
            toolset=toolset,
            persona=persona,
            longest_case=selection.longest_case,
        )

    def _read_persona(self, written: EvalFile, document: Document, prompts: tuple[Prompt, ...]) -> Persona | None:
        for prompt in prompts:
            if written.simulated_user is not None and prompt.text is not None:
                self._problems.add(prompt.place, "plain text is no conversation that a simulated user could go on with")
        return read_persona(written.simulated_user, document, self._problems)

    def _read_toolset(self, written: EvalFile, document: Document, base: Path, prompts: tuple[Prompt, ...]) -> Toolset | None:
        for key in ("tool_choice", "max_turns", "parallel_tool_calls") if written.tools is None else ():
            if key in document.value:
                place = document.place_of((key,), key=True)
                self._problems.add(place, f"`{key}:` says how `tools:` are called; there are none")
        for prompt in prompts:
            if written.tools is not None and prompt.text is not None:
                self._problems.add(prompt.place, "plain text calls no tools; write it as {user: …}, or leave `tools:` out")
        return ToolReader(self._files, base, document, self._problems).read(
            written.tools, written.tool_choice, written.max_turns, written.parallel_tool_calls
        )

    def _build_selection(
        self,
        name: str,
        prompts: Sequence[Prompt],
        graders: Sequence[GraderSpec],
        toolset: Toolset | None,
        persona: Persona | None,
    ) -> Selection:
        wanted = all(each.allows(name) for each in self._filters if each.key == "eval")
        return Selection(
            keep=(lambda case: matches_filters(self._filters, case)) if wanted else (lambda case: False),
            limit=self._overrides.limit,
            needs={
                variable: f"the prompt `{prompt.id}`"
                for prompt in prompts
                for variable in sorted(prompt.variables - {"expected"})
            }
            | dict(toolset.needs if toolset is not None else {})
            | dict(persona.needs if persona is not None else {}),
            grader_needs=grader_variables(graders),
            image_inventory=ImageInventory(prompts),
            later_needs={
                variable: who
                for prompt in prompts
                for variable, who in turn_variables(prompt.later, f"the prompt `{prompt.id}`").items()
            },
            toolset=toolset,
            plain=next((prompt.id for prompt in prompts if prompt.text is not None), None),
        )

    def _read_format(self, spec: FormatSpec | None, document: Document, base: Path) -> ResponseFormat | None:
        if spec is None:
            return None
        schema: Any = spec.schema_
        place = document.place_of(("response_format", "schema"))
        before = len(self._problems)
        if isinstance(schema, str):
            schema = self._files.json(schema, base, place)
        if schema is not None and len(self._problems) == before:
            self._files.check_json_schema(schema, "schema", place)
        return ResponseFormat(spec.type, schema, spec.name)

    def _refuse_eval_keys(self) -> None:
        for key, instead in _EVAL_KEYS.items():
            if key in self._document.value:
                place = self._document.place_of((key,), key=True)
                self._problems.add(place, f"`{key}:` cannot stand beside `evals:`; {instead}")
