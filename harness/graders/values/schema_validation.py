"""The json_schema grader: does the answer's JSON fit a schema (Draft 2020-12)?"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from harness.config.json_validation import MAX_INLINE_STEPS, TooManySteps, find_violation
from harness.config.schema_check import check_schema
from harness.config.units import Flag
from harness.flows.base import Flow
from harness.flows.child_checks import CheckFailed, find_violation_in_child
from harness.graders.base import Answer, Arguments, GraderError, GraderType, Grading, Verdict
from harness.graders.values.json_value import NotJSONError, parse_json_answer


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
        return schema


def _grade_json_schema(arguments: Schema, answer: Answer) -> Grading:
    try:
        value = parse_json_answer(answer.text, strict=arguments.strict)
    except NotJSONError as invalid:
        return Verdict(False, str(invalid))
    try:
        return _fit_verdict(
            find_violation(arguments.document, value, MAX_INLINE_STEPS, formats=arguments.format)
        )
    except TooManySteps:
        return _grade_in_child(arguments, value)


def _grade_in_child(arguments: Schema, value: Any) -> Flow[Verdict]:
    schema, formats = arguments.document, arguments.format
    try:
        return _fit_verdict((yield from find_violation_in_child(schema, value, formats=formats)))
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
