"""Checks sampling parameters against what a model takes: before a run, not by failing in it.

A value out of range is refused, never clamped: a run whose settings are not the requested ones is
worse than no run. What models take is stated in `harness.vendors`; a user's own entries take
precedence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from harness.vendors import PROVIDERS
from harness.vendors.facts import Capabilities, ImageLimits, Parameter, ParameterType

_TYPE_NAMES: Mapping[ParameterType, str] = {
    "number": "a number",
    "integer": "a whole number",
    "flag_or_count": "true, false or a whole number",
}


_OTHERWISE = (
    "set `unsupported: drop`, or declare it as supported in a capabilities.yaml next to the suite"
)


class CapabilityTable(Struct, frozen=True):
    """Capabilities by provider; of several entries that match a model, the first counts.

    `overrides` are the user's entries, as plain data: what the first that matches says takes
    precedence over `entries`.
    """

    entries: Mapping[str, Sequence[Capabilities]]
    overrides: tuple[Mapping[str, Any], ...] = ()

    def with_overrides(self, overrides: Sequence[Mapping[str, Any]]) -> CapabilityTable:
        """This table under the user's entries."""
        return CapabilityTable(self.entries, tuple(overrides))

    def find(
        self, provider: str, model: str, api_version: str | None = None
    ) -> Capabilities | None:
        """The capabilities of `model`; None for a provider that is not in the table (a plug-in's):
        nothing is checked."""
        shipped = next(
            (each for each in self.entries.get(provider, ()) if each.matches(model, api_version)),
            None,
        )
        for fields in self.overrides:
            if fields["provider"] == provider:
                own = _apply_override(shipped, fields)
                if own.matches(model, api_version):
                    return own
        return shipped


def built_in_table() -> CapabilityTable:
    """What the models of the built-in providers take."""
    return CapabilityTable(
        {name: facts.models for name, facts in PROVIDERS.items() if facts.models}
    )


class Violation(Struct, frozen=True):
    """A parameter a target cannot take as asked; one that is `unsupported` altogether may be
    dropped instead."""

    parameter: str
    message: str
    unsupported: bool = False


def check_sampling(
    table: CapabilityTable,
    provider: str,
    model: str,
    sampling: Mapping[str, Any],
    api_version: str | None = None,
) -> list[Violation]:
    """What is wrong with `sampling` for `model`, in its order; a null value is not sent and never
    wrong."""
    entry = table.find(provider, model, api_version)
    if entry is None:
        return []
    given = {name: value for name, value in sampling.items() if value is not None}
    violations = (
        _find_violation(entry, provider, model, name, value)
        or _find_conflict(entry, provider, model, name, given)
        for name, value in given.items()
    )
    return [
        *(each for each in violations if each is not None),
        *(
            Violation(
                name,
                f"{model} on {provider} does not support {name} together with {other}; remove one"
                " of them",
            )
            for name in given
            for other in (entry.parameters[name].not_with if name in entry.parameters else ())
            if other in given
        ),
    ]


def seed_range(
    table: CapabilityTable, provider: str, model: str, api_version: str | None = None
) -> tuple[int, int] | None:
    """Smallest and largest seed of `model`; None where it takes none or the range is not known."""
    entry = table.find(provider, model, api_version)
    seed = entry.parameters.get("seed") if entry else None
    if seed is None or seed.min is None or seed.max is None:
        return None
    return int(seed.min), int(seed.max)


def _find_violation(
    entry: Capabilities, provider: str, model: str, name: str, value: Any
) -> Violation | None:
    parameter = entry.parameters.get(name)
    if parameter is None:
        version = (
            f" in its API version {entry.api_versions[0]}" if len(entry.api_versions) == 1 else ""
        )
        message = f"{model} on {provider}{version} does not support {name}; remove it, {_OTHERWISE}"
        return Violation(name, message, unsupported=True)
    if not _is_valid_value(parameter, value):
        if parameter.min is not None and parameter.min == parameter.max:
            return Violation(
                name,
                f"{model} on {provider} supports {name} only at {parameter.min:g}, not"
                f" {value!r:.60}; remove it, {_OTHERWISE}",
                unsupported=True,
            )
        expected = describe_values(parameter)
        return Violation(
            name, f"{name} must be {expected} for {model} on {provider}, not {value!r:.60}"
        )
    most = entry.max_output
    if name == "max_tokens" and most is not None and value > most:
        return Violation(
            name, f"max_tokens may be at most {most:,} for {model} on {provider}, not {value:,}"
        )
    return None


