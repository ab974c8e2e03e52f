"""Makes a case of a row of our own form: the usual kind fast, any other as the schema says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from harness.config.diagnostics import KeyPath, Place, Problems, display_path
from harness.config.fields import read_model
from harness.config.yaml import Document
from harness.errors import InfrastructureError
from harness.graders.base import GraderSpec
from harness.suite.cases.case_index import derive_case_id
from harness.suite.cases.row_mapping import MappedRow
from harness.suite.cases.selection import Selection
from harness.suite.graders.extraction_steps import read_extraction, set_default_extraction
from harness.suite.graders.grader_specs import GraderReader
from harness.suite.model import Case, RoleReference
from harness.suite.prompts import LaterTurnReader, turn_roles
from harness.suite.schema import CaseSpec
from harness.suite.source import Source

_PLAIN_KEYS = frozenset(("id", "vars", "expected", "tags", "metadata"))


class CaseBuilder:
    """Makes the cases of one source; the targets that their graders ask are noted."""

    def __init__(self, source: Source, selection: Selection) -> None:
        self._source = source
        self._selection = selection

    def row_source(
        self, raw: Any, place: Place, folder: Path, document: Document | None = None
    ) -> Source:
        """The source of a row at `place`, or in the document of all rows where there is one."""
        document = document or Document.at_place(raw, place)
        return replace(self._source, document=document, folder=folder)

    def build_plain(self, row: MappedRow, folder: Path) -> Case | None:
        """The case of a row of the usual kind; None where the schema must decide."""
        case = _parse_plain_row(row.raw, folder)
        if case is None or row.variables is None:
            return case
        return replace(case, vars=row.variables)

    def build_row(self, row: MappedRow, source: Source, at: KeyPath = ()) -> Case | None:
        """The case of a row; None, with problems noted in `source`, where it is none."""
        case = self.read_case(row.raw, source, at)
        if case is None or row.variables is None:
            return case
        return replace(case, vars=row.variables)

    def read_case(self, raw: Any, source: Source, at: KeyPath = ()) -> Case | None:
        """Parses `raw`, the value at `at`, into a case. None, with problems noted in `source`,
        where it is not one.
        """
        plain = _parse_plain_row(raw, source.folder)
        if plain is not None:
            return plain
        spec = read_model(CaseSpec, raw, source.document, source.problems, at)
        return None if spec is None else self.build_case(spec, source, at)

    def build_case(self, spec: CaseSpec, source: Source, at: KeyPath) -> Case:
        """The case of a valid row."""
        later = LaterTurnReader(source).read(spec.turns, (*at, "turns"))
        self._selection.note_roles(turn_roles(later or ()))
        graders, roles = self._read_graders(spec, source, at)
        return Case(
            id=spec.id if spec.id is not None else derive_case_id(spec.vars),
            vars=spec.vars,
            expected=spec.expected,
            tags=tuple(spec.tags),
            metadata=spec.metadata,
            threshold=spec.threshold,
            sampling=spec.sampling,
            graders=graders,
            folder=source.folder,
            later_turns=later,
            tools=spec.tools,
            prompts=None if spec.prompts is None else tuple(spec.prompts),
            roles=roles,
        )

    def _read_graders(
        self, spec: CaseSpec, source: Source, at: KeyPath
    ) -> tuple[tuple[GraderSpec, ...] | None, tuple[RoleReference, ...]]:
        """A case's own graders, None where it has none, and the targets that they ask.

        Where it only adds graders, or has an `extract` of its own, the eval's are among them.
        """
        steps = read_extraction(spec.extract, source, (*at, "extract"))
        if spec.graders is None and steps is None:
            return None, ()
        reader, place = GraderReader(source), (*at, "graders")
        if isinstance(spec.graders, list):
            found = reader.read(spec.graders, place)
        elif spec.graders is None:
            found = list(self._selection.graders)
        else:
            found = [*self._selection.graders, *reader.read(spec.graders.add, (*place, "add"))]
        graders = reader.assign_ids(found, place)
        self._selection.note_roles(reader.roles)
        extract = self._selection.extract if steps is None else steps
        return set_default_extraction(graders, extract), tuple(reader.roles)

    def trusted_builder(self, path: Path) -> Callable[[MappedRow], Case]:
        """Makes the cases of rows of the file that were found valid before."""
        name = display_path(path)
        source = replace(
            self._source,
            document=Document.at_place(None, Place(name)),
            folder=path.parent,
            problems=Problems(),
        )

        def build_again(row: MappedRow) -> Case:
            case = self.build_row(row, source)
            if case is None:
                raise InfrastructureError(
                    f"{name}: a row has changed since it was checked; run again"
                )
            return case

        return build_again


def _parse_plain_row(raw: Any, folder: Path) -> Case | None:
    """Parses the usual kind of row ten times as fast as the schema does; None where the schema
    must decide.
    """
    if type(raw) is not dict or not raw.keys() <= _PLAIN_KEYS:
        return None
    variables, tags, metadata = raw.get("vars", {}), raw.get("tags", []), raw.get("metadata", {})
    if (
        type(variables) is not dict
        or type(metadata) is not dict
        or type(tags) is not list
        or "expected" in variables
    ):
        return None
    if tags and not all(map(_is_plain_name, tags)):
        return None
    case_id = raw["id"] if "id" in raw else derive_case_id(variables)
    if not _is_plain_name(case_id):
        return None
    return Case(
        case_id, variables, raw.get("expected"), tuple(tags), metadata, None, None, None, folder
    )


def _is_plain_name(value: Any) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= 200
        and value.isprintable()
        and value[0] != " " != value[-1]
    )


def own_row(raw: Mapping[str, Any], case: Case) -> Mapping[str, Any]:
    """The row of our own form that makes the case again, id and variables included."""
    return {**raw, "id": case.id, "vars": case.vars}
