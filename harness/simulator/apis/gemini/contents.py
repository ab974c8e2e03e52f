"""The contents of a Gemini request: turns, function declarations, function calls and their
responses.

What surprises: a function response is matched by name where it has no id; and a thinking model
refuses a function call of its own that comes back without its signature, or with another.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from harness.simulator.apis.gemini.checks import (
    invalid_request,
    invalid_value,
    parse_flag,
    parse_list,
    parse_message,
    parse_text,
    wrong_type,
)
from harness.simulator.model.images import decode_base64
from harness.simulator.model.rng import stable_digest
from harness.simulator.model.tokenizer import tokenize
from harness.simulator.model.types import Call, Function, Turn

IMAGES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
ALPHABET = str.maketrans("-_", "+/")
"""Bytes come in either alphabet of base64, padded or not."""
UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools"
    " to work correctly, and missing thought_signature may lead to degraded model performance."
    " Additional data, function call `default_api:%s` , position %d."
)
MODES = {
    "MODE_UNSPECIFIED": "auto",
    "AUTO": "auto",
    "VALIDATED": "auto",
    "ANY": "required",
    "NONE": "none",
}
DECLARATION = (
    "name",
    "description",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
    "behavior",
)
PART = (
    *(
        "text",
        "thought",
        "thoughtSignature",
        "inlineData",
        "fileData",
        "functionCall",
        "functionResponse",
    ),
    *("executableCode", "codeExecutionResult", "videoMetadata", "mediaResolution", "partMetadata"),
)


class _Part(NamedTuple):
    """A part: text, an image, a call with its signature, or a function response (`name` is the
    function's)."""

    text: str | None = None
    image: bytes | None = None
    call: Call | None = None
    signature: str | None = None
    name: str = ""
    call_id: str | None = None


class _Content(NamedTuple):
    role: str
    parts: tuple[_Part, ...]


def parse_turns(body: dict[str, Any], *, thinking: bool) -> tuple[Turn, ...]:
    """The turns of a request, the system instruction first; raises `ApiError`."""
    contents = [
        _parse_content(content, f"contents[{index}]")
        for index, content in enumerate(parse_list(body.get("contents"), "contents"))
    ]
    if not contents:
        raise invalid_value("contents", "contents is not specified")
    contents = _merge_model_contents(contents)
    _check_order(contents)
    if thinking:
        _check_signatures(contents)
    system = body.get("systemInstruction")
    before = [] if system is None else [_parse_content(system, "system_instruction")]
    return tuple(
        [Turn("system", "\n".join(part.text or "" for part in content.parts)) for content in before]
        + [turn for content in contents for turn in _content_turns(content)]
    )


def sign_call(name: str, arguments: Any) -> str:
    """The thought signature of a function call."""
    return base64.b64encode(
        stable_digest("signature", name, orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS))
    ).decode()


def parse_functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The declared functions; raises `ApiError`."""
    found: list[Function] = []
    for index, tool in enumerate(parse_list(body.get("tools"), "tools")):
        place = f"tools[{index}]"
        declared = parse_message(tool, ("functionDeclarations",), place).get("functionDeclarations")
        for inner, declaration in enumerate(parse_list(declared, f"{place}.function_declarations")):
            found.append(_parse_function(declaration, f"{place}.function_declarations[{inner}]"))
    names = [function.name for function in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise invalid_request(f"Duplicate function declaration found: {twice}")
    return tuple(found)


def parse_tool_choice(body: dict[str, Any], offered: Sequence[Function]) -> str:
    """`auto`, `none`, `required` or the name of the only allowed function; raises `ApiError`."""
    config = body.get("toolConfig")
    fields = (
        {}
        if config is None
        else parse_message(config, ("functionCallingConfig", "retrievalConfig"), "tool_config")
    )
    place = "tool_config.function_calling_config"
    calling = parse_message(
        fields.get("functionCallingConfig", {}), ("mode", "allowedFunctionNames"), place
    )
    mode = calling.get("mode", "AUTO")
    if not isinstance(mode, str) or mode not in MODES:
        raise wrong_type(
            f"{place}.mode", "type.googleapis.com/google.ai.generativelanguage.v1beta.Mode", mode
        )
    allowed = parse_list(calling.get("allowedFunctionNames"), f"{place}.allowed_function_names")
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise invalid_request(
            "Allowed function names should only be set when function calling mode is ANY or"
            " VALIDATED."
        )
    unknown = [name for name in allowed if name not in [function.name for function in offered]]
    if unknown:
        raise invalid_request(f"{unknown[0]} is not a function declared in tools.")
    return str(allowed[0]) if mode == "ANY" and len(allowed) == 1 else MODES[mode]


def parse_json_schema(schema: Any, place: str) -> dict[str, Any]:
    """A JSON Schema, also in the API's own dialect with upper-case types; raises `ApiError`."""
    if not isinstance(schema, dict):
        raise wrong_type(place, "type.googleapis.com/google.protobuf.Struct", schema)
    lowered: dict[str, Any] = _lower_case_types(schema)
    return lowered


