"""Which sampling parameters a model takes, and in which range: decided before a run, not found out in it.

A value out of range is refused, never clamped: a run whose settings are not the ones asked for is worse than no run. The
table is data (`capabilities.yaml`); whoever may read files reads it and hands its text to `parse_capabilities`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import yaml

ParameterType = Literal["number", "integer", "flag_or_count", "word", "strings"]

_TYPE_NAMES: Mapping[ParameterType, str] = {
    "number": "a number",
    "integer": "a whole number",
    "flag_or_count": "true, false or a whole number",
}

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What one parameter may be: its type and, where it has any, its bounds (`above` and `below` exclude their end).

    `not_with` are the parameters that the model refuses beside it; `blank` says whether strings may be white space only.
    """

    name: str
    type: ParameterType
    field: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    values: tuple[str, ...] = ()
    max_items: int | None = None
    not_with: tuple[str, ...] = ()
    blank: bool = True

    @property
    def range(self) -> str:
        """What it takes, in words: `a number from 0 to 5`."""
        if self.type == "word":
            return "one of " + ", ".join(self.values) if self.values else "a word"
        if self.type == "strings":
            strings = "a string or a list of " + (f"at most {self.max_items} strings" if self.max_items else "strings")
            return strings if self.blank else f"{strings}, none of white space only"
        bounds = " and ".join(_describe_bounds(self))
        kind = _TYPE_NAMES[self.type]
        return f"{kind} {bounds}" if bounds else kind


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What images may be: media types (empty: all four), bytes of a file, pixels a side, how many a request; None = any."""

    types: tuple[str, ...] = ()
    max_bytes: int | None = None
    max_side: int | None = None
    max_count: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the models of one provider that match a pattern can do; a fact that is not known is None.

    `api_versions` are patterns of the versions of the provider's API this is about; empty: of all. Few have these, so they
    are no unless said: a plain prompt to complete, Workers AI's `guided_json`, and batches. Most take JSON without a
    schema (`json_object`) and system text after the first turn (`late_system`).
    """

    provider: str
    models: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    source: str
    streaming: bool | None = None
    vision: bool | None = None
    tools: bool | None = None
    json_schema: bool | None = None
    context: int | None = None
    api_versions: tuple[str, ...] = ()
    images: ImageLimits | None = None
    prompt: bool = False
    guided_json: bool = False
    batch: bool = False
    json_object: bool = True
    late_system: bool = True
    max_output: int | None = None

    def matches(self, provider: str, model: str, api_version: str | None = None) -> bool:
        """Whether this entry is about `model` as asked in that version of the API."""
        if provider != self.provider or not any(fnmatchcase(model, pattern) for pattern in self.models):
            return False
        return not self.api_versions or any(fnmatchcase(api_version or "", pattern) for pattern in self.api_versions)


@dataclass(frozen=True, slots=True)
class CapabilityTable:
    """All entries, in the order in which they are asked.

    `own` are the user's, as plain data: of the first that matches, what it says goes before what `entries` say.
    """

    entries: tuple[Capabilities, ...]
    overrides: tuple[Mapping[str, Any], ...] = ()

    def with_overrides(self, own: Sequence[Mapping[str, Any]]) -> CapabilityTable:
        """This table, with the user's entries asked before its own."""
        return CapabilityTable(self.entries, tuple(own))

    def find(self, provider: str, model: str, api_version: str | None = None) -> Capabilities | None:
        """The first entry about `model`; None for a provider the table does not know (a plug-in's): nothing is checked."""
        shipped = next((entry for entry in self.entries if entry.matches(provider, model, api_version)), None)
        for fields in self.overrides:
            own = _apply_override(shipped, fields)
            if own.matches(provider, model, api_version):
                return own
        return shipped


@dataclass(frozen=True, slots=True)
class Violation:
    """A parameter a target cannot take as asked; one that is `unsupported` altogether may be dropped instead."""

    parameter: str
    message: str
    unsupported: bool = False


def parse_capabilities(text: str) -> CapabilityTable:
    """The table in `text` (YAML). Raises ValueError, naming the entry, where it is not one."""
    entries = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, the C one where there is one
    if not isinstance(entries, list):
        raise ValueError("capabilities: expected a list of entries")  # noqa: TRY004 - a file's content is a value
    return CapabilityTable(tuple(_parse_entry(fields, place) for place, fields in enumerate(entries, 1)))


def check_sampling(
    table: CapabilityTable, provider: str, model: str, sampling: Mapping[str, Any], api_version: str | None = None
) -> list[Violation]:
    """What is wrong with `sampling` for `model`, in its order; a null value is not sent and never wrong."""
    entry = table.find(provider, model, api_version)
    if entry is None:
        return []
    asked = {name: value for name, value in sampling.items() if value is not None}
    wrong = (_find_violation(entry, model, name, value) for name, value in asked.items())
    return [found for found in (*wrong, *_conflicting_parameters(entry, model, asked)) if found]


def seed_range(table: CapabilityTable, provider: str, model: str, api_version: str | None = None) -> tuple[int, int] | None:
    """Smallest and largest seed `model` takes, None where it takes none or the table does not know."""
    entry = table.find(provider, model, api_version)
    seed = entry.parameters.get("seed") if entry else None
    if seed is None or seed.min is None or seed.max is None:
        return None
    return int(seed.min), int(seed.max)


