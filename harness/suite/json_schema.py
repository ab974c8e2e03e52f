"""The JSON Schema of suite files, for editors: completion, and a description of every key.

The schema's models (`schema.py`) publish most of it; graders come from the registry, so that
editors know each one's arguments.
"""

from __future__ import annotations

import json
from typing import Any

from harness import registry
from harness.graders.base import Arguments, GraderType
from harness.suite.gate_syntax import describe_gates
from harness.suite.graders.grader_specs import OPTIONS
from harness.suite.schema import INLINE_ONLY, SuiteFile

_TITLE = "evalharness suite"
_OPTION_SCHEMAS: dict[str, dict[str, Any]] = {
    "id": {
        "type": "string",
        "description": "Names the grade in results; default: the grader's name.",
    },
    "weight": {
        "type": "number",
        "minimum": 0,
        "description": "Its weight in the score; 0: reported only.",
    },
    "threshold": {
        "type": ["number", "string"],
        "description": "The score from which it passes, for graders that give a number.",
    },
}


def schema_json() -> str:
    """The JSON Schema (Draft 2020-12) of a suite file, as text that ends in a newline."""
    schema = SuiteFile.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    definitions["Grader"] = _grader_schema(definitions)
    examples = ["pass_rate >= 0.9", "ttft.p95 <= 1.5s", "cost <= $0.40"]
    definitions["Gate"] = {"type": "string", "description": describe_gates(), "examples": examples}
    _set_item_type(schema["properties"]["graders"], "Grader")
    _set_item_type(definitions["CaseSpec"]["properties"]["graders"], "Grader")
    _set_item_type(schema["properties"]["gates"], "Gate")
    _unwrap_lists(schema["properties"])
    for key in INLINE_ONLY:
        schema["properties"][key]["description"] += " Not beside `evals:`."
    schema["properties"] = {"suite": schema["properties"].pop("suite"), **schema["properties"]}
    complete = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
    } | _without_titles(schema)
    return json.dumps(complete, indent=2, ensure_ascii=False) + "\n"


def _grader_schema(definitions: dict[str, Any]) -> dict[str, Any]:
    """Either a grader's name, or a mapping with the name as a key and the options as others."""
    names = registry.registered_names("graders", installed=False)
    properties = {name: _arguments_schema(name, definitions) for name in names}
    one = {
        "properties": {**properties, **_OPTION_SCHEMAS},
        "additionalProperties": False,
        "minProperties": 1,
    }
    return {
        "anyOf": [{"enum": names}, {"type": "object", **one, "maxProperties": len(OPTIONS) + 1}]
    }


def _arguments_schema(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A grader's arguments: a mapping of them, or the short form (any value, since it may be a
    template).
    """
    kind: GraderType[Arguments] = registry.load_plugin("graders", name)
    schema = kind.arguments.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions.update(schema.pop("$defs", {}))
    options = ", ".join(
        f"{key} ({field.get('description', '')})"
        for key, field in schema.get("properties", {}).items()
    )
    return {
        "description": f"The {name} grader. Arguments: {options or 'none'}",
        "anyOf": [_completion_schema(schema), {}],
    }


def _completion_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The arguments' schema for completion only: any may be a template, so types are left to
    `harness validate`.
    """
    properties = {
        key: {"description": field.get("description", "")}
        for key, field in schema.get("properties", {}).items()
    }
    return {"type": "object", "properties": properties}


def _set_item_type(field: dict[str, Any], name: str) -> None:
    """Give the items of the list that `field` describes the type `name`."""
    for branch in (field, *field.get("anyOf", ())):
        if branch.get("type") == "array":
            branch["items"] = {"$ref": f"#/$defs/{name}"}


def _unwrap_lists(properties: dict[str, Any]) -> None:
    """Allow a list of one to be written without its brackets, as the loader does."""
    for name in ("prompts", "cases", "graders", "evals", "targets", "gates"):
        field = properties[name]
        lists = [
            branch for branch in (field, *field.get("anyOf", ())) if branch.get("type") == "array"
        ]
        branches = [branch for each in lists for branch in (_list_schema(each), each["items"])]
        kept = {key: value for key, value in field.items() if key in ("description", "default")}
        field.clear()
        field.update(kept, anyOf=branches)


def _list_schema(field: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key in ("type", "items", "minItems")}


def _without_titles(schema: Any) -> Any:
    """The schema without pydantic's titles, which only repeat each field's name."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)
        }
    return [_without_titles(item) for item in schema] if isinstance(schema, list) else schema
