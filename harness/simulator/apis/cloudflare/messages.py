"""The messages of a native Workers AI request: turns with images and calls, and the functions on
offer.

Calls in an assistant's message are not in the schema but accepted in OpenAI's format, with
arguments as JSON text or as an object.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from harness.simulator.apis.cloudflare.schema import bad_input, check_type, json_type_name
from harness.simulator.model.images import decode_data_uri
from harness.simulator.model.tokenizer import tokenize
from harness.simulator.model.types import Call, Function, Turn

ID_CHARACTERS = 9
HEADER = re.compile(
    r"<\|header_start\|>(\w+)<\|header_end\|>\n\n(.*?)(?=<\|eot\|>|<\|header_start\|>|\Z)",
    re.DOTALL,
)


def parse_turns(body: dict[str, Any]) -> tuple[Turn, ...]:
    """The turns of a body; raises `ApiError`. A raw prompt is split at the tokens of the chat
    template, if it has any."""
    if "prompt" in body:
        return (body.get("raw") is True and _parse_chat_template(body["prompt"])) or (
            Turn("user", body["prompt"]),
        )
    return tuple(
        _parse_message(message, f"/messages/{index}")
        for index, message in enumerate(body["messages"])
    )


def _parse_message(message: Any, place: str) -> Turn:
    check_type(message, place, "object")
    role = message.get("role", "user")
    check_type(role, f"{place}/role", "string")
    _check_call_id(message.get("tool_call_id"), place)
    turn = _parse_content(role, message.get("content", ""), place)
    return turn._replace(
        calls=_parse_tool_calls(message.get("tool_calls"), f"{place}/tool_calls"),
        call_id=message.get("tool_call_id"),
    )


def _parse_content(role: str, content: Any, place: str) -> Turn:
    if isinstance(content, str):
        return Turn(role, content)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise bad_input(
            f"Type mismatch of '{place}/content', '{json_type_name(content)}' not in 'string'"
        )
    return _parse_parts(role, content, f"{place}/content")


def _parse_parts(role: str, parts: list[Any], place: str) -> Turn:
    texts: list[str] = []
    images: list[bytes] = []
    for index, part in enumerate(parts):
        check_type(part, f"{place}/{index}", "object")
        if isinstance(part.get("image_url"), dict):
            url, url_place = part["image_url"].get("url", "data:"), f"{place}/{index}/image_url/url"
            check_type(url, url_place, "string")
            if not url.startswith("data"):
                raise bad_input(f"'{url_place}' does not match pattern '^data:*'")
            images.append(decode_data_uri(url))
        texts += [part["text"]] if isinstance(part.get("text"), str) else []
    return Turn(role, "\n".join(texts), tuple(images))


def _check_call_id(call_id: Any, place: str) -> None:
    """The pattern [a-zA-Z0-9]{9} is not anchored: any run of nine will do."""
    if call_id is None:
        return
    check_type(call_id, f"{place}/tool_call_id", "string")
    runs = "".join(
        character if character.isascii() and character.isalnum() else " " for character in call_id
    ).split()
    if max(map(len, runs), default=0) < ID_CHARACTERS:
        raise bad_input(f"'{place}/tool_call_id' does not match pattern '[a-zA-Z0-9]{{9}}'")


def parse_functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The functions of a validated body, in either of the two formats of tools."""
    described = [tool.get("function", tool) for tool in body.get("tools", [])]
    return tuple(
        Function(each["name"], each["description"], each["parameters"]) for each in described
    )


def parse_tool_choice(body: dict[str, Any]) -> str:
    """`auto`, `none`, `required` or a function's name; not in the schema, but respected."""
    asked = body.get("tool_choice", "auto")
    if isinstance(asked, dict):
        function = asked.get("function")
        return str(function.get("name", "auto")) if isinstance(function, dict) else "auto"
    return asked if asked in ("none", "required") else "auto"


def _parse_chat_template(prompt: str) -> tuple[Turn, ...]:
    """The turns of a prompt in Llama 4's template, without the header that opens the answer."""
    found = [
        Turn("tool" if role == "ipython" else role, text) for role, text in HEADER.findall(prompt)
    ]
    return tuple(found[:-1] if found and found[-1] == Turn("assistant", "") else found)


def _parse_tool_calls(calls: Any, place: str) -> tuple[Call, ...]:
    if calls is None:
        return ()
    check_type(calls, place, "array")
    return tuple(_parse_tool_call(call, f"{place}/{index}") for index, call in enumerate(calls))


def _parse_tool_call(call: Any, place: str) -> Call:
    check_type(call, place, "object")
    function = call.get("function", call)
    check_type(function, f"{place}/function", "object")
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return Call(str(function.get("name", "")), tuple(tokenize(text)), str(call.get("id", "")))
