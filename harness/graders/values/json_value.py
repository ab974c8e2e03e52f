"""The json and contains_json graders: is the answer JSON, has it this value or this part, and do
checks of its fields hold?

Models like to wrap JSON in a Markdown fence or a sentence: unless `strict`, what is meant is read
where the whole answer is not JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from math import inf
from typing import Any, TypeAlias

from pydantic import Field, field_validator, model_validator

from harness.config.json_path import parse_path
from harness.config.json_validation import TooManySteps
from harness.config.units import Flag
from harness.flows.base import Flow
from harness.flows.child_checks import CheckFailed, call_in_child, check_here
from harness.graders.base import (
    EXPECTED,
    Answer,
    Arguments,
    GraderError,
    GraderType,
    Grading,
    Verdict,
)
from harness.graders.values.json_blocks import NotJSONError, read_json_answer
from harness.graders.values.json_checks import FieldCheck, to_json
from harness.graders.values.json_difference import JSONComparison


class NumberTolerance(Arguments):
    """How far the numbers within a value may be off; the larger of the two counts."""

    tolerance: Decimal = Field(
        Decimal(0), ge=0, description="The absolute tolerance of numbers within the value."
    )
    relative: Decimal = Field(
        Decimal(0),
        ge=0,
        description="Their relative tolerance, as a share of the expected number: 0.01 is 1 %.",
    )
    strict: Flag = Field(
        False,
        description="Whether the whole answer must be JSON, without a Markdown fence or prose.",
    )


class JSONArguments(NumberTolerance, FieldCheck):
    """Arguments of `json`."""

    expected: Any = Field(
        None,
        description=(
            "The value to equal; default: any JSON passes. Text that is a JSON object or list is"
            " parsed."
        ),
    )
    unordered: Flag = Field(False, description="Whether the order of lists means nothing.")
    ignore: tuple[str, ...] = Field(
        (), description="Keys that are not compared, anywhere, or JSON paths that begin with $."
    )
    checks: tuple[FieldCheck, ...] = Field((), description="Checks of fields, a list of them.")

    @field_validator("ignore", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _list_ignored(cls, ignore: Any) -> Any:
        return [ignore] if isinstance(ignore, str) else ignore

    @field_validator("ignore")
    @classmethod
    def _check_paths(cls, ignore: tuple[str, ...]) -> tuple[str, ...]:
        for each in ignore:
            if each.startswith("$") and not parse_path(each):
                raise ValueError("`$` is the whole value; name a key or a path below it")
        return ignore

    @field_validator("checks")
    @classmethod
    def _check_each(cls, checks: tuple[FieldCheck, ...]) -> tuple[FieldCheck, ...]:
        if not all(check.demands() for check in checks):
            raise ValueError(f"a check needs one of {', '.join(_DEMANDS)}")
        return checks

    @model_validator(mode="after")
    def _check_whole(self) -> JSONArguments:
        if "path" in self.model_fields_set and not self.demands():
            raise ValueError(
                f"a `path` needs one of {', '.join(_DEMANDS)}; `expected` is the whole value"
            )
        return self


_DEMANDS = tuple(name for name in FieldCheck.model_fields if name != "path")


class JSONPart(NumberTolerance):
    """Arguments of `contains_json`."""

    value: Any = Field(
        EXPECTED,
        description="The part: each key of an object must be there with its part, each item of a"
        " list in some item.",
    )


Finding: TypeAlias = tuple[bool, str, bool]
"""A verdict's value, reason and `unparsed`."""


def check_json_value(text: str, arguments: Mapping[str, Any]) -> Finding:
    """What `json` finds, for a child process."""
    return _check_value(JSONArguments.model_validate(arguments), text, inf)


def check_json_part(text: str, arguments: Mapping[str, Any]) -> Finding:
    """What `contains_json` finds, for a child process."""
    return _check_part(JSONPart.model_validate(arguments), text, inf)


def _check_value(arguments: JSONArguments, text: str, max_steps: float) -> Finding:
    """Raises TooManySteps."""
    wanted = arguments.model_fields_set - {"strict"}
    try:
        block = read_json_answer(text, strict=arguments.strict)
        misfit = _find_misfit(arguments, block.value, max_steps) if wanted else None
    except NotJSONError as invalid:
        return False, str(invalid), bool(wanted)
    except RecursionError:
        return False, "nested too deeply", False
    return misfit is None, block.describe(misfit) if misfit else "", False


def _find_misfit(arguments: JSONArguments, value: Any, max_steps: float) -> str | None:
    rules = JSONComparison(
        arguments.tolerance, arguments.relative, arguments.unordered, arguments.ignore
    )
    misfit = None
    if "expected" in arguments.model_fields_set:
        misfit = rules.find_difference(to_json(arguments.expected), value, max_steps=max_steps)
    checks = (arguments, *arguments.checks) if arguments.demands() else arguments.checks
    failures = (check.find_failure(value, rules, max_steps) for check in checks)
    return misfit or next(filter(None, failures), None)


def _check_part(arguments: JSONPart, text: str, max_steps: float) -> Finding:
    """Raises TooManySteps."""
    rules = JSONComparison(arguments.tolerance, arguments.relative, part=True)
    try:
        block = read_json_answer(text, strict=arguments.strict)
        misfit = rules.find_difference(to_json(arguments.value), block.value, max_steps=max_steps)
    except NotJSONError as invalid:
        return False, str(invalid), True
    except RecursionError:
        return False, "nested too deeply", False
    return misfit is None, block.describe(misfit) if misfit else "", False


def _grade_json(arguments: JSONArguments, answer: Answer) -> Grading:
    try:
        return Verdict(*check_here(partial(_check_value, arguments), answer.text))
    except TooManySteps:
        return _grade_in_child(check_json_value, arguments, answer)


def _grade_contains_json(arguments: JSONPart, answer: Answer) -> Grading:
    try:
        return Verdict(*check_here(partial(_check_part, arguments), answer.text))
    except TooManySteps:
        return _grade_in_child(check_json_part, arguments, answer)


def _grade_in_child(
    check: Callable[..., Finding], arguments: Arguments, answer: Answer
) -> Flow[Verdict]:
    written = json.dumps(arguments.model_dump(exclude_unset=True), default=str)
    try:
        found = yield from call_in_child(check, text=answer.text, arguments=json.loads(written))
    except CheckFailed as failed:
        raise GraderError(failed.error.kind, f"the comparison failed: {failed}") from None
    return Verdict(*found)


json_grader = GraderType(
    "json",
    JSONArguments,
    _grade_json,
    short="expected",
    summary="is JSON, equal to this if given, and satisfies checks of its fields",
)
contains_json_grader = GraderType(
    "contains_json",
    JSONPart,
    _grade_contains_json,
    short="value",
    short_takes_mapping=True,
    summary="is JSON that contains this part",
)
