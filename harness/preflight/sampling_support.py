"""Which sampling parameters each target takes, and in which range: the suite's, its cases' and its
roles' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.config.diagnostics import Place
from harness.errors import Problem, SuiteError
from harness.flows.base import RoleTarget
from harness.model import Target
from harness.providers import capabilities
from harness.suite import Suite
from harness.suite.model import RoleReference
from harness.wording import pluralize


def check_sampling(
    suite: Suite, targets: Sequence[Target], table: capabilities.CapabilityTable
) -> dict[str, set[str]]:
    """The parameters each target is not sent, because it cannot take them and the suite agreed to
    leave them out.

    Raises SuiteError, all at once, for those it did not, and for every value out of range: nothing
    is clamped.
    """
    problems: list[Problem] = []
    dropped: dict[str, set[str]] = {}
    for spec, target in zip(suite.targets, targets, strict=True):
        may_drop = (spec.unsupported or suite.run.unsupported) == "drop"
        for sampling, stands in _sampling_combinations(suite, target):
            for violation in capabilities.check_sampling(
                table, target.provider, target.model, sampling, target.api_version
            ):
                if violation.unsupported and may_drop:
                    dropped.setdefault(target.name, set()).add(violation.parameter)
                else:
                    place = stands or _place_of_parameter(suite, target, violation.parameter)
                    message = f"target {target.name!r}: {violation.message}"
                    problems.append(Problem(message, place.path, place.line, place.column))
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return dropped


def describe_default_limits(suite: Suite, targets: Sequence[Target]) -> Iterator[str]:
    """A sentence on each target whose answers are limited by a default of its service, which the
    suite does not speak of."""
    for spec, target in zip(suite.targets, targets, strict=True):
        said = "max_tokens" in {**suite.sampling, **spec.sampling} or all(
            "max_tokens" in each for each in suite.settings
        )
        if not said and "max_tokens" in target.sampling:
            most = pluralize(target.sampling["max_tokens"], "token")
            yield (
                f"{target.name}: answers are limited to {most}, the service's default, because the"
                " suite sets no max_tokens"
            )


def _sampling_combinations(
    suite: Suite, target: Target
) -> Iterator[tuple[dict[str, Any], Place | None]]:
    """Each combination of parameters this target would be sent, a `fixed` seed as the number it is.

    Then those of cases alone, as far as the sweep leaves them in force, each with the place of the
    first such case.
    """
    for setting in suite.settings:
        yield _with_plain_seed(suite.merge_sampling(target.sampling, None, setting)), None
    swept = frozenset.intersection(*(frozenset(setting) for setting in suite.settings))
    for each in suite.sampled:
        yield (
            _with_plain_seed(
                {name: value for name, value in each.sampling.items() if name not in swept}
            ),
            each.place,
        )


def _with_plain_seed(sampling: dict[str, Any]) -> dict[str, Any]:
    seed = sampling.get("seed")
    return sampling | {"seed": seed["fixed"]} if isinstance(seed, Mapping) else sampling


def _place_of_parameter(suite: Suite, target: Target, parameter: str) -> Place:
    """Where what a target would be sent for `parameter` is written: in the suite, else it is the
    target's own."""
    in_suite = parameter in suite.sampling or any(
        parameter in setting for setting in suite.settings
    )
    return (suite.places.get(parameter) if in_suite else None) or suite.place_of(target.name)


def check_role_targets(
    suite: Suite, targets: Mapping[str, Target], table: capabilities.CapabilityTable
) -> dict[str, RoleTarget]:
    """The targets that graders ask, by name, with what each of them can do.

    Raises SuiteError, all at once, for parameters they cannot take, at the place of the grader that
    sends them.
    """
    role_targets: dict[str, RoleTarget] = {}
    problems: list[Problem] = []
    for spec in suite.role_targets:
        target = targets[spec.name]
        may_drop, dropped = (spec.unsupported or suite.run.unsupported) == "drop", set()
        for asking in (each for each in suite.roles if each.target == spec.name):
            sampling = {**target.sampling, **asking.sampling}
            for violation in capabilities.check_sampling(
                table, target.provider, target.model, sampling, target.api_version
            ):
                if violation.unsupported and may_drop:
                    dropped.add(violation.parameter)
                else:
                    problems.append(_refused_parameter(asking, violation))
        entry = table.find(target.provider, target.model, target.api_version)
        role_targets[spec.name] = RoleTarget(
            target, bool(entry and entry.json_schema), frozenset(dropped)
        )
    if problems:
        raise SuiteError(list(dict.fromkeys(problems)))
    return role_targets


def _refused_parameter(asking: RoleReference, violation: capabilities.Violation) -> Problem:
    message = f"target {asking.target!r}, as it is asked here: {violation.message}"
    if not violation.unsupported and violation.parameter in (
        "temperature",
        "max_tokens",
    ):  # the ones with a default
        message += f"; give another `sampling: {{{violation.parameter}: …}}` here"
    return Problem(message, asking.place.path, asking.place.line, asking.place.column)
