"""The messages of a Messages request: validates their content blocks and converts them to turns.

What surprises: tool results stand in a user message, every tool call needs its result in the very
next one, and a thinking block that comes back altered is refused by its signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import orjson

from harness.simulator.apis.anthropic.responses import sign_thinking
from harness.simulator.apis.http import ApiError
from harness.simulator.model import tokenizer
from harness.simulator.model.images import decode_base64
from harness.simulator.model.types import Call, Turn

MAGIC = {
    "image/png": b"\x89PNG",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
MAX_MESSAGES = 100_000
USER_BLOCKS = ("text", "image", "document", "tool_result")
ASSISTANT_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use", "document")


def invalid_request(message: str) -> ApiError:
    """The error for a request that breaks the contract."""
    return ApiError(400, "invalid_request_error", message)


def read_system(system: Any) -> tuple[Turn, ...]:
    """The system prompt: a text, or text blocks."""
    if system is None:
        return ()
    if isinstance(system, str):
        return (Turn("system", system),)
    if not isinstance(system, list):
        raise invalid_request("system: Input should be a valid string or list")
    return (
        Turn(
            "system",
            "\n".join(_block_text(block, f"system.{index}") for index, block in enumerate(system)),
        ),
    )


def read_turns(messages: Any, newer: bool) -> tuple[Turn, ...]:
    """All turns; `newer` refuses documents from the assistant, as the newer API version does."""
    if not isinstance(messages, list):
        raise invalid_request("messages: Input should be a valid list")
    if not messages:
        raise invalid_request("messages: at least one message is required")
    if len(messages) > MAX_MESSAGES:
        raise invalid_request(f"messages: at most {MAX_MESSAGES} messages are allowed")
    separate = [
        _message_blocks(message, f"messages.{index}") for index, message in enumerate(messages)
    ]
    merged = [
        (role, [block for _, blocks in group for block in blocks])
        for role, group in groupby(separate, lambda message: message[0])
    ]
    if merged[0][0] != "user":
        raise invalid_request('messages: first message must use the "user" role')
    _check_results(merged)
    return tuple(
        turn
        for index, (role, blocks) in enumerate(merged)
        for turn in _parse_blocks(role, blocks, index, newer)
    )


def _message_blocks(message: Any, place: str) -> tuple[str, list[Any]]:
    """The role and the content blocks of a message."""
    if not isinstance(message, dict):
        raise invalid_request(f"{place}: Input should be a valid dictionary or object")
    role, content = message.get("role"), message.get("content")
    if role == "system":
        raise invalid_request(
            'messages: Unexpected role "system". The Messages API accepts a top-level `system`'
            ' parameter, not "system" as an input message role.'
        )
    if role not in ("user", "assistant"):
        raise invalid_request(f"{place}.role: Input should be 'user' or 'assistant'")
    if extra := sorted(set(message) - {"role", "content"}):
        raise invalid_request(f"{place}.{extra[0]}: Extra inputs are not permitted")
    if "content" not in message:
        raise invalid_request(f"{place}.content: Field required")
    if not content:
        raise invalid_request(f"{place}: all messages must have non-empty content")
    if not isinstance(content, str | list):
        raise invalid_request(f"{place}.content: Input should be a valid string or list")
    return role, [{"type": "text", "text": content}] if isinstance(content, str) else content


def _check_results(turns: list[tuple[str, list[Any]]]) -> None:
    """Require every call's result in the next turn, and every result's call in the turn before."""
    called: list[str] = []
    for index, (_, blocks) in enumerate([*turns, ("user", [])]):
        answered = [
            str(block.get("tool_use_id")) for block in blocks if _has_type(block, "tool_result")
        ]
        if stray := [each for each in answered if each not in called]:
            raise invalid_request(
                f"messages.{index}.content.0: unexpected `tool_use_id` found in `tool_result`"
                f" blocks: {stray[0]}. Each `tool_result` block must have a corresponding"
                " `tool_use` block in the previous message."
            )
        if missing := [each for each in called if each not in answered]:
            raise invalid_request(
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks"
                f" immediately after: {', '.join(missing)}. Each `tool_use` block must have a"
                " corresponding `tool_result` block in the next message."
            )
        called = [str(block.get("id")) for block in blocks if _has_type(block, "tool_use")]


def _has_type(block: Any, kind: str) -> bool:
    return isinstance(block, dict) and block.get("type") == kind


def _parse_blocks(role: str, blocks: list[Any], index: int, newer: bool) -> Iterator[Turn]:
    """A turn for each tool result, and one for everything else in the message."""
    place = f"messages.{index}.content"
    for number, block in enumerate(blocks):
        _check_block(block, f"{place}.{number}", role, newer)
    for number, block in enumerate(blocks):
        if block["type"] == "tool_result":
            yield _tool_result_turn(block, f"{place}.{number}")
    rest = [
        (block, f"{place}.{number}")
        for number, block in enumerate(blocks)
        if block["type"] != "tool_result"
    ]
    if rest:
        yield Turn(
            role,
            "\n".join(_block_text(*each) for each in rest if each[0]["type"] == "text"),
            tuple(_block_image(*each) for each in rest if each[0]["type"] == "image"),
            tuple(_parse_tool_use(*each) for each in rest if each[0]["type"] == "tool_use"),
        )


def _check_block(block: Any, place: str, role: str, newer: bool) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    known = USER_BLOCKS if role == "user" else ASSISTANT_BLOCKS
    if kind not in known or (newer and role == "assistant" and kind == "document"):
        tags = ", ".join(f"'{tag}'" for tag in known)
        raise invalid_request(
            f"{place}: Input tag '{kind}' found using 'type' does not match any of the expected"
            f" tags: {tags}"
        )
    if newer and role == "user" and kind == "text" and "citations" in block:
        raise invalid_request(f"{place}.text.citations: Extra inputs are not permitted")
    if kind == "thinking" and block.get("signature") != sign_thinking(str(block.get("thinking"))):
        raise invalid_request(f"{place}: Invalid `signature` in `thinking` block")


def _block_text(block: Any, place: str) -> str:
    text = block.get("text") if isinstance(block, dict) else None
    if not isinstance(text, str):
        raise invalid_request(f"{place}.text: Field required")
    if not text:
        raise invalid_request("messages: text content blocks must be non-empty")
    return text


def _tool_result_turn(block: dict[str, Any], place: str) -> Turn:
    content = block.get("content", "")
    if isinstance(content, str):
        return Turn("tool", content, call_id=str(block["tool_use_id"]))
    if not isinstance(content, list):
        raise invalid_request(
            f"{place}.tool_result.content: Input should be a valid string or list"
        )
    parts = [(part, f"{place}.tool_result.content.{number}") for number, part in enumerate(content)]
    text = "\n".join(_block_text(*part) for part in parts if _has_type(part[0], "text"))
    images = tuple(_block_image(*part) for part in parts if _has_type(part[0], "image"))
    return Turn("tool", text, images, call_id=str(block["tool_use_id"]))


def _parse_tool_use(block: dict[str, Any], place: str) -> Call:
    if not isinstance(block.get("input"), dict):
        raise invalid_request(f"{place}.tool_use.input: Input should be a valid dictionary")
    if not isinstance(block.get("name"), str):
        raise invalid_request(f"{place}.tool_use.name: Field required")
    arguments = orjson.dumps(block["input"]).decode()
    return Call(block["name"], tuple(tokenizer.tokenize(arguments)), str(block.get("id")))


def _block_image(block: dict[str, Any], place: str) -> bytes:
    """The image file in a block; empty for a URL or file id: the simulator fetches nothing."""
    source = block.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(source, dict) or kind not in ("base64", "url", "file"):
        raise invalid_request(
            f"{place}.image.source: Input tag '{kind}' found using 'type' does not match any of the"
            " expected tags"
        )
    if kind != "base64":
        return b""
    declared = source.get("media_type")
    if not isinstance(declared, str) or declared not in MAGIC:
        allowed = ", ".join(f"'{each}'" for each in MAGIC)
        raise invalid_request(
            f"{place}.image.source.base64.media_type: Input should be one of {allowed}"
        )
    file = decode_base64(source["data"]) if isinstance(source.get("data"), str) else b""
    if not file.startswith(tuple(MAGIC.values())):
        raise invalid_request("Could not process image")
    if not file.startswith(MAGIC[declared]):
        raise invalid_request(
            f"{place}.image.source.base64: The image was specified using the {declared} media type,"
            " but is another"
        )
    return file