# ── Contents ──────────────────────────────────────────────────────────────────────────────────────


def _parse_content(value: Any, place: str) -> _Content:
    fields = parse_message(value, ("role", "parts"), place)
    role = parse_text(fields.get("role"), f"{place}.role") or "user"
    if role not in ("user", "model", "function", "system"):
        raise invalid_request("Please use a valid role: user, model.")
    parts = parse_list(fields.get("parts"), f"{place}.parts")
    if not parts:
        raise invalid_value(f"{place}.parts", "contents.parts must not be empty.")
    read = (_parse_part(part, f"{place}.parts[{index}]") for index, part in enumerate(parts))
    return _Content(role, tuple(part for part in read if part is not None))


def _parse_part(value: Any, place: str) -> _Part | None:
    """A part; None for a thought, which the model does not read again."""
    fields = parse_message(value, PART, place)
    signed = (
        parse_text(fields.get("thoughtSignature"), f"{place}.thought_signature").translate(ALPHABET)
        or None
    )
    if parse_flag(fields.get("thought"), f"{place}.thought"):
        return None
    if "inlineData" in fields:
        return _Part(image=_parse_image(fields["inlineData"], f"{place}.inline_data"))
    if "functionCall" in fields:
        return _Part(
            call=_parse_function_call(fields["functionCall"], f"{place}.function_call"),
            signature=signed,
        )
    if "functionResponse" in fields:
        return _parse_function_response(fields["functionResponse"], f"{place}.function_response")
    if "text" not in fields:
        raise invalid_value(place, "required oneof field 'data' must have one initialized field")
    return _Part(text=parse_text(fields["text"], f"{place}.text"), signature=signed)


def _parse_image(value: Any, place: str) -> bytes:
    fields = parse_message(value, ("mimeType", "data", "displayName"), place)
    kind, data = (
        parse_text(fields.get("mimeType"), f"{place}.mime_type"),
        parse_text(fields.get("data"), f"{place}.data"),
    )
    if kind not in IMAGES:
        raise invalid_request(f"Unsupported MIME type: {kind}")
    bare = data.translate(ALPHABET).rstrip("=")
    image = decode_base64(bare + "=" * (-len(bare) % 4))
    if not image:
        raise invalid_request(
            f"Invalid value at '{place}.data' (TYPE_BYTES), Base64 decoding failed for"
            f" {data[:40]!r}",
            f"{place}.data",
        )
    return image


def _parse_function_call(value: Any, place: str) -> Call:
    fields = parse_message(value, ("id", "name", "args"), place)
    arguments = fields.get("args", {})
    if not isinstance(arguments, dict):
        raise wrong_type(f"{place}.args", "type.googleapis.com/google.protobuf.Struct", arguments)
    name = parse_text(fields.get("name"), f"{place}.name")
    if not name:
        raise invalid_value(f"{place}.name", "Name cannot be empty.")
    return Call(
        name,
        tuple(tokenize(orjson.dumps(arguments).decode())),
        parse_text(fields.get("id"), f"{place}.id"),
    )


