"""Validates values against JSON Schema, in the draft that `$schema` names (2020-12 by default): for
the json_schema grader, tools' arguments and response formats.

The schema is trusted as far as the suite is, the value not at all: patterns go through RE2, so that
no value can make them slow; `uniqueItems` hashes instead of comparing all pairs; and no `$ref` is
ever fetched from anywhere. `multipleOf` goes by the decimal digits, as JSON does: 19.99 is a
multiple of 0.01, which it is not in binary.

The work of a check is counted in steps, one for each part of the value that meets a part of the
schema, and may be limited. What a `$ref` makes of a part of the value is worked out once: in a
schema that refers to itself twice, every level would else double the work.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple

import attrs
import orjson
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from harness.config.diagnostics import cut_text, quote_text, quote_value
from harness.config.patterns import compile_re2, to_re2_text
from harness.config.schema_drafts import DRAFTS, Draft, find_draft
from harness.config.violation_messages import MESSAGES

MAX_INLINE_STEPS = 2_000
"""Steps of a check that may hold up everything else in its process: a few milliseconds."""

_INLINE_DEPTH = 100  # calls of `_descend` within each other, each a few of the interpreter's
FORMATTED_CHARACTERS = 1_000
"""A longer text has no format: no address is as long, and checking it takes time."""

_MESSAGE_LIMIT = 2_000
_CHARACTERS_A_STEP = 200
_FORMAT_STEPS = 5
_CHEAP = 0.1  # steps that an entry of a list or mapping takes where it is only looked up

_DYNAMIC = re.compile(rb'"\$dynamicRef": ?"')


class TooManySteps(Exception):
    """A check takes more steps than it was given, or leads deeper than such a check may."""


_Keyword = tuple[str, Callable[..., Any], Any]
"""A keyword, its check, and its value in the schema."""


class _Compiled(NamedTuple):
    """A schema ready to check with. `parts` has the validator of each part that was met, by its
    identity, and its keywords, unless these depend on the way there (`dynamic`); `targets` has
    what each `$ref` leads to, and `patterns` the compiled ones.
    """

    validator: Any
    draft: Draft
    dynamic: bool
    parts: dict[int, tuple[Any, list[_Keyword]]]
    targets: dict[int, Any]
    patterns: dict[str, Any]


class _Check(threading.local):
    """The check that this thread is in: its schema, the steps it has left, and the first error of
    each `$ref` at each part of the value.
    """

    compiled: _Compiled
    steps_left = inf
    depth_left = 0
    too_deep: type[Exception] = RecursionError
    resolved: dict[tuple[int, int], tuple[str, tuple[str | int, ...]] | None]

    def charge(self, steps: float) -> None:
        """Take `steps` off what is left. Raises TooManySteps."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise TooManySteps


_check = _Check()


def find_violation(
    schema: Mapping[str, Any] | bool, value: Any, max_steps: float = inf, *, formats: bool = False
) -> str | None:
    """The first violation of a schema that `check_schema` accepts, as `$.path: reason`; None
    where `value` fits. Raises TooManySteps.

    `format` says nothing by itself (Draft 2020-12, §7.2.1); with `formats` it is checked where
    jsonschema can.
    """
    try:
        key = orjson.dumps(schema)
    except TypeError:  # an integer beyond 64 bits, a lone surrogate
        key = json.dumps(schema, default=str).encode()
    _check.compiled = _compile_schema(key, formats)
    _check.steps_left, _check.resolved = max_steps, {}
    _check.depth_left = sys.getrecursionlimit() // 6 if max_steps == inf else _INLINE_DEPTH
    _check.too_deep = RecursionError if max_steps == inf else TooManySteps
    try:
        if max_steps < inf and _count_parts(value) > max_steps:
            raise TooManySteps
        error = next(_check.compiled.validator.iter_errors(value), None)
    except RecursionError:
        return "$: nested too deeply"
    finally:
        _check.resolved = {}
    return None if error is None else f"{error.json_path}: {error.message}"


@lru_cache(maxsize=256)
def _compile_schema(schema: bytes, formats: bool) -> _Compiled:
    """The compiled schema. Its registry holds nothing else, so that no `$ref` can be fetched."""
    content = json.loads(schema)
    draft = find_draft(content)
    resource = draft.create_resource(content)
    registry = Registry().with_resource(resource.id() or "", resource).crawl()
    dynamic = _DYNAMIC.search(schema) is not None
    checker = Draft202012Validator.FORMAT_CHECKER if formats else None
    validator = _VALIDATORS[draft](content, registry=registry, format_checker=checker)
    return _Compiled(validator, draft, dynamic, {}, {}, {})