def _find_violation(entry: Capabilities, model: str, name: str, value: Any) -> Violation | None:
    parameter = entry.parameters.get(name)
    if parameter is None:
        where = (
            f"{entry.provider} in its API version {entry.api_versions[0]}" if len(entry.api_versions) == 1 else entry.provider
        )
        message = f"{model} on {where} does not take {name}; remove it, or set `unsupported: drop`"
        return Violation(name, message, unsupported=True)
    if name == "max_tokens" and entry.max_output is not None and _is_valid_value(parameter, value) and value > entry.max_output:
        return Violation(name, f"max_tokens may be at most {entry.max_output:,} for {model} on {entry.provider}, not {value:,}")
    if _is_valid_value(parameter, value):
        return None
    return Violation(name, f"{name} must be {parameter.range} for {model} on {entry.provider}, not {value!r:.60}")


def _conflicting_parameters(entry: Capabilities, model: str, asked: Mapping[str, Any]) -> Iterator[Violation]:
    for name in asked:
        for other in entry.parameters[name].not_with if name in entry.parameters else ():
            if other in asked:
                message = f"{model} on {entry.provider} does not take {name} together with {other}; remove one of them"
                yield Violation(name, message)


def _is_valid_value(parameter: Parameter, value: Any) -> bool:
    if parameter.type == "word":
        return isinstance(value, str) and (not parameter.values or value in parameter.values)
    if parameter.type == "strings":
        return _is_strings(value, parameter.max_items) and (parameter.blank or not _any_blank(value))
    if isinstance(value, bool):
        return parameter.type == "flag_or_count"
    if not isinstance(value, int | float if parameter.type == "number" else int):
        return False
    return math.isfinite(value) and _is_inside(parameter, value)


def _is_strings(value: Any, most: int | None) -> bool:
    if isinstance(value, str):
        return bool(value)
    if not isinstance(value, list | tuple) or not value or (most is not None and len(value) > most):
        return False
    return all(isinstance(item, str) and item for item in value)


def _any_blank(value: Any) -> bool:
    return any(not item.strip() for item in ([value] if isinstance(value, str) else value))


def _is_inside(parameter: Parameter, value: float) -> bool:
    return (
        (parameter.min is None or value >= parameter.min)
        and (parameter.max is None or value <= parameter.max)
        and (parameter.above is None or value > parameter.above)
        and (parameter.below is None or value < parameter.below)
    )


def _describe_bounds(parameter: Parameter) -> Iterator[str]:
    if parameter.min is not None and parameter.min == parameter.max:
        yield f"equal to {parameter.min:g}"
        return
    if parameter.min is not None and parameter.max is not None:
        yield f"from {parameter.min} to {parameter.max}"
        return
    words = {"of at least": parameter.min, "above": parameter.above, "of at most": parameter.max, "below": parameter.below}
    for word, bound in words.items():
        if bound is not None:
            yield f"{word} {bound}"


def _parse_entry(fields: Any, place: int) -> Capabilities:
    try:
        given = dict(fields)
        parameters = {name: _parse_parameter(name, facts) for name, facts in given.pop("parameters").items()}
        versions = tuple(str(version) for version in given.pop("api_versions", ()))
        images = _parse_image_limits(given.pop("images", None))
        models = tuple(given.pop("models"))
        return Capabilities(models=models, parameters=parameters, api_versions=versions, images=images, **given)
    except (TypeError, ValueError, KeyError, AttributeError) as wrong:
        raise ValueError(f"capabilities, entry {place}: {wrong!r}") from wrong


def _apply_override(shipped: Capabilities | None, fields: Mapping[str, Any]) -> Capabilities:
    """What the user's entry says, over what ships; where nothing does, what it does not list is not taken."""
    given = dict(fields)
    parameters = dict(shipped.parameters) if shipped else {}
    for name, facts in given.pop("parameters", {}).items():
        known = parameters.pop(name, None)
        if facts is not None:
            parameters[name] = _parse_parameter(name, {"field": known.field if known else name, **facts})
    images = _parse_image_limits(given.pop("images")) if "images" in given else shipped.images if shipped else None
    models, versions = tuple(given.pop("models")), tuple(given.pop("api_versions", None) or ())
    base = shipped or Capabilities(given["provider"], models, {}, "")
    return replace(base, models=models, api_versions=versions, parameters=parameters, images=images, **given)


def _parse_image_limits(facts: Mapping[str, Any] | None) -> ImageLimits | None:
    return None if facts is None else ImageLimits(**{**facts, "types": tuple(facts.get("types", ()))})


def _parse_parameter(name: str, facts: Mapping[str, Any]) -> Parameter:
    if facts.get("type") not in get_args(ParameterType):
        raise ValueError(f"{name} needs a type: one of {', '.join(get_args(ParameterType))}")
    given = dict(facts)
    values, not_with = tuple(given.pop("values", ())), tuple(given.pop("not_with", ()))
    return Parameter(name=name, field=given.pop("field", name), values=values, not_with=not_with, **given)
