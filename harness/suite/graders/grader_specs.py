"""Reads graders as a suite writes them (`json`, `{equals: x}`, `{number: {expected: 3}, weight:
2}`) into `GraderSpec`s.

The registry knows which graders there are and which arguments each takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from harness import registry
from harness.config import templates
from harness.config.diagnostics import KeyPath, Place, did_you_mean, quote_value
from harness.config.fields import check_name
from harness.config.units import parse_share
from harness.graders.base import Arguments, GraderSpec, GraderType
from harness.suite.graders.extraction_steps import read_extraction
from harness.suite.graders.operation_arguments import ArgumentReader
from harness.suite.model import RoleReference
from harness.suite.source import Source

OPTIONS = ("id", "weight", "threshold", "extract")
COMBINATORS = ("not", "all", "any")
UNSUPPORTED = {
    "pairwise": "judge each answer by a rubric, with `judge`",
}


class _Written(NamedTuple):
    """One grader as written: its name, the value of that key, its options, and where it is
    written.
    """

    name: str
    bare: Any
    options: Mapping[str, Any]
    at: KeyPath


class GraderReader:
    """Reads the graders of one source; `places` are those of the graders read so far, parts of
    others apart, and `roles` the targets that they ask.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._problems = source.problems
        self._arguments = ArgumentReader(source)
        self.places: list[Place] = []
        self.roles: list[RoleReference] = []

    def read(self, items: Sequence[Any], at: KeyPath) -> list[GraderSpec]:
        """The graders listed at `at`. Those without an id of their own have an empty one until
        `assign_ids`.
        """
        found = [self._read_spec(item, (*at, index)) for index, item in enumerate(items)]
        return [spec for spec in found if spec is not None]

    def assign_ids(self, specs: Sequence[GraderSpec], at: KeyPath) -> tuple[GraderSpec, ...]:
        """The graders of one set with unique ids: their own, else their type, numbered from the
        second on.
        """
        taken = [spec.id for spec in specs if spec.id]
        for name in sorted({name for name in taken if taken.count(name) > 1}):
            self._source.add_problem(at, f"two graders have the id `{name}`; give each its own")
        return tuple(
            spec if spec.id else _with_id(spec, _free_name(spec.type, taken)) for spec in specs
        )

    def _read_spec(self, item: Any, at: KeyPath) -> GraderSpec | None:
        written = self._read_written(item, at)
        if written is None:
            return None
        arguments = self._read_arguments(written)
        options = {
            name: self._read_option(name, value, at) for name, value in written.options.items()
        }
        self.places.append(self._source.place_of(at))
        return GraderSpec(
            type=written.name,
            arguments=arguments,
            id=options.get("id") or "",
            weight=1.0 if options.get("weight") is None else options["weight"],
            threshold=options.get("threshold"),
            extract=options.get("extract"),
        )

    def _read_written(self, item: Any, at: KeyPath) -> _Written | None:
        if isinstance(item, str):
            return self._check_known(_Written(item, None, {}, at))
        if not isinstance(item, dict):
            self._source.add_problem(
                at,
                "a grader is its name, or its name and arguments such as {contains: sorry}, not"
                f" {quote_value(item)}",
            )
            return None
        names = [key for key in item if key not in OPTIONS]
        if len(names) != 1:
            known = [name for name in names if registry.is_registered("graders", name)]
            strange = next((name for name in names if name not in known), None)
            if len(known) == 1 and strange is not None:
                self._source.add_problem(
                    (*at, strange),
                    f"unknown key `{strange}`; {did_you_mean(strange, OPTIONS)}",
                    key=True,
                )
                return None
            listed = ", ".join(f"`{name}`" for name in names) or "none"
            self._source.add_problem(
                at,
                "each item must name one grader besides `id`, `weight`, `threshold` and `extract`;"
                f" found: {listed}",
            )
            return None
        options = {key: value for key, value in item.items() if key in OPTIONS}
        return self._check_known(_Written(names[0], item[names[0]], options, at))

    def _check_known(self, written: _Written) -> _Written | None:
        name = written.name
        if registry.is_registered("graders", name):
            return written
        place = self._source.place_of((*written.at, name), key=True)
        if name in UNSUPPORTED:
            self._problems.add(
                place, f"the grader `{name}` is not supported by this version; {UNSUPPORTED[name]}"
            )
        else:
            self._problems.add(
                place,
                f"there is no grader `{name}`;"
                f" {did_you_mean(name, registry.registered_names('graders'))}",
            )
        return None

    def _read_option(self, name: str, value: Any, at: KeyPath) -> Any:
        if name == "extract":
            return read_extraction([] if value is None else value, self._source, (*at, name))
        try:
            return _OPTION_READERS[name](value)
        except ValueError as wrong:
            self._source.add_problem((*at, name), f"`{name}` {wrong}")
            return None

    def _read_arguments(self, written: _Written) -> dict[str, Any]:
        kind: GraderType[Arguments] = registry.load_plugin("graders", written.name)
        at = (*written.at, written.name)
        arguments = self._arguments.expand(kind, written.bare, at)
        if arguments is None:
            return {}
        before = len(self._problems)
        if written.name in COMBINATORS:
            arguments = self._read_combinator(arguments, at)
        elif kind.file in arguments:
            arguments[kind.file] = self._arguments.resolve_file(
                written.name, arguments[kind.file], (*at, kind.file)
            )
        if len(self._problems) == before:  # else the whole would repeat the problems of its parts
            checked = self._arguments.check(kind, arguments, at)
            if kind.asks is not None and checked is not None:
                self._note_role(
                    arguments.get(kind.asks), getattr(checked, "sampling", {}), (*at, kind.asks)
                )
        return arguments

    def _note_role(self, target: Any, sampling: Mapping[str, Any], at: KeyPath) -> None:
        place = self._source.place_of(at)
        if not isinstance(target, str) or templates.is_template(target):
            self._problems.add(
                place,
                "a target cannot be a template, because a case's data must not choose the model;"
                " write the target's name",
            )
        else:
            self.roles.append(RoleReference(target, sampling, place))

    def _read_combinator(self, arguments: dict[str, Any], at: KeyPath) -> dict[str, Any]:
        """The arguments of `not`, `all` or `any`, with the graders in them checked and in their
        long form.
        """
        if "grader" in arguments:
            return {**arguments, "grader": self._read_part(arguments["grader"], (*at, "grader"))}
        parts = arguments.get("graders")
        if isinstance(parts, list):
            return {
                **arguments,
                "graders": [
                    self._read_part(part, (*at, "graders", index))
                    for index, part in enumerate(parts)
                ],
            }
        return arguments

    def _read_part(self, item: Any, at: KeyPath) -> Any:
        if isinstance(item, dict) and "weight" in item:
            self._source.add_problem(
                (*at, "weight"),
                "a nested grader has no weight; set it on the outer grader",
                key=True,
            )
        written = self._read_written(item, at)
        if written is None:
            return None
        options = {
            name: self._read_option(name, value, at) for name, value in written.options.items()
        }
        return {written.name: self._read_arguments(written) or None, **options}


def grader_variables(graders: Sequence[GraderSpec]) -> dict[str, str]:
    """The variables that grader arguments use, `expected` among them, each with the grader that
    uses it.
    """
    needs: dict[str, str] = {}
    for spec in graders:
        for template in argument_templates(spec):
            needs.update(dict.fromkeys(template.variables, f"the grader `{spec.id}`"))
    return needs


def argument_templates(spec: GraderSpec) -> Iterator[templates.Template]:
    """The templates among a grader's arguments, without those that are noted as wrong where they
    are written.
    """
    for _, text in templates.templates_in([spec.arguments, spec.extract]):
        with suppress(templates.TemplateError):
            yield templates.compile_template(text)


def _parse_weight(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < float("inf")
    ):
        raise ValueError(
            f"should be 0 (reported only) or a positive number, not {quote_value(value)}"
        )
    return float(value)


_OPTION_READERS: Mapping[str, Callable[[Any], Any]] = {
    "id": check_name,
    "weight": _parse_weight,
    "threshold": parse_share,
}


def _free_name(base: str, taken: list[str]) -> str:
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    taken.append(name)
    return name


def _with_id(spec: GraderSpec, name: str) -> GraderSpec:
    return spec.model_copy(update={"id": name})
