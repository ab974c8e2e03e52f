"""The json_schema grader: does the answer's JSON fit a schema (Draft 2020-12)?"""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from harness.config.json_validation import check_schema, find_violation
from harness.config.units import Flag
from harness.graders.base import Answer, Arguments, GraderType, Verdict
from harness.graders.json_value import NotJSONError, parse_json_answer


class Schema(Arguments):
    """Arguments of `json_schema`."""

    document: dict[str, Any] | bool = Field(
        alias="schema", description="The JSON Schema, or the path of the file that holds it."
    )
    strict: Flag = Field(
        False, description="Whether the whole answer must be JSON, without a Markdown fence."
    )

    format: Flag = Field(
        True, description="Whether `format` is checked (dates, addresses, …), or only a remark."
    )

    @field_validator("document")
    @classmethod
    def _check_usable(cls, schema: dict[str, Any] | bool) -> dict[str, Any] | bool:
        check_schema(schema)
        return schema


def _grade_json_schema(arguments: Schema, answer: Answer) -> Verdict:
    try:
        value = parse_json_answer(answer.text, strict=arguments.strict)
    except NotJSONError as invalid:
        return Verdict(False, str(invalid))
    misfit = find_violation(arguments.document, value, formats=arguments.format)
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