# ── Going through a schema ────────────────────────────────────────────────────────────────────────


def _iterate_errors(validator: Any, instance: Any) -> Iterator[ValidationError]:
    return _descend(validator, instance, validator.schema, resolver=validator._resolver)


def _descend(
    validator: Any,
    instance: Any,
    schema: Any,
    path: str | int | None = None,
    schema_path: str | int | None = None,
    resolver: Any = None,
) -> Iterator[ValidationError]:
    """The errors of `instance` in a part of the schema: as jsonschema's, but counted, and without
    building the validator of that part anew each time.
    """
    _check.charge(1)
    if isinstance(schema, bool):
        if not schema:
            yield ValidationError(f"no value is allowed here; it is {quote_value(instance)}")
        return
    known = _check.compiled.parts.get(id(schema))
    part, keywords = known or _read_part(validator, schema, resolver)
    _check.depth_left -= 1
    try:
        if _check.depth_left < 0:
            raise _check.too_deep
        for keyword, check, value in keywords:
            for error in check(part, value, instance, schema) or ():
                _check.charge(len(error.message) / _CHARACTERS_A_STEP)
                if keyword in MESSAGES:
                    error.message = MESSAGES[keyword](value, instance, error)
                error.message = cut_text(error.message, _MESSAGE_LIMIT)
                if path is not None:
                    error.path.appendleft(path)
                yield error
    finally:
        _check.depth_left += 1


def _read_part(
    validator: Any, schema: Mapping[str, Any], resolver: Any
) -> tuple[Any, list[_Keyword]]:
    """The validator of a part of the schema, and its keywords."""
    draft = _check.compiled.draft
    if resolver is None:
        resolver = validator._resolver.in_subresource(draft.create_resource(schema))
    part = validator.evolve(schema=schema, _resolver=resolver)
    known = validator.VALIDATORS
    applied = ("$ref",) if draft.ref_alone and "$ref" in schema else schema
    read = part, [(each, known[each], schema[each]) for each in applied if each in known]
    if not _check.compiled.dynamic:
        _check.compiled.parts[id(schema)] = read
    return read


