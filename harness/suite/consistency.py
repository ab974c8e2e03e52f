"""Cross-checks the parts of a suite: filters and gates may only name what exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from harness.config.diagnostics import KeyPath, Place, Problems, did_you_mean, quote_value
from harness.metrics.table import METRICS
from harness.suite import gate_syntax
from harness.suite.cases.case_ids import CaseIds
from harness.suite.cases.selection import Selection
from harness.suite.gate_syntax import GateSpec
from harness.suite.overrides import Filter, Overrides, parse_filter
from harness.suite.run_settings import RunSpec
from harness.suite.source import Source
from harness.suite.suite import Eval
from harness.suite.sweep import Setting
from harness.suite.targets.target_reader import TargetSpec
from harness.suite.tools import find_unknown_calls
from harness.wording import pluralize

Selections = Mapping[str, Selection]


def read_filters(overrides: Overrides, problems: Problems) -> tuple[Filter, ...]:
    """Parses the command line's filters; wrong ones are noted and left out."""
    found = []
    for text in overrides.filters:
        try:
            found.append(parse_filter(text))
        except ValueError as wrong:
            problems.add(Place("--filter"), str(wrong))
    return tuple(found)


def check_override_numbers(overrides: Overrides, problems: Problems) -> None:
    """Note numbers of the command line that are out of range."""
    for option, value in (
        ("limit", overrides.limit),
        ("repeats", overrides.repeats),
        ("concurrency", overrides.concurrency),
    ):
        if value is not None and value < 1:
            problems.add(Place(f"--{option}"), f"should be 1 or more, not {value}")
    if overrides.budget is not None and overrides.budget < 0:
        problems.add(Place("--budget"), f"should be 0 US dollars or more, not {overrides.budget}")


class Names(NamedTuple):
    """What gates and filters may name: by axis its names, the ids of the cases, the swept
    parameters. An axis that could not be read to its end is left out, and None.
    """

    axes: Mapping[str, Collection[str]]
    cases: tuple[CaseIds, ...] | None
    settings: Sequence[Setting] | None


def list_names(
    evals: Sequence[Eval],
    selections: Selections,
    targets: Sequence[TargetSpec],
    settings: Sequence[Setting],
    unknown: Collection[str],
) -> Names:
    """What the whole suite has to name; `unknown` are the axes of which something is missing."""
    axes: dict[str, Collection[str]] = {
        "tag": {tag for each in selections.values() for tag in each.tags},
        "prompt": {prompt.id for each in evals for prompt in each.prompts},
        "eval": {each.name for each in evals},
        "target": {target.name for target in targets},
    }
    return Names(
        {axis: names for axis, names in axes.items() if axis not in unknown},
        None if "case" in unknown else tuple(each.ids for each in selections.values()),
        None if "setting" in unknown else settings,
    )


def check_filters(
    filters: Sequence[Filter], names: Names, evals: Sequence[Eval], problems: Problems
) -> None:
    """Note filters that match no tag, case, prompt or eval."""
    for each in filters:
        if each.key == "id":
            if names.cases is not None and not any(each.value in ids for ids in names.cases):
                problems.add(
                    Place("--filter"),
                    f"no case has the id `{each.value}`; {_nearest_id(each.value, evals)}",
                )
        elif each.key in names.axes and each.value not in names.axes[each.key]:
            problems.add(
                Place("--filter"),
                f"no {each.key} is called `{each.value}`;"
                f" {did_you_mean(each.value, names.axes[each.key])}",
            )


def _nearest_id(case_id: str, evals: Sequence[Eval]) -> str:
    """A suggestion from the first selected cases; enough for a typing mistake."""
    ids = [case.id for each in evals for case in each.cases[:1000]]
    return did_you_mean(case_id, ids) if ids else "run without the filter to see all ids"


def select_evals(
    filters: Sequence[Filter], evals: Sequence[Eval], problems: Problems
) -> tuple[Eval, ...]:
    """The evals with the prompts that pass the filters, without evals that have no prompt or
    case left.
    """
    kept = []
    for each in evals:
        prompts = tuple(
            prompt
            for prompt in each.prompts
            if all(one.allows(prompt.id) for one in filters if one.key == "prompt")
        )
        if prompts and len(each.cases):
            kept.append(replace(each, prompts=prompts))
    if evals and not kept and not problems:
        problems.add(
            Place("--filter"),
            "nothing is left to run: no case and prompt pass all filters; loosen one",
        )
    return tuple(kept)


