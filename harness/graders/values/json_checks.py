"""Checks of what a JSON path of an answer leads to: `{path: $.total, min: 3}`."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.config.diagnostics import quote_text
from harness.config.json_path import find_matches, parse_path
from harness.config.json_validation import TooManySteps
from harness.config.patterns import compile_re2, matches_re2
from harness.config.units import Flag
from harness.graders.base import Arguments, to_text
from harness.graders.values.json_blocks import NotJSONError, load_json
from harness.graders.values.json_difference import JSONComparison, brief_json

JSONType = Literal["array", "boolean", "integer", "null", "number", "object", "string"]

_CHARACTERS_A_STEP = 500  # of a text, for each instruction of the pattern

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


class LengthBounds(Arguments):
    """How many characters, items or keys there may be."""

    min: int = Field(0, ge=0, description="The least.")
    max: int | None = Field(None, ge=0, description="The most; default: any number.")

    def admit(self, length: int) -> bool:
        """Whether `length` is within the bounds."""
        return self.min <= length and (self.max is None or length <= self.max)

    def __str__(self) -> str:
        if self.max is None:
            return f"at least {self.min:,}"
        return f"{self.min:,}" if self.min == self.max else f"{self.min:,} to {self.max:,}"


class FieldCheck(Arguments):
    """What must hold of each value at a JSON path; all that is given must."""

    path: str = Field(
        "$",
        description="The JSON path of the value, such as $.items[0].name; with [*], each value"
        " there is checked.",
    )
    equals: Any = Field(None, description="The value to equal, of any type.")
    one_of: tuple[Any, ...] | None = Field(
        None, min_length=1, description="The values of which one must be equal."
    )
    min: int | float | None = Field(None, description="The least number.")
    max: int | float | None = Field(None, description="The largest number.")
    matches: str | None = Field(
        None, description="The regular expression, in RE2's syntax, found in the text."
    )
    contains: Any = Field(
        None, description="A part of the text, an item of the list, or a key of the object."
    )
    length: LengthBounds | None = Field(
        None, description="How many characters, items or keys: a number, or {min: …, max: …}."
    )
    type: tuple[JSONType, ...] | None = Field(
        None, min_length=1, description="The JSON type, or a list of types."
    )
    absent: Flag | None = Field(
        None, description="true: nothing is there; false: something is, be it null."
    )

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        parse_path(path)
        return path

    @field_validator("matches")
    @classmethod
    def _check_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None and compile_re2(pattern) is None:
            raise ValueError(f"{quote_text(pattern)} is not a regular expression in RE2's syntax")
        return pattern

    @field_validator("length", mode="before", json_schema_input_type=int | LengthBounds)
    @classmethod
    def _read_length(cls, length: Any) -> Any:
        exact = not isinstance(length, bool) and isinstance(length, int | str)
        return {"min": length, "max": length} if exact else length

    @field_validator("type", mode="before", json_schema_input_type=JSONType | tuple[JSONType, ...])
    @classmethod
    def _list_types(cls, types: Any) -> Any:
        return [types] if isinstance(types, str) else types

    @model_validator(mode="after")
    def _check_demands(self) -> FieldCheck:
        demands = self.demands()
        if self.absent and len(demands) > 1:
            raise ValueError("what is absent cannot be anything else; leave the rest out")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is larger than `max`")
        return self

    def demands(self) -> list[str]:
        """The names of the checks that are given, in their order here."""
        return [
            name for name in FieldCheck.model_fields if name in self.model_fields_set - {"path"}
        ]

    def find_failure(self, document: Any, rules: JSONComparison, max_steps: float) -> str | None:
        """The first check that fails, as `path: wanted …, found …`; None where all hold. Raises
        TooManySteps."""
        found = find_matches(document, self.path)
        if self.absent:
            if not found:
                return None
            return f"{self.path}: wanted nothing there, found {brief_json(found[0])}"
        if not found:
            return f"{self.path}: wanted {self._describe_first()}, found nothing there"
        demands = self.demands()
        if len(found) * len(demands) > max_steps:
            raise TooManySteps
        for value in found:
            for name in demands:
                wanted = self._find_unmet(name, value, rules, max_steps)
                if wanted is not None:
                    return f"{self.path}: wanted {wanted}, found {brief_json(value)}"
        return None

    def _describe_first(self) -> str:
        demands = [name for name in self.demands() if name != "absent"]
        return self._describe(demands[0]) if demands else "a value"

    def _describe(self, name: str) -> str:
        value = getattr(self, name)
        return {
            "equals": lambda: brief_json(to_json(value)),
            "one_of": lambda: f"one of {brief_json(list(map(to_json, value)))}",
            "min": lambda: f"at least {brief_json(value)}",
            "max": lambda: f"at most {brief_json(value)}",
            "matches": lambda: f"a match of {quote_text(value)}",
            "contains": lambda: f"something that contains {brief_json(to_json(value))}",
            "length": lambda: f"a length of {value}",
            "type": lambda: f"type {' or '.join(value)}",
        }[name]()

    def _find_unmet(
        self, name: str, value: Any, rules: JSONComparison, max_steps: float
    ) -> str | None:
        """What was wanted of `value` by this check, None where it holds."""
        return None if self._holds(name, value, rules, max_steps) else self._describe(name)

    def _holds(self, name: str, value: Any, rules: JSONComparison, max_steps: float) -> bool:
        is_number = _has_type(value, "number")

        def equal(wanted: Any, got: Any) -> bool:
            return rules.find_difference(to_json(wanted), got, max_steps=max_steps) is None

        match name:
            case "equals":
                return equal(self.equals, value)
            case "one_of":
                return any(equal(each, value) for each in self.one_of or ())
            case "min":
                return is_number and self.min is not None and value >= self.min
            case "max":
                return is_number and self.max is not None and value <= self.max
            case "matches":
                return isinstance(value, str) and self._matches(value, max_steps)
            case "contains" if isinstance(value, str):
                return to_text(self.contains) in value
            case "contains" if isinstance(value, list):
                return any(equal(self.contains, each) for each in value)
            case "contains" if isinstance(value, dict):
                return isinstance(self.contains, str) and self.contains in value
            case "length":
                counted = isinstance(value, str | list | dict)
                return counted and self.length is not None and self.length.admit(len(value))
            case "type":
                return any(_has_type(value, each) for each in self.type or ())
        return name == "absent"  # which is false, of a value that is there

    def _matches(self, text: str, max_steps: float) -> bool:
        pattern = self.matches or ""
        if len(text) * compile_re2(pattern).programsize > _CHARACTERS_A_STEP * max_steps:
            raise TooManySteps
        return matches_re2(pattern, text, ignore_case=False, full=False)


def _has_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, _TYPES[name])


def to_json(value: Any) -> Any:
    """A value of the suite as JSON has it; a cell of a table can only hold an object or a list as
    text."""
    if not isinstance(value, str):
        return json.loads(to_text(value))
    if value.lstrip().startswith(("{", "[")):
        try:
            return load_json(value)
        except NotJSONError:
            return value
    return value
