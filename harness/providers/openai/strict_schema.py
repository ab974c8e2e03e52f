"""OpenAI's strict kind of JSON Schema: what is asked for strictly must be of it, or the request is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_strict(schema: Any) -> bool:
    """Whether `schema` is an object's, and every object in it requires all of its properties and allows no others."""
    return isinstance(schema, Mapping) and schema.get("type") == "object" and _is_closed(schema)


def _is_closed(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties") or {}
    closed = schema.get("additionalProperties") is False and set(properties) == set(schema.get("required") or ())
    if (properties or schema.get("type") == "object") and not closed:
        return False
    inner = [*properties.values(), *(schema.get("$defs") or {}).values(), *(schema.get("anyOf") or ()), schema.get("items")]
    return all(map(_is_closed, inner))