class GateReader:
    """Reads the suite's gates, and checks that their slices can match something."""

    def __init__(self, source: Source) -> None:
        self._document = source.document
        self._problems = source.problems

    def read_gates(self, items: Sequence[Any]) -> tuple[GateSpec, ...]:
        """Parses the gates; wrong ones are noted and left out."""
        found = [self._read_gate(item, ("gates", index)) for index, item in enumerate(items)]
        return tuple(gate for gate in found if gate is not None)

    def _read_gate(self, item: Any, at: KeyPath) -> GateSpec | None:
        place = self._document.place_of(at)
        if isinstance(item, dict) and len(item) == 1:
            name = next(iter(item))
            if name in gate_syntax.UNSUPPORTED:
                self._problems.add(
                    place,
                    f"the gate `{name}:` is not supported by this version;"
                    f" {gate_syntax.UNSUPPORTED[name]}",
                )
                return None
        if not isinstance(item, str):
            self._problems.add(
                place, f"a gate is one line such as `pass_rate >= 0.9`, not {quote_value(item)}"
            )
            return None
        try:
            return gate_syntax.parse_gate(item, place.line, place.column)
        except ValueError as wrong:
            self._problems.add(place, str(wrong))
            return None

    def check_slices(self, found: Sequence[GateSpec], names: Names) -> None:
        """Note slices that no trial of the whole suite falls into, whichever part of it is
        selected.
        """
        for gate in found:
            for name, value in gate.slice.items():
                if name == "case":
                    if names.cases is not None and not any(
                        str(value) in ids for ids in names.cases
                    ):
                        self._note_problem(
                            gate, f"no case has the id `{value}`; correct or remove the slice"
                        )
                elif name in gate_syntax.AXES:
                    known = names.axes.get(name)
                    if known is not None and value not in known:
                        self._note_problem(
                            gate,
                            f"no {name} is called `{value}`; {did_you_mean(str(value), known)}",
                        )
                elif names.settings is not None:
                    swept = [setting.get(name) for setting in names.settings]
                    self._check_parameter(gate, name, value, swept)

    def check_measured(self, found: Sequence[GateSpec], run: RunSpec) -> None:
        """Note gates on measures that a run of this kind does not have: they would be judged
        only after the run is paid for.
        """
        for gate in found:
            metric = METRICS[gate.metric]
            if metric.needs and run.mode == "batch":
                self._note_problem(
                    gate,
                    "batch answers have no latency; remove the gate or `mode: batch`",
                )
            elif metric.needs == "streaming" and not run.stream:
                self._note_problem(
                    gate,
                    f"answers that are not streamed have no {metric.title}; remove the gate or"
                    " `stream: false`",
                )

    def _check_parameter(self, gate: GateSpec, name: str, value: Any, swept: Sequence[Any]) -> None:
        values = [each for each in swept if each is not None]
        if not values:
            self._note_problem(gate, f"`{name}` is not swept, so a slice cannot use it; remove it")
        elif value not in values:
            self._note_problem(
                gate,
                f"`{name}` is never {quote_value(value)};"
                f" {did_you_mean(str(value), {str(each) for each in values})}",
            )

    def _note_problem(self, gate: GateSpec, message: str) -> None:
        self._problems.add(
            Place(self._document.path, gate.line, gate.column), f"the gate `{gate.text}`: {message}"
        )


_IDLE_WHEN_GREEDY = frozenset({"top_p", "top_k", "min_p", "seed"})
"""Parameters without effect where always the likeliest token is taken."""


def find_skipped_gates(
    found: Sequence[GateSpec],
    overrides: Overrides,
    evals: Sequence[Eval],
    targets: Sequence[TargetSpec],
    settings: Sequence[Setting],
) -> tuple[GateSpec, ...]:
    """The gates whose slice has no trial among those that the command line selects, or leaves of
    the sweep in `settings`; none where it does neither."""
    if not (overrides.filters or overrides.targets or overrides.limit or overrides.sampling):
        return ()
    points = [{**setting, **overrides.sampling} for setting in settings]
    return tuple(
        gate
        for gate in found
        if not any(gate.slice.get("target", target.name) == target.name for target in targets)
        or not any(_has_trials(gate.slice, each) for each in evals)
        or not any(_has_parameters(gate.slice, point) for point in points)
    )


