"""Which JSON Schemas OpenAI accepts as strict, so that the model is held to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model import Tool


def is_strict_tool(tool: Tool) -> bool:
    """Whether calls are held to the tool's parameters: as it says, else if OpenAI accepts that."""
    return is_strict_schema(tool.parameters) if tool.strict is None else tool.strict


def is_strict_schema(schema: Any) -> bool:
    """Whether OpenAI accepts `schema` as strict; a request with a strict schema that is not is
    refused.

    It must be an object's, and every object in it must require all of its properties and allow no
    others.
    """
    return isinstance(schema, Mapping) and schema.get("type") == "object" and _is_closed(schema)


def _is_closed(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties") or {}
    closed = schema.get("additionalProperties") is False and set(properties) == set(
        schema.get("required") or ()
    )
    if (properties or schema.get("type") == "object") and not closed:
        return False
    definitions, branches = schema.get("$defs") or {}, schema.get("anyOf") or ()
    return all(
        map(
            _is_closed,
            [*properties.values(), *definitions.values(), *branches, schema.get("items")],
        )
    )
