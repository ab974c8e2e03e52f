"""Validates values against JSON Schema (Draft 2020-12): for the json_schema grader, tools'
arguments and response formats.

The schema is trusted as far as the suite is, the value not at all: patterns go through RE2, so that
no value can make them slow; `uniqueItems` hashes instead of comparing all pairs; and no `$ref` is
ever fetched from anywhere. `multipleOf` goes by the decimal digits, as JSON does: 19.99 is a
multiple of 0.01, which it is not in binary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from harness.config.diagnostics import quote_text
from harness.config.patterns import compile_re2, to_re2_text

_DATA = ("const", "default", "enum", "examples")
"""Keywords whose values are data, not schemas."""
_REFERENCES = ("$ref", "$dynamicRef")

FORMATTED_CHARACTERS = 1_000
"""A longer text has no format: no address is as long, and checking it takes time."""


def _pattern_matches(pattern: str, text: str) -> bool:
    return compile_re2(pattern).search(to_re2_text(text)) is not None


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
        yield ValidationError("the list has an item twice")


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
    if len(instance) > FORMATTED_CHARACTERS or not checker.conforms(instance, name):
        article = "an" if name[0] in "aei" else "a"
        yield ValidationError(f"{quote_text(instance)} is not {article} {name}")


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "pattern": _validate_pattern,
        "patternProperties": _validate_pattern_properties,
        "additionalProperties": _validate_additional_properties,
        "uniqueItems": _validate_unique_items,
        "multipleOf": _validate_multiple_of,
        "format": _validate_format,
    },
)


def check_schema(schema: dict[str, Any] | bool) -> None:
    """Raise ValueError for what is not a JSON Schema, or cannot be checked safely."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as invalid:
        raise ValueError(f"not a JSON Schema: {invalid.json_path}: {invalid.message}") from None
    if isinstance(schema, dict) and schema and not schema.keys() & _Validator.VALIDATORS.keys():
        raise ValueError(
            f"not a JSON Schema: none of its keys ({', '.join(schema)}) is a keyword, so anything"
            " would fit"
        )
    for keyword, value in _walk_keywords(schema):
        _check_keyword(keyword, value)
    _check_references(schema)


def find_violation(
    schema: Mapping[str, Any] | bool, value: Any, *, formats: bool = False
) -> str | None:
    """The first violation of a schema that `check_schema` accepts, as `$.path: reason`; None
    where `value` fits.

    `format` says nothing by itself (Draft 2020-12, §7.2.1); with `formats` it is checked where
    jsonschema can.
    """
    try:
        validator = _build_validator(json.dumps(schema, default=str), formats)
        error = next(validator.iter_errors(value), None)
    except RecursionError:
        return "$: nested too deeply"
    return None if error is None else f"{error.json_path}: {error.message}"


@lru_cache(maxsize=256)
def _build_validator(schema: str, formats: bool) -> Any:
    """The compiled schema. Its registry is empty, so that no `$ref` can be fetched."""
    checker = Draft202012Validator.FORMAT_CHECKER if formats else None
    return _Validator(json.loads(schema), registry=Registry(), format_checker=checker)


def _walk_keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        for keyword, value in schema.items():
            yield keyword, value
            if keyword not in _DATA:
                yield from _walk_keywords(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from _walk_keywords(item)


def _check_keyword(keyword: str, value: Any) -> None:
    """Raise ValueError for a keyword that cannot be checked safely."""
    if keyword in _REFERENCES and isinstance(value, str) and not value.startswith("#"):
        raise ValueError(
            f"{keyword} {value!r} is outside the schema; only references inside it (`#/$defs/…`)"
            " are followed"
        )
    if keyword == "unevaluatedProperties":
        raise ValueError("unevaluatedProperties is not supported; use additionalProperties")
    for pattern in _patterns_of(keyword, value):
        if compile_re2(pattern) is None:
            raise ValueError(f"the pattern {pattern!r} is not in RE2 syntax")


def _check_references(schema: dict[str, Any] | bool) -> None:
    """Raise ValueError for a reference that resolves to nothing, or only to itself."""
    validator = _Validator(schema, registry=Registry())
    for keyword, target in _walk_keywords(schema):
        if keyword not in _REFERENCES or not isinstance(target, str):
            continue
        try:
            validator.evolve(schema={keyword: target}).is_valid(None)
        except Unresolvable:
            raise ValueError(f"{keyword} {target!r} points at nothing in the schema") from None
        except RecursionError:
            raise ValueError(f"{keyword} {target!r} leads back to itself without end") from None


def _patterns_of(keyword: str, value: Any) -> Iterable[str]:
    if keyword == "patternProperties" and isinstance(value, dict):
        return value
    return (value,) if keyword == "pattern" and isinstance(value, str) else ()
