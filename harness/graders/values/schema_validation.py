"""The json_schema grader: does the answer's JSON fit a schema?"""

from __future__ import annotations

from math import inf
from typing import Any

from pydantic import Field, field_validator

from harness.config.json_validation import TooManySteps, find_violation
from harness.config.schema_check import check_schema, find_misused_keywords
from harness.config.units import Flag
from harness.flows.base import Flow
from harness.flows.child_checks import CheckFailed, call_in_child, check_here
from harness.graders.base import Answer, Arguments, GraderError, GraderType, Grading, Verdict
from harness.graders.values.json_blocks import NotJSONError, read_json_answer


class Schema(Arguments):
    """Arguments of `json_schema`."""

    document: dict[str, Any] | bool = Field(
        alias="schema", description="The JSON Schema, or the path of the file that holds it."
    )
    strict: Flag = Field(
        False, description="Whether the whole answer must be JSON, without a Markdown fence."
    )

    format: Flag = Field(
        True,
        description="Whether `format` (dates, addresses, …) is checked, or only an annotation.",
    )

    @field_validator("document")
    @classmethod
    def _check_usable(cls, schema: dict[str, Any] | bool) -> dict[str, Any] | bool:
        check_schema(schema)
        for misused in find_misused_keywords(schema):
            raise ValueError(misused)
        return schema


def find_schema_misfit(
    text: str, schema: dict[str, Any] | bool, strict: bool, formats: bool, max_steps: float = inf
) -> str | None:
    """Why an answer's text is no JSON, or where its value does not fit; None where it does. Raises
    TooManySteps.
    """
    try:
        block = read_json_answer(text, strict=strict)
    except NotJSONError as invalid:
        return str(invalid)
    misfit = find_violation(schema, block.value, max_steps, formats=formats)
    return misfit and block.describe(misfit)


def _grade_json_schema(arguments: Schema, answer: Answer) -> Grading:
    asked: dict[str, Any] = {
        "text": answer.text,
        "schema": arguments.document,
        "strict": arguments.strict,
        "formats": arguments.format,
    }
    try:
        return _fit_verdict(check_here(find_schema_misfit, **asked))
    except TooManySteps:
        return _grade_in_child(asked)


def _grade_in_child(asked: dict[str, Any]) -> Flow[Verdict]:
    try:
        return _fit_verdict((yield from call_in_child(find_schema_misfit, **asked)))
    except CheckFailed as failed:
        raise GraderError(failed.error.kind, f"the schema check failed: {failed}") from None


def _fit_verdict(misfit: str | None) -> Verdict:
    return Verdict(misfit is None, misfit or "")


json_schema_grader = GraderType(
    "json_schema",
    Schema,
    _grade_json_schema,
    short="schema",
    short_takes_mapping=True,
    file="schema",
    summary="is JSON that matches this schema",
)