def _has_parameters(wanted: Mapping[str, Any], point: Setting) -> bool:
    """Whether a setting has the sampling parameters of a slice."""
    return all(
        point.get(name) == value for name, value in wanted.items() if name not in gate_syntax.AXES
    )


def drop_fixed_parameters(gate: GateSpec, fixed: Mapping[str, Any]) -> GateSpec:
    """The gate without the parameters that the command line sets for all trials alike."""
    if fixed.keys().isdisjoint(gate.slice):
        return gate
    kept = {name: value for name, value in gate.slice.items() if name not in fixed}
    return gate.model_copy(update={"slice": kept})


def _has_trials(wanted: Mapping[str, Any], each: Eval) -> bool:
    """Whether any case and prompt of the eval falls into a slice."""
    if wanted.get("eval", each.name) != each.name or (
        "prompt" in wanted and wanted["prompt"] not in {prompt.id for prompt in each.prompts}
    ):
        return False
    if not wanted.keys() & {"tag", "case"}:
        return True
    return any(
        wanted.get("case", case.id) == case.id
        and ("tag" not in wanted or wanted["tag"] in case.tags)
        for case in each.cases
    )


def suite_warnings(
    evals: Sequence[Eval],
    targets: Sequence[TargetSpec],
    sampling: Mapping[str, Any],
    settings: Sequence[Setting],
    repeats: int,
) -> list[str]:
    """Warnings about what is allowed, but probably a mistake."""
    found = [
        f"the target `{each.name}` has `functions:`, which Workers AI has deprecated; use `tools:`"
        for each in targets
        if each.functions is not None
    ]
    found += [
        f"the eval `{each.name}` has no graders: {_ungraded_answers(each)} no verdict"
        for each in evals
        if not _has_graders(each)
    ]
    for each in evals:
        found += [
            f"the eval `{each.name}`: {sentence}"
            for sentence in find_unknown_calls(each.toolset, each.graders)
        ]
    fixed = any(isinstance(point.get("seed"), dict) for point in (sampling, *settings))
    if fixed and repeats > 1:
        found.append(
            f"the seed is fixed, so the {repeats} repeats of a question are the same draw; write"
            " `seed: s` to vary it"
        )
    repeated = (_describe_idle_sweep(each, sampling, settings, repeats) for each in targets)
    return [*found, *dict.fromkeys(sentence for sentence in repeated if sentence)]


def _describe_idle_sweep(
    target: TargetSpec, sampling: Mapping[str, Any], settings: Sequence[Setting], repeats: int
) -> str:
    """What a sweep varies for nothing at temperature 0; empty where it does not."""
    greedy = [
        setting
        for setting in settings
        if {**target.sampling, **sampling, **setting}.get("temperature") == 0
    ]
    idle = sorted(
        name
        for name in _IDLE_WHEN_GREEDY
        if len({str(setting.get(name)) for setting in greedy}) > 1
    )
    if not idle:
        return ""
    asked = Counter(
        str(sorted((name, str(value)) for name, value in setting.items() if name not in idle))
        for setting in greedy
    )
    times = max(asked.values()) * repeats
    verb = "has" if len(idle) == 1 else "have"
    return (
        f"at temperature 0, {' and '.join(idle)} {verb} no effect, so this sweep asks each question"
        f" {times} times; sweep it at a higher temperature"
    )


def _has_graders(each: Eval) -> bool:
    """Whether every answer is graded: by the eval, by a prompt's turns, or by its own case."""
    return (
        bool(each.graders)
        or each.self_graded == len(each.cases)
        or any(turn.graders for prompt in each.prompts for turn in prompt.later_turns)
    )


def _ungraded_answers(each: Eval) -> str:
    if not each.self_graded:
        return "its answers get"
    return f"the answers to {pluralize(len(each.cases) - each.self_graded, 'case')} get"
