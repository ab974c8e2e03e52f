"""What is said of a value that breaks a keyword of a JSON Schema, in JSON's words: jsonschema's are
Python's (`None`, `True`, single quotes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import ValidationError

from harness.config.diagnostics import quote_value


def _begin_with_value(
    describe: Callable[[Any, ValidationError], str],
) -> Callable[[Any, Any, ValidationError], str]:
    return lambda given, value, error: f"{quote_value(value)} {describe(given, error)}"


def _describe_type(given: Any, _: ValidationError) -> str:
    types = [given] if isinstance(given, str) else given
    return f"is not of type {', '.join(map(repr, types))}"


MESSAGES: Mapping[str, Callable[[Any, Any, ValidationError], str]] = {
    "const": lambda given, value, _: f"{quote_value(given)} was expected, not {quote_value(value)}",
    **{
        keyword: _begin_with_value(describe)
        for keyword, describe in {
            "type": _describe_type,
            "enum": lambda given, _: f"is not one of {quote_value(given)}",
            "minLength": lambda given, _: f"is too short: at least {given} characters",
            "maxLength": lambda given, _: f"is too long: at most {given} characters",
            "minItems": lambda given, _: f"is too short: at least {given} items",
            "maxItems": lambda given, _: f"is too long: at most {given} items",
            "minProperties": lambda given, _: f"has too few keys: at least {given}",
            "maxProperties": lambda given, _: f"has too many keys: at most {given}",
            "anyOf": lambda *_: "fits none of the schemas of `anyOf`",
            "oneOf": lambda _, error: (
                "fits none of the schemas of `oneOf`"
                if error.context
                else "fits more than one of the schemas of `oneOf`"
            ),
            "not": lambda given, _: f"must not fit {quote_value(given)}",
        }.items()
    },
}
"""By keyword: the message, from the keyword's value, the value checked and jsonschema's error."""