def _validate_reference(
    validator: Any, reference: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    """The first error where the reference leads."""
    targets = _check.compiled.targets
    target = targets.get(id(schema))
    if target is None or _check.compiled.dynamic:
        target = targets[id(schema)] = validator._resolver.lookup(reference)
    errors = _descend(validator, instance, target.contents, resolver=target.resolver)
    if _check.compiled.dynamic:
        yield from errors
        return
    here = id(schema), id(instance)
    if here not in _check.resolved:
        error = next(errors, None)
        _check.resolved[here] = (error.message, tuple(error.path)) if error else None
    if (found := _check.resolved[here]) is not None:
        yield ValidationError(found[0], path=found[1])


def _count_parts(value: Any) -> float:
    """The steps that going through all of `value` is worth; counting ends where none are left."""
    pending, counted = [value], 0.0
    while pending and counted <= _check.steps_left:
        part = pending.pop()
        counted += 1
        if isinstance(part, str):
            counted += len(part) / _CHARACTERS_A_STEP
        elif isinstance(part, dict):
            pending += part.values()
            counted += len(part)
        elif isinstance(part, list):
            pending += part
    return counted


# ── Keywords ──────────────────────────────────────────────────────────────────────────────────────


def _pattern_matches(pattern: str, text: str) -> bool:
    known = _check.compiled.patterns
    compiled = known.get(pattern) or known.setdefault(pattern, compile_re2(pattern))
    _check.charge(0.5 + len(text) * compiled.programsize / 500)
    return compiled.search(to_re2_text(text)) is not None


def _validate_pattern(
    validator: Any, pattern: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _pattern_matches(pattern, instance):
        yield ValidationError(f"{quote_text(instance)} does not match {quote_text(pattern)}")


def _validate_pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for key in [key for key in instance if _pattern_matches(pattern, key)]:
            yield from validator.descend(instance[key], subschema, path=key, schema_path=pattern)


def _validate_additional_properties(
    validator: Any, additional: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = tuple(schema.get("patternProperties", ()))
    for key in [key for key in instance if key not in schema.get("properties", ())]:
        if any(_pattern_matches(pattern, key) for pattern in patterns):
            continue
        if additional is False:
            yield ValidationError(f"the key {quote_text(key)} is not allowed")
        else:
            yield from validator.descend(instance[key], additional, path=key)


def _validate_unique_items(
    validator: Any, unique: bool, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if (
        unique
        and isinstance(instance, list)
        and len({_to_hashable(item) for item in instance}) < len(instance)
    ):
        yield ValidationError("the list contains an item twice")


def _to_hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, _to_hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_to_hashable, value))
    return ("bool", value) if isinstance(value, bool) else value


def _validate_multiple_of(
    validator: Any, divisor: float, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "number") and not _is_multiple(instance, divisor):
        yield ValidationError(f"{quote_text(str(instance))} is not a multiple of {divisor}")


def _is_multiple(number: float, divisor: float) -> bool:
    try:
        return Fraction(str(number)) % Fraction(str(divisor)) == 0
    except ValueError:  # 1e999 is read as infinity
        return False


def _validate_format(
    validator: Any, name: str, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    checker = validator.format_checker
    if checker is None or name not in checker.checkers or not isinstance(instance, str):
        return
    _check.charge(_FORMAT_STEPS)
    if len(instance) > FORMATTED_CHARACTERS or not _conforms(checker, instance, name):
        article = "an" if name[0] in "aei" else "a"
        yield ValidationError(f"{quote_text(instance)} is not {article} {name}")


def _conforms(checker: Any, text: str, name: str) -> bool:
    try:
        return bool(checker.conforms(text, name))
    except (OverflowError, RecursionError):  # of a regular expression
        return False


def _validate_required(
    validator: Any, required: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in required:
            if name not in instance:
                yield ValidationError(f"{quote_value(name)} is a required property")


def _validate_dependent_required(
    validator: Any, dependent: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    for name, needed in dependent.items() if isinstance(instance, dict) else ():
        for other in needed if name in instance else ():
            if other not in instance:
                yield ValidationError(
                    f"{quote_value(other)} is required where there is {quote_value(name)}"
                )


def _validate_dependencies(
    validator: Any, dependencies: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    for name, needed in dependencies.items() if isinstance(instance, dict) else ():
        if isinstance(needed, list):
            yield from _validate_dependent_required(validator, {name: needed}, instance, schema)
        elif name in instance:
            yield from validator.descend(instance, needed, schema_path=name)


_WORK: Mapping[str, Callable[[Any, Any], float]] = {
    "additionalProperties": lambda _, value: _CHEAP * _length(value),
    "const": lambda _, value: _count_parts(value),
    "dependencies": lambda given, _: _CHEAP * len(given),
    "dependentRequired": lambda given, _: _CHEAP * sum(map(len, given.values())),
    "dependentSchemas": lambda given, _: _CHEAP * len(given),
    "enum": lambda given, value: _CHEAP * len(given) * _count_parts(value),
    "properties": lambda given, _: _CHEAP * len(given),
    "required": lambda given, _: _CHEAP * len(given),
    "unevaluatedItems": lambda _, value: _count_parts(value),
    "uniqueItems": lambda _, value: _count_parts(value),
}
"""The steps that a keyword takes by itself, from its own value and the one it checks."""


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _metered(check: Callable[..., Any], work: Callable[[Any, Any], float]) -> Callable[..., Any]:
    """`check`, charged before it begins."""

    def charge_and_check(validator: Any, given: Any, instance: Any, schema: Any) -> Any:
        _check.charge(work(given, instance))
        return check(validator, given, instance, schema)

    return charge_and_check


_OWN: Mapping[str, Callable[..., Any]] = {
    "$ref": _validate_reference,
    "pattern": _validate_pattern,
    "patternProperties": _validate_pattern_properties,
    "additionalProperties": _validate_additional_properties,
    "uniqueItems": _validate_unique_items,
    "multipleOf": _validate_multiple_of,
    "format": _validate_format,
    "required": _validate_required,
    "dependentRequired": _validate_dependent_required,
    "dependencies": _validate_dependencies,
}


def _extend_validator(draft: Draft) -> Any:
    """jsonschema's validator of a draft, with our own keywords in place of those it has."""
    base = draft.validator
    checks = base.VALIDATORS | {each: own for each, own in _OWN.items() if each in base.VALIDATORS}
    extended: Any = extend(  # type: ignore[no-untyped-call]
        base,
        {
            keyword: _metered(check, _WORK[keyword]) if keyword in _WORK else check
            for keyword, check in checks.items()
        },
    )
    extended.descend, extended.iter_errors = _descend, _iterate_errors
    extended.evolve = attrs.evolve  # jsonschema's takes its own class where it meets a `$schema`
    return extended


_VALIDATORS: Mapping[Draft, Any] = {each: _extend_validator(each) for each in DRAFTS}
