"""Reads evals: the one inline in the suite, or those in folders of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from harness.config.diagnostics import Place, nearest_match
from harness.config.fields import check_name, read_partial_model
from harness.config.templates import Template, line_of_name, offset_place
from harness.graders.base import GraderSpec
from harness.model import ResponseFormat
from harness.suite.cases.asked_prompts import AskedPrompts
from harness.suite.cases.case_reader import CaseReader
from harness.suite.cases.grader_filling import GraderFilling
from harness.suite.cases.image_inventory import ImageInventory
from harness.suite.cases.selection import Selection
from harness.suite.graders.extraction_steps import read_extraction, set_default_extraction
from harness.suite.graders.grader_specs import GraderReader, argument_templates, grader_variables
from harness.suite.model import Prompt, RoleReference, templates_of
from harness.suite.overrides import Filter, Overrides, matches_filters
from harness.suite.persona import PERSONA_USER, Persona, read_persona
from harness.suite.prompts import PromptReader, turn_roles, turn_variables
from harness.suite.schema import INLINE_ONLY, EvalFields, EvalFile, FormatSpec, SuiteFile
from harness.suite.source import Source
from harness.suite.suite import Eval
from harness.suite.tools import ToolReader, Toolset

EVAL_FILE = "eval.yaml"

_PLACEHOLDERS = {
    "prompts": [{"user": ""}],
    "cases": [{}],
}  # so that an eval with a wrong key is checked to its end


class EvalReader:
    """Reads the evals of one suite. `selections` holds, by eval, facts about its cases, selected
    or not; `unknown` what could not be read to its end: evals, prompts, cases, tags.
    """

    def __init__(
        self, suite: SuiteFile, source: Source, overrides: Overrides, filters: Sequence[Filter]
    ) -> None:
        self._suite = suite
        self._source = source
        self._problems = source.problems
        self._overrides = overrides
        self._filters = tuple(filters)
        self.selections: dict[str, Selection] = {}
        self.unknown: set[str] = set()

    def read(self) -> tuple[Eval, ...]:
        """Every eval of the suite, with its cases filtered and limited; evals without cases are
        still among them.
        """
        if self._suite.evals is None:
            return (self._read_inline(),)
        for key in INLINE_ONLY:
            if key in self._source.document.value:
                self._source.add_problem(
                    (key,),
                    f"`{key}:` cannot be combined with `evals:`; move it into the eval",
                    key=True,
                )
        found: list[Eval] = []
        for index, item in enumerate(self._suite.evals):
            before = len(found)
            found += self._read_folder(index, item) if item else ()
            if len(found) == before:
                self.unknown |= {"eval", "prompt", "case", "tag"}
        return tuple(found)

    def _read_inline(self) -> Eval:
        for key in ("prompts", "cases"):
            written = self._source.document.value
            is_misspelt = any(
                each not in SuiteFile.model_fields
                and nearest_match(each, SuiteFile.model_fields) == key
                for each in written
            )
            if (
                getattr(self._suite, key) is None and written.get(key) is None and not is_misspelt
            ):  # else it is noted as wrong
                self._source.add_problem(
                    (key,), f"`{key}:` is missing; give prompts and cases, or name `evals:`"
                )
        return self._build_eval(self._suite.suite, self._suite, self._source)

    def _read_folder(self, index: int, reference: str) -> Iterator[Eval]:
        place = self._source.place_of(("evals", index))
        path = self._find_eval_file(reference, place)
        source = None if path is None else self._source.open(path, place)
        if path is None or source is None:
            return
        if not isinstance(source.document.value, dict):
            source.add_problem((), "an eval is a mapping with `prompts:`, `cases:` and `graders:`")
            return
        written = read_partial_model(
            EvalFile, source.document.value, source.document, source.problems, _PLACEHOLDERS
        )
        if written is not None:
            yield self._build_eval(self._eval_name(path, place), written, source)

    def _find_eval_file(self, reference: str, place: Place) -> Path | None:
        path = self._source.files.resolve(reference, self._source.folder, place)
        if path is None or path.is_file():
            return path
        return self._source.files.find_file(EVAL_FILE, path, place)

    def _eval_name(self, path: Path, place: Place) -> str:
        name = path.parent.name if path.name == EVAL_FILE else path.stem
        try:
            name = check_name(name)
        except ValueError as wrong:
            self._problems.add(place, f"the eval's name {wrong}")
        if name in self.selections:
            self._problems.add(place, f"two evals are called `{name}`; rename one's folder")
        return name

    def _build_eval(self, name: str, written: EvalFields, source: Source) -> Eval:
        with self._watched(self._suite.prompts or written.prompts, "prompt"):
            prompts = self._read_prompts(written, source)
        graders, roles, places = self._read_graders(written, source)
        extract = self._read_extraction(written, source)
        prompts = tuple(_with_extraction(prompt, extract) for prompt in prompts)
        toolset = self._read_toolset(written, source, prompts)
        persona = self._read_persona(written, source, prompts)
        own_graders, graders = graders, set_default_extraction(graders, extract)
        selection = self._build_selection(name, prompts, graders, toolset, persona)
        selection.find_use = partial(
            _find_use,
            _templates_by_user(prompts, persona),
            {f"the grader `{spec.id}`": place for spec, place in zip(graders, places, strict=True)},
        )
        selection.graders, selection.extract = own_graders, extract
        selection.note_roles(
            (*roles, *(one for prompt in prompts for one in turn_roles(prompt.later_turns)))
        )
        selection.note_roles(() if persona is None else (persona.role,))
        selection.grader_filling = GraderFilling(zip(graders, places, strict=True), prompts)
        self.selections[name] = selection
        with self._watched(written.cases, "case", "tag"):
            cases = CaseReader(source, selection).read(written.cases or (), ("cases",))
        for place, said in selection.grader_filling.find_warnings():
            self._problems.add_warning(place, said)
        return Eval(
            name=name,
            written=written.model_copy(
                update={"cases": None}
            ),  # they are read, and there may be many
            prompts=prompts,
            cases=cases,
            graders=graders,
            response_format=_read_format(written.response_format, source),
            image_inventory=selection.image_inventory,
            format_place=source.place_of(("response_format",), key=True)
            if written.response_format
            else None,
            toolset=toolset,
            persona=persona,
            longest_case=selection.longest_case,
            case_sources=tuple(selection.sources),
            forms=selection.forms,
            roles=roles,
            self_graded=selection.self_graded,
        )

    @contextmanager
    def _watched(self, items: Sequence[Any] | None, *axes: str) -> Iterator[None]:
        """Notes `axes` as unknown where `items`, read inside, lack one or have a problem."""
        before = len(self._problems)
        yield
        if not items or None in items or len(self._problems) > before:
            self.unknown.update(axes)

    def _read_prompts(self, written: EvalFields, source: Source) -> tuple[Prompt, ...]:
        """The suite's prompts where it has any, else the eval's own."""
        if self._suite.prompts is not None:
            written, source = self._suite, self._source
        return PromptReader(source).read(written.prompts or (), ("prompts",))

    def _read_graders(
        self, written: EvalFields, source: Source
    ) -> tuple[tuple[GraderSpec, ...], tuple[RoleReference, ...], tuple[Place, ...]]:
        """The eval's graders followed by those the suite adds, the targets that they ask, and their
        places.
        """
        reader, suite_reader = GraderReader(source), GraderReader(self._source)
        added = (
            [] if written is self._suite else suite_reader.read(self._suite.graders, ("graders",))
        )
        graders = reader.assign_ids(
            [*reader.read(written.graders, ("graders",)), *added], ("graders",)
        )
        roles = (*reader.roles, *suite_reader.roles)
        return graders, roles, (*reader.places, *suite_reader.places)

    def _read_extraction(
        self, written: EvalFields, source: Source
    ) -> tuple[dict[str, Any], ...] | None:
        """The steps of the eval's graders that have none of their own: the eval's, else the
        suite's."""
        if written.extract is None:
            written, source = self._suite, self._source
        return read_extraction(written.extract, source, ("extract",))

    def _read_persona(
        self, written: EvalFields, source: Source, prompts: tuple[Prompt, ...]
    ) -> Persona | None:
        for prompt in prompts:
            if written.simulated_user is not None and prompt.text is not None:
                self._problems.add(
                    prompt.place,
                    "a plain text prompt is no conversation for a simulated user; write {user: …}",
                )
        return read_persona(written.simulated_user, source)

    def _read_toolset(
        self, written: EvalFields, source: Source, prompts: tuple[Prompt, ...]
    ) -> Toolset | None:
        for key in (
            ("tool_choice", "max_turns", "parallel_tool_calls") if written.tools is None else ()
        ):
            if key in source.document.value:
                source.add_problem(
                    (key,), f"`{key}:` has no effect without `tools:`; remove it", key=True
                )
        for prompt in prompts:
            if written.tools is not None and prompt.text is not None:
                self._problems.add(
                    prompt.place,
                    "a plain text prompt cannot call tools; write {user: …}, or remove `tools:`",
                )
        return ToolReader(source).read(
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
            keep=partial(matches_filters, self._filters) if wanted else (lambda case: False),
            limit=self._overrides.limit,
            needs={
                variable: f"the prompt `{prompt.id}`"
                for prompt in prompts
                for variable in sorted(prompt.variables - {"expected"})
            }
            | dict(toolset.needs if toolset is not None else {})
            | dict(persona.needs if persona is not None else {}),
            grader_needs=grader_variables(graders),
            asked_prompts=AskedPrompts(prompts, None if persona is None else persona.template),
            image_inventory=ImageInventory(prompts),
            later_needs={
                variable: who
                for prompt in prompts
                for variable, who in turn_variables(
                    prompt.later_turns, f"the prompt `{prompt.id}`"
                ).items()
            },
            toolset=toolset,
            reads_all=any(spec.type == "python" for spec in graders)
            or any(prompt.function is not None for prompt in prompts),
            optional=_optional_variables(prompts, graders),
            plain=next((prompt.id for prompt in prompts if prompt.text is not None), None),
        )


