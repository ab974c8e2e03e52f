"""The request schema of Llama 4 Scout on Workers AI, and the service's errors (code 5006) for what
breaks it.

A body has a prompt or messages, or is a batch of these, told apart by the required key. The schema
allows unknown keys.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.http import ApiError


class Range(NamedTuple):
    """The allowed range of a number; None is unbounded."""

    kind: str
    low: float | None
    high: float | None


RANGES: dict[str, Range] = {
    "max_tokens": Range("integer", None, None),
    "temperature": Range("number", 0, 5),
    "top_p": Range("number", 0, 2),
    "top_k": Range("integer", 1, 50),
    "seed": Range("integer", 1, 9_999_999_999),
    "repetition_penalty": Range("number", 0, 2),
    "frequency_penalty": Range("number", 0, 2),
    "presence_penalty": Range("number", 0, 2),
}
OTHER_TYPES: dict[str, str] = {
    "guided_json": "object",
    "response_format": "object",
    "raw": "boolean",
    "stream": "boolean",
    "tools": "array",
    "functions": "array",
    "messages": "array",
    "prompt": "string",
    "options": "object",
}
FORMATS = ("json_object", "json_schema")
TOOL = ("name", "description", "parameters")
FUNCTION = ("name", "code")
PROPERTY = ("type", "description")


def check_body(body: dict[str, Any]) -> None:
    """Validate one request, alone or of a batch; raises `ApiError`."""
    _check_branch(body)
    _check_types(body)
    _check_ranges(body)
    for index, tool in enumerate(body.get("tools", [])):
        _check_tool(tool, f"/tools/{index}")
    for index, function in enumerate(body.get("functions", [])):
        check_type(function, f"/functions/{index}", "object")
        _check_required(function, f"/functions/{index}", FUNCTION)


def parse_json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in a request body; raises `ApiError`."""
    if not content:
        raise ApiError(400, 3003, "AiError: Missing headers or body")
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise bad_input(f"failed to decode JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_input(f"Type mismatch of '/', '{json_type_name(body)}' not in 'object'")
    return body


def check_type(value: Any, place: str, expected: str) -> None:
    """Raise `ApiError` for a value of another type."""
    actual = json_type_name(value)
    if actual != expected and not (expected == "number" and actual == "integer"):
        raise bad_input(f"Type mismatch of '{place}', '{actual}' not in '{expected}'")


def bad_input(text: str) -> ApiError:
    """The error for a body that breaks the schema."""
    return ApiError(400, 5006, f"AiError: Bad input: Error: {text}")


def json_type_name(value: Any) -> str:
    """JSON's name for the type of a value."""
    names = {
        dict: "object",
        list: "array",
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
    }
    return names.get(type(value), "null")


def _check_branch(body: dict[str, Any]) -> None:
    matches = ("prompt" in body) + ("messages" in body)
    if matches == 0:
        raise bad_input(
            "oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt',"
            " required properties at '/' are 'messages'"
        )
    if matches == 2:
        raise bad_input("oneOf at '/' not met, 2 matches")


def _check_types(body: dict[str, Any]) -> None:
    for key, expected in OTHER_TYPES.items():
        if key in body:
            check_type(body[key], f"/{key}", expected)
    if body.get("prompt") == "":
        raise bad_input("Length of '/prompt' must be >= 1")
    response_format = body.get("response_format", {})
    if response_format and response_format.get("type") not in FORMATS:
        raise bad_input("'/response_format/type' not in 'json_object','json_schema'")
    reject_if_busy = body.get("options", {}).get("rejectIfBusy")
    if reject_if_busy is not None:
        check_type(reject_if_busy, "/options/rejectIfBusy", "boolean")


def _check_ranges(body: dict[str, Any]) -> None:
    for key, allowed in RANGES.items():
        if key not in body:
            continue
        value = body[key]
        check_type(value, f"/{key}", allowed.kind)
        if allowed.low is not None and value < allowed.low:
            raise bad_input(f"'/{key}' must be >= {allowed.low:g}")
        if allowed.high is not None and value > allowed.high:
            raise bad_input(f"'/{key}' must be <= {allowed.high:.10g}")


def _check_tool(tool: Any, place: str) -> None:
    """A tool is flat or in OpenAI's format; either way all keys are required, and each property
    needs a type and a description."""
    check_type(tool, place, "object")
    described = tool.get("function", tool)
    check_type(described, f"{place}/function", "object")
    if any(key not in described for key in TOOL) or ("function" in tool and "type" not in tool):
        raise bad_input(
            f"oneOf at '{place}' not met, 0 matches: required properties at '{place}' are"
            f" 'name,description,parameters', required properties at '{place}' are 'type,function'"
        )
    for key in ("name", "description"):
        check_type(
            described[key],
            f"{place}/function/{key}" if "function" in tool else f"{place}/{key}",
            "string",
        )
    inside = f"{place}/function/parameters" if "function" in tool else f"{place}/parameters"
    parameters = described["parameters"]
    check_type(parameters, inside, "object")
    _check_required(parameters, inside, ("type", "properties"))
    check_type(parameters["properties"], f"{inside}/properties", "object")
    for name, schema in parameters["properties"].items():
        check_type(schema, f"{inside}/properties/{name}", "object")
        _check_required(schema, f"{inside}/properties/{name}", PROPERTY)


def _check_required(fields: dict[str, Any], place: str, keys: tuple[str, ...]) -> None:
    if any(key not in fields for key in keys):
        raise bad_input(f"required properties at '{place}' are '{','.join(keys)}'")