def _parse_function_response(value: Any, place: str) -> _Part:
    """A function response as the model reads it: only the `output` if there is nothing else."""
    fields = parse_message(
        value, ("id", "name", "response", "parts", "willContinue", "scheduling"), place
    )
    response = fields.get("response")
    if not isinstance(response, dict):
        raise wrong_type(
            f"{place}.response", "type.googleapis.com/google.protobuf.Struct", response
        )
    name = parse_text(fields.get("name"), f"{place}.name")
    if not name:
        raise invalid_value(f"{place}.name", "Name cannot be empty.")
    result = response["output"] if response.keys() == {"output"} else response
    text = result if isinstance(result, str) else orjson.dumps(result).decode()
    return _Part(text=text, name=name, call_id=parse_text(fields.get("id"), f"{place}.id") or None)


def _content_turns(content: _Content) -> Iterator[Turn]:
    """The turns of a content: one for each function response, and one for the rest."""
    results = [part for part in content.parts if part.name]
    yield from (Turn("tool", part.text or "", call_id=part.call_id) for part in results)
    rest = [part for part in content.parts if not part.name]
    if rest or not results:
        texts = [part.text for part in rest if part.text is not None]
        images = tuple(part.image for part in rest if part.image is not None)
        calls = tuple(part.call for part in rest if part.call is not None)
        yield Turn(
            "assistant" if content.role == "model" else "user", "\n".join(texts), images, calls
        )


def _merge_model_contents(contents: Sequence[_Content]) -> list[_Content]:
    """Join consecutive contents of the model, which a client that keeps a stream's chunks sends."""
    joined: list[_Content] = []
    for content in contents:
        if joined and content.role == joined[-1].role == "model":
            joined[-1] = _Content("model", joined[-1].parts + content.parts)
        else:
            joined.append(content)
    return joined


def _check_order(contents: Sequence[_Content]) -> None:
    """Require as many function responses as calls, in the content right after them, and nowhere
    else."""
    called: list[str] = []
    for content in contents:
        answered = [part.name for part in content.parts if part.name]
        if answered and not called:
            raise invalid_request(
                "Please ensure that function response turn comes immediately after a function call"
                " turn."
            )
        if len(answered) != len(called):
            raise invalid_request(
                "Please ensure that the number of function response parts is equal to the number of"
                " function call parts of the function call turn."
            )
        if sorted(answered) != sorted(called):
            raise invalid_request(
                "Please ensure that each function response has the name of a function that was"
                " called."
            )
        called = [part.call.name for part in content.parts if part.call]


def _check_signatures(contents: Sequence[_Content]) -> None:
    """Require a signature of the first call in each content since the last question; any must
    match."""
    questions = (
        place
        for place, content in enumerate(contents)
        if content.role != "model" and any(not part.name for part in content.parts)
    )
    last = max(questions, default=-1)
    for position, content in enumerate(contents[last + 1 :], last + 2):
        calls = [(part.call, part.signature) for part in content.parts if part.call is not None]
        if calls and calls[0][1] is None:
            raise invalid_request(UNSIGNED % (calls[0][0].name, position))
        for call, signed in calls:
            if signed is not None and signed != sign_call(call.name, orjson.loads(call.arguments)):
                raise invalid_request("Thought signature is not valid.")


# ── Functions ─────────────────────────────────────────────────────────────────────────────────────


def _parse_function(value: Any, place: str) -> Function:
    fields = parse_message(value, DECLARATION, place)
    name = parse_text(fields.get("name"), f"{place}.name")
    if not name:
        raise invalid_value(
            f"{place}.name", "Invalid function name. Must start with a letter or an underscore."
        )
    if "parameters" in fields and "parametersJsonSchema" in fields:
        raise invalid_request("Only one of parameters and parameters_json_schema may be set.")
    schema = fields.get(
        "parametersJsonSchema", fields.get("parameters", {"type": "object", "properties": {}})
    )
    return Function(
        name,
        parse_text(fields.get("description"), f"{place}.description"),
        parse_json_schema(schema, f"{place}.parameters"),
    )


def _lower_case_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_lower_case_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: (
            value.lower()
            if key == "type" and isinstance(value, str) and value.isupper()
            else _lower_case_types(value)
        )
        for key, value in schema.items()
    }