def _templates_by_user(
    prompts: Sequence[Prompt], persona: Persona | None
) -> Mapping[str, Sequence[Template]]:
    """The templates whose texts a model sees, by who uses them as messages have it."""
    found: dict[str, Sequence[Template]] = {}
    for prompt in prompts:
        user = f"the prompt `{prompt.id}`"
        later = [turn.text for turn in prompt.later_turns if turn.text is not None]
        found[user] = prompt.templates
        found[f"a turn of {user}"] = [one for text in later for one in templates_of(text)]
    if persona is not None:
        found[PERSONA_USER] = [persona.template]
    return found


def _find_use(
    templates: Mapping[str, Sequence[Template]], graders: Mapping[str, Place], name: str, user: str
) -> Place | None:
    """Where the user of a variable names it; None where that is not known."""
    for template in templates.get(user, ()):
        if name in template.variables:
            return offset_place(template.place, line_of_name(name, template.source))
    return graders.get(user)


def _with_extraction(prompt: Prompt, extract: tuple[dict[str, Any], ...] | None) -> Prompt:
    """The prompt, with `extract` for the graders of its later turns that have no steps."""
    if extract is None or not prompt.later_turns:
        return prompt
    turns = [
        replace(turn, graders=set_default_extraction(turn.graders, extract))
        for turn in prompt.later_turns
    ]
    return replace(prompt, later_turns=tuple(turns))


def _optional_variables(prompts: Sequence[Prompt], graders: Sequence[GraderSpec]) -> frozenset[str]:
    """The variables that prompts and graders test for, so that a case may lack them."""
    templates = [one for prompt in prompts for one in prompt.templates]
    templates += [one for spec in graders for one in argument_templates(spec)]
    return frozenset[str]().union(*(each.optional for each in templates))


def _read_format(spec: FormatSpec | None, source: Source) -> ResponseFormat | None:
    if spec is None:
        return None
    schema: Any = spec.schema_
    place = source.place_of(("response_format", "schema"))
    before = len(source.problems)
    if isinstance(schema, str):
        schema = source.read_named_json(schema, place)
    if schema is not None and len(source.problems) == before:
        source.files.check_json_schema(schema, "schema", place)
    return ResponseFormat(spec.type, schema, spec.name)
