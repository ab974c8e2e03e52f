"""Which schemas OpenAI takes strictly."""

from __future__ import annotations

from typing import Any

import pytest

from harness.providers.openai.strict_schema import is_strict_schema

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CITY, True),
        ({}, False),
        ({"type": "array", "items": CITY}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {}}, False),
        ({**CITY, "required": []}, False),
        ({**CITY, "properties": {"city": {"type": "object", "properties": {}}}}, False),
        (
            {
                **CITY,
                "properties": {
                    "city": {"type": "array", "items": {"type": "object", "properties": {}}}
                },
            },
            False,
        ),
        ({**CITY, "properties": {"city": {"anyOf": [CITY, {"type": "null"}]}}}, True),
        ({**CITY, "$defs": {"a": {"type": "object"}}}, False),
    ],
)
def test_a_schema_is_strict_where_every_object_is_closed_and_whole(
    schema: dict[str, Any], strict: bool
) -> None:
    assert is_strict_schema(schema) is strict