def _find_conflict(
    entry: Capabilities, provider: str, model: str, name: str, given: Mapping[str, Any]
) -> Violation | None:
    """A parameter that the model takes only while it does not reason as asked."""
    parameter, effort, value = entry.parameters[name], given.get("reasoning_effort"), given[name]
    efforts = parameter.efforts
    is_neutral = value is False or (parameter.type == "number" and value == 1)
    if not efforts or effort is None or effort in efforts or is_neutral:
        return None
    message = (
        f"{model} on {provider} takes {name} only with reasoning_effort {' or '.join(efforts)},"
        f" not {effort}; remove one of them, {_OTHERWISE}"
    )
    return Violation(name, message, unsupported=True)


def _is_valid_value(parameter: Parameter, value: Any) -> bool:
    if parameter.type == "word":
        return isinstance(value, str) and (not parameter.values or value in parameter.values)
    if parameter.type == "strings":
        return _are_valid_strings(parameter, [value] if isinstance(value, str) else value)
    if isinstance(value, bool):
        return parameter.type == "flag_or_count"
    if not isinstance(value, int | float if parameter.type == "number" else int):
        return False
    return (
        math.isfinite(value)
        and (parameter.min is None or value >= parameter.min)
        and (parameter.max is None or value <= parameter.max)
        and (parameter.above is None or value > parameter.above)
        and (parameter.below is None or value < parameter.below)
    )


def _are_valid_strings(parameter: Parameter, values: Any) -> bool:
    if (
        not isinstance(values, list | tuple)
        or not values
        or not all(isinstance(each, str) and each for each in values)
    ):
        return False
    if parameter.max_items is not None and len(values) > parameter.max_items:
        return False
    return parameter.blank or all(each.strip() for each in values)


def describe_values(parameter: Parameter) -> str:
    """The values a parameter may have, in words: `a number from 0 to 5`."""
    if parameter.type == "word":
        return "one of " + ", ".join(parameter.values) if parameter.values else "a word"
    if parameter.type == "strings":
        most = f"at most {parameter.max_items} strings" if parameter.max_items else "strings"
        return f"a string or a list of {most}" + (
            "" if parameter.blank else ", none consisting only of white space"
        )
    bounds = " and ".join(_describe_bounds(parameter))
    kind = _TYPE_NAMES[parameter.type]
    return f"{kind} {bounds}" if bounds else kind


def _describe_bounds(parameter: Parameter) -> Iterator[str]:
    if parameter.min is not None and parameter.min == parameter.max:
        yield f"equal to {parameter.min:g}"
        return
    if parameter.min is not None and parameter.max is not None:
        yield f"from {parameter.min} to {parameter.max}"
        return
    words = {
        "of at least": parameter.min,
        "above": parameter.above,
        "of at most": parameter.max,
        "below": parameter.below,
    }
    for word, bound in words.items():
        if bound is not None:
            yield f"{word} {bound}"


def _apply_override(shipped: Capabilities | None, fields: Mapping[str, Any]) -> Capabilities:
    """The user's entry over the built-in one; without a built-in one, what it does not list is not
    supported."""
    given = {name: value for name, value in fields.items() if name != "provider"}
    parameters = dict(shipped.parameters) if shipped else {}
    for name, values in given.pop("parameters", {}).items():
        known = parameters.pop(name, None)
        if values is not None:
            field = known.field if known else name
            parameters[name] = Parameter(
                name, **{"field": field, **values, **_as_tuples(values, "values", "not_with")}
            )
    if given.get("images") is not None:
        given["images"] = ImageLimits(**{**given["images"], **_as_tuples(given["images"], "types")})
    given |= {
        "parameters": parameters,
        "models": tuple(given["models"]),
        "api_versions": tuple(given.get("api_versions") or ()),
    }
    base = shipped or Capabilities(given["models"], {}, "")
    return replace(base, **given)


def _as_tuples(values: Mapping[str, Any], *names: str) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(values[name]) for name in names if name in values}
