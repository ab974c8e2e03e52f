"""Validation shared by OpenAI's APIs, and their error messages.

Reasoning models do not ignore sampling parameters but refuse them. A temperature and a top_p of 1
pass, because they change nothing; penalties and log probabilities are refused unless reasoning is
off. Models that do not reason unless asked to (`SWITCHABLE_MODEL`) take all of them until then.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.http import ApiError

CONTEXT = 131_000
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
INT64 = 2**63
REASONING_MODEL = re.compile(r"(?:ft:)?(?:gpt-[5-9](?!.*-chat)|o[1-9](?:-|$))")
SWITCHABLE_MODEL = re.compile(r"(?:ft:)?gpt-5\.[1-4](?!.*-(?:chat|codex|pro))")
WHILE_REASONING = ("frequency_penalty", "presence_penalty", "logprobs", "top_logprobs")


class Range(NamedTuple):
    """The allowed range of a number."""

    kind: str
    low: float
    high: float = math.inf


def invalid_request(message: str, param: str | None, code: str | None) -> ApiError:
    """The error for a body that breaks the contract."""
    return ApiError(400, code, message, param)


def missing_parameter(place: str) -> ApiError:
    """The error for a required parameter that is missing."""
    return invalid_request(
        f"Missing required parameter: '{place}'.", place, "missing_required_parameter"
    )


def unsupported_parameter(name: str, instead: str = "") -> ApiError:
    """The error for a parameter that the model does not accept."""
    message = f"Unsupported parameter: '{name}' is not supported with this model.{instead}"
    return invalid_request(message, name, "unsupported_parameter")


def parse_json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in a request body; raises `ApiError`."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise invalid_request(
            f"We could not parse the JSON body of your request: {error}.", None, None
        ) from error
    if not isinstance(body, dict):
        raise invalid_request("We expected a JSON object in the body of your request.", None, None)
    return body


def check_keys(
    body: Mapping[str, Any], required: Collection[str], known: Collection[str] | None
) -> None:
    """Refuse missing keys and, if the known ones are given, unknown keys."""
    for key in required:
        if body.get(key) is None:
            raise missing_parameter(key)
    unknown = sorted(set(body) - set(known)) if known is not None else []
    if unknown:
        raise invalid_request(
            f"Unknown parameter: '{unknown[0]}'.", unknown[0], "unknown_parameter"
        )
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise invalid_request(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
            "invalid_value",
        )


def check_ranges(body: Mapping[str, Any], ranges: Mapping[str, Range]) -> None:
    """Refuse values that are not numbers, or out of range."""
    for key, allowed in ranges.items():
        value = body.get(key)
        if value is None:
            continue
        accepted = (int,) if allowed.kind == "integer" else (int, float)
        if isinstance(value, bool) or not isinstance(value, accepted):
            named = "an integer" if allowed.kind == "integer" else "a decimal"
            raise wrong_type(key, named, value)
        _check_bounds(key, value, allowed)


def optional_object(fields: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
    """The object at `key`, empty if it is missing; raises `ApiError` that names `prefix`
    and `key`."""
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(f"{prefix}{key}", "an object", value)
    return value


def required_string(fields: Mapping[str, Any], key: str, place: str) -> str:
    """The text at `key` of the object at `place`; raises `ApiError`."""
    where = f"{place}.{key}" if place else key
    value = fields.get(key)
    if value is None:
        raise missing_parameter(where)
    if not isinstance(value, str) or (key == "model" and not value):
        raise wrong_type(where, "a string", value)
    return value


def check_enum(value: Any, allowed: Collection[str], place: str) -> str:
    """`value` if it is among `allowed`; raises `ApiError`."""
    if isinstance(value, str) and value in allowed:
        return value
    *others, last = [f"'{name}'" for name in allowed]
    supported = (
        f"{', '.join(others)}, and {last}" if len(others) > 1 else " and ".join([*others, last])
    )
    raise invalid_request(
        f"Invalid value: '{value}'. Supported values are: {supported}.", place, "invalid_value"
    )


def wrong_type(place: str, expected: str, value: Any) -> ApiError:
    """The error for a value of the wrong type."""
    return invalid_request(
        f"Invalid type for '{place}': expected {expected}, but got {_type_name(value)} instead.",
        place,
        "invalid_type",
    )


def check_context(wanted: int, param: str) -> None:
    """Refuse more tokens than the context window holds."""
    if wanted > CONTEXT:
        raise invalid_request(
            f"This model's maximum context length is {CONTEXT} tokens. However, you requested"
            f" {wanted} tokens.",
            param,
            "context_length_exceeded",
        )


def check_strict(
    schema: Any, what: str, place: str, code: str, context: tuple[str, ...] = ()
) -> None:
    """Refuse a strict schema with an open object, or one that does not
    require all its properties."""
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties") or {}
    if schema.get("type") == "object":
        message = f"Invalid schema for {what}: In context={context}, "
        if schema.get("additionalProperties") is not False:
            message += "'additionalProperties' is required to be supplied and to be false."
            raise invalid_request(message, place, code)
        missing = sorted(set(properties) - set(schema.get("required") or ()))
        if missing:
            message += (
                "'required' is required to be supplied and to be an array including every key in"
                " properties."
            )
            raise invalid_request(f"{message} Missing '{missing[0]}'.", place, code)
    for key, inner in properties.items():
        check_strict(inner, what, place, code, (*context, "properties", key))
    check_strict(schema.get("items"), what, place, code, (*context, "items"))


def _check_bounds(key: str, value: float, allowed: Range) -> None:
    if value < allowed.low:
        side, sign, bound = "below_min", ">=", allowed.low
    elif value > allowed.high:
        side, sign, bound = "above_max", "<=", allowed.high
    else:
        return
    words = side.replace("_", " ").replace("min", "minimum").replace("max", "maximum")
    raise invalid_request(
        f"Invalid '{key}': {allowed.kind} {words} value. Expected a value {sign} {bound:g}, but got"
        f" {value} instead.",
        key,
        f"{allowed.kind}_{side}_value",
    )


def _type_name(value: Any) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
    }
    return names.get(type(value), "null")


def check_chat_request(model: str, body: Mapping[str, Any]) -> None:
    """Refuse what a reasoning model does not accept in a chat request; raises `ApiError`."""
    if not REASONING_MODEL.match(model):
        return
    if body.get("max_tokens") is not None:
        raise unsupported_parameter("max_tokens", " Use 'max_completion_tokens' instead.")
    effort = body.get("reasoning_effort")
    if not _is_switched_off(model, effort):
        _check_temperature(body)
        if body.get("top_p") not in (None, 1):
            raise unsupported_parameter("top_p")
        if effort != "none":
            _check_absent(body, WHILE_REASONING)
    _check_absent(body, ("stop",))
    check_ranges(body, {"n": Range("integer", 1, 8)})


def check_responses_request(model: str, body: Mapping[str, Any]) -> None:
    """Refuse what a reasoning model does not accept in a Responses request; raises `ApiError`."""
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    if REASONING_MODEL.match(model) and not _is_switched_off(model, effort):
        _check_temperature(body)
        _check_absent(body, ("top_p", "top_logprobs"))


def _is_switched_off(model: str, effort: Any) -> bool:
    return effort in (None, "none") and SWITCHABLE_MODEL.match(model) is not None


def _check_temperature(body: Mapping[str, Any]) -> None:
    temperature = body.get("temperature")
    if temperature not in (None, 1):
        raise invalid_request(
            f"Unsupported value: 'temperature' does not support {temperature} with this model. Only"
            " the default (1) value is supported.",
            "temperature",
            "unsupported_value",
        )


def _check_absent(body: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if body.get(name):
            raise unsupported_parameter(name)
