"""Loads a suite file into a checked `Suite`, or raises everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.config.diagnostics import Place, Problems, did_you_mean, display_path
from harness.config.fields import read_partial_model
from harness.config.sampling import Sampling
from harness.config.yaml import Document, parse_yaml
from harness.errors import HarnessError
from harness.suite import consistency, sweep
from harness.suite.evals import EvalReader
from harness.suite.files import WorkspaceFiles, workspace_of
from harness.suite.model import RoleReference
from harness.suite.overrides import Overrides
from harness.suite.run_settings import RunSpec
from harness.suite.schema import SuiteFile
from harness.suite.source import Source
from harness.suite.suite import Suite
from harness.suite.sweep import Setting
from harness.suite.targets.capability_overrides import read_capability_overrides
from harness.suite.targets.code_targets import check_code_target
from harness.suite.targets.target_reader import TargetSpec, TargetTable, check_target

TARGETS_FILE = "targets.yaml"

_PLACEHOLDERS = {
    "suite": "unnamed",
    "targets": "scout-sim",
}  # so that a suite with a wrong key is checked to its end


def load_suite(
    path: Path,
    overrides: Overrides | None = None,
    check_further: Callable[[Suite], None] | None = None,
) -> Suite:
    """Load the suite at `path`, with the command line's `overrides`. Raises SuiteError with all
    problems: where there are any, with those that `check_further` raises for what could be read.
    """
    problems = Problems()
    source = _open_suite(Path(path), problems)
    suite = None if source is None else _Loader(Path(path), source, overrides or Overrides()).load()
    if len(problems) and suite is not None and check_further is not None:
        with suppress(HarnessError), problems.gather():  # else what failed is noted already
            check_further(suite)
    problems.raise_any()
    if suite is None:
        raise AssertionError("a suite that cannot be read has a problem")
    return suite


def named_targets(folder: Path) -> list[TargetSpec]:
    """The targets that a suite in `folder` can name. Raises SuiteError where targets.yaml is
    invalid.
    """
    problems = Problems()
    folder = folder.resolve()
    files = WorkspaceFiles(workspace_of(folder / TARGETS_FILE), problems)
    source = Source(Document.at_place(None, Place(display_path(folder))), folder, files, problems)
    table = _open_target_table(source)
    found = [table.find(name, source.document.place_of()) for name in table.names()]
    problems.raise_any()
    return [spec for spec in found if spec is not None]


def _open_suite(path: Path, problems: Problems) -> Source | None:
    place = Place(display_path(path))
    try:
        if path.is_dir():
            problems.add(place, "is a folder; name a suite file in it")
            return None
        if not path.exists():
            problems.add(
                place, "there is no such file; name a suite, or make one with `harness init`"
            )
            return None
        resolved = path.resolve()
    except (OSError, ValueError, RuntimeError) as refused:
        problems.add(place, f"cannot be read: {refused}")
        return None
    files = WorkspaceFiles(workspace_of(resolved), problems)
    text = files.read_text(resolved, place)
    document = None if text is None else parse_yaml(text, display_path(path), problems)
    return None if document is None else Source(document, resolved.parent, files, problems)


def _open_target_table(suite: Source) -> TargetTable:
    targets = suite.open_optional(TARGETS_FILE)
    return TargetTable(None if targets is None else targets.document, suite.problems)


class _Loader:
    """Loads one suite; every step notes problems and continues with the rest."""

    def __init__(self, path: Path, source: Source, overrides: Overrides) -> None:
        self._path = path.resolve()
        self._source = source
        self._document = source.document
        self._overrides = overrides
        self._problems = source.problems

    def load(self) -> Suite | None:
        """The suite, None where too little of it can be read; it is valid only where no problem
        was noted.
        """
        if not isinstance(self._document.value, dict):
            self._source.add_problem((), "a suite is a mapping that begins with `suite: its-name`")
            return None
        written = read_partial_model(
            SuiteFile, self._document.value, self._document, self._problems, _PLACEHOLDERS
        )
        return None if written is None else self._resolve_suite(written)

    def _resolve_suite(self, written: SuiteFile) -> Suite:
        overrides, problems = self._overrides, self._problems
        consistency.check_override_numbers(overrides, problems)
        filters = consistency.read_filters(overrides, problems)
        targets = self._read_targets(written)
        fixed = self._fixed_sampling()
        before = len(problems)
        settings = sweep.expand_sweep(
            written.sweep, fixed, lambda at, why: self._source.add_problem(("sweep", *at), why)
        )
        swept = self._document.value.get("sweep")
        partial = isinstance(swept, dict) and swept.keys() != written.sweep.model_fields_set
        unknown = {"setting"} if len(problems) > before or partial else set[str]()
        if len(targets) < len(written.targets):
            unknown.add("target")
        reader = EvalReader(written, self._source, overrides, filters)
        evals = reader.read()
        unknown |= reader.unknown
        gate_reader = consistency.GateReader(self._source)
        gates = gate_reader.read_gates(written.gates)
        gate_reader.check_measured(gates, written.run)
        # What could not be read may be what a gate or a filter names.
        full = sweep.expand_sweep(written.sweep, {}, lambda *_: None)
        names = consistency.list_names(evals, reader.selections, targets, full.points, unknown)
        gate_reader.check_slices(gates, names)
        consistency.check_filters(filters, names, evals, problems)
        roles, role_targets = self._read_role_targets(reader, targets)
        evals = consistency.select_evals(filters, evals, problems)
        selected = self._selected_targets(targets)
        skipped = consistency.find_skipped_gates(gates, overrides, evals, selected, settings.points)
        repeats = overrides.repeats or written.repeats
        sampling = {**written.sampling, **fixed}
        sampled = tuple(
            each for selection in reader.selections.values() for each in selection.sampled.values()
        )
        return Suite(
            written=written.model_copy(update={"cases": None}),
            name=written.suite,
            description=written.description,
            path=self._path,
            workspace=self._source.files.workspace,
            evals=evals,
            targets=selected,
            roles=roles,
            role_targets=role_targets,
            sampling=sampling,
            sampled=sampled,
            places=self._collect_places(written, settings.points, fixed),
            settings=settings.points,
            excluded=settings.excluded,
            repeats=repeats,
            run=self._override_run(written.run),
            gates=tuple(
                consistency.drop_fixed_parameters(gate, fixed)
                for gate in gates
                if gate not in skipped
            ),
            strict=written.strict,
            mode_place=self._document.place_of(("run", "mode")),
            capability_overrides=read_capability_overrides(self._source),
            warnings=(
                *problems.warnings,
                *(
                    f"the gate `{gate.text}` is skipped: none of its trials are selected"
                    for gate in skipped
                ),
                *consistency.suite_warnings(evals, targets, sampling, settings.points, repeats),
                *(said for each in reader.selections.values() for said in each.warnings),
            ),
            findings=tuple(said for each in reader.selections.values() for said in each.findings),
        )

    @cached_property
    def _target_table(self) -> TargetTable:
        """The targets that the suite can name."""
        return _open_target_table(self._source)

    def _read_targets(self, written: SuiteFile) -> list[TargetSpec]:
        found: list[TargetSpec] = []
        for index, item in enumerate(written.targets):
            place = self._document.place_of(("targets", index))
            if item is None:  # wrong, and noted as such
                continue
            spec = self._target_table.find(item, place) if isinstance(item, str) else item
            if isinstance(item, TargetSpec):
                check_target(item, place, self._problems)
            if spec is not None:
                check_code_target(spec, self._source, place)
            if spec is not None and any(spec.name == other.name for other in found):
                self._problems.add(
                    place, f"two targets are called `{spec.name}`; give each its own name"
                )
            elif spec is not None:
                found.append(spec)
        return found

    def _read_role_targets(
        self, reader: EvalReader, targets: list[TargetSpec]
    ) -> tuple[tuple[RoleReference, ...], tuple[TargetSpec, ...]]:
        """Who graders and simulated users ask, and those targets: the suite's own of that name,
        else a named one.
        """
        roles = tuple(
            each for selection in reader.selections.values() for each in selection.roles.values()
        )
        own = {target.name: target for target in targets}
        places = {each.target: each.place for each in reversed(roles)}
        found = [
            own.get(name) or self._target_table.find(name, place)
            for name, place in sorted(places.items())
        ]
        role_targets = tuple(spec for spec in found if spec is not None)
        for spec in role_targets:
            check_code_target(spec, self._source, places[spec.name])
        return roles, role_targets

    def _selected_targets(self, targets: list[TargetSpec]) -> tuple[TargetSpec, ...]:
        names = [target.name for target in targets]
        for name in self._overrides.targets:
            if name not in names:
                self._problems.add(
                    Place("--target"),
                    f"the suite has no target `{name}`; {did_you_mean(name, names)}",
                )
        kept = [
            target
            for target in targets
            if not self._overrides.targets or target.name in self._overrides.targets
        ]
        return tuple(
            kept if self._overrides.concurrency is None else map(_without_concurrency, kept)
        )

    def _fixed_sampling(self) -> dict[str, Any]:
        given = dict(self._overrides.sampling)
        document = Document.at_place(given, Place("--set sampling"))
        sampling = read_partial_model(Sampling, given, document, self._problems, {})
        return sampling.parameters() if sampling else {}

    def _collect_places(
        self, written: SuiteFile, settings: Sequence[Setting], fixed: Mapping[str, Any]
    ) -> dict[str, Place]:
        """Where each sampling parameter and each target is written; of several places, the one
        that takes effect.
        """
        sweep = self._document.node_at(("sweep",))
        places = {name: self._document.place_of(("sampling", name)) for name in written.sampling}
        for name in {name for point in settings for name in point}:
            at = ("sweep", name) if name in sweep.children else ("sweep", "zip", name)
            places[name] = self._document.place_of(at)
        places |= {name: Place("--set sampling") for name in fixed}
        at_command_line = self._overrides.budget is not None
        places["budget"] = (
            Place("--budget") if at_command_line else self._document.place_of(("run", "budget"))
        )
        for index, item in enumerate(written.targets):
            if item is not None:
                name = item if isinstance(item, str) else item.name
                places[f"target {name}"] = self._document.place_of(("targets", index))
        return places

    def _override_run(self, run: RunSpec) -> RunSpec:
        changes = {"concurrency": self._overrides.concurrency, "budget": self._overrides.budget}
        return run.model_copy(
            update={name: value for name, value in changes.items() if value is not None}
        )


def _without_concurrency(target: TargetSpec) -> TargetSpec:
    """The target without a concurrency of its own, so that the command line's applies."""
    return target.model_copy(
        update={"limits": target.limits.model_copy(update={"concurrency": None})}
    )
