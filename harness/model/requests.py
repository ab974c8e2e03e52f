"""Requests to a model, provider-neutral: the conversation so far, tools, and the format of the
answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

Role = Literal["system", "developer", "user", "assistant", "tool"]
"""`developer` is OpenAI's name for `system`: formats that lack it get that."""

SYSTEM_ROLES: tuple[Role, ...] = ("system", "developer")


class Text(Struct, frozen=True, tag_field="type", tag="text"):
    """A text part of a message's content."""

    text: str


class Image(Struct, frozen=True, tag_field="type", tag="image"):
    """An image part of a message's content; `data` is base64, without a `data:` prefix; width and
    height are pixels.

    `sha256` (hex) is of the file's bytes. In a run folder `data` may be empty: then the bytes are
    in `blobs/<sha256>`.
    """

    media_type: str
    data: str
    width: int | None = None
    height: int | None = None
    sha256: str | None = None


class ToolCall(Struct, frozen=True):
    """A function somebody wants called; `arguments` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


class Message(Struct, frozen=True):
    """One turn of a conversation, provider-neutral.

    `failed` is of a tool's message: the call raised, and the content says how. `echo` is what the
    provider that wrote the turn wants back unchanged when the conversation goes on (signed
    reasoning); plain JSON that only its provider reads.
    """

    role: Role
    content: str | tuple[Text | Image, ...] = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    failed: bool = False
    echo: Any = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, Text))


class Tool(Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """A function the model may ask for; `parameters` is a JSON Schema of type object.

    `strict` holds the model to them, or not; None leaves that to the provider. A default is in no
    hash.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    """The form the answer must have: any JSON, or JSON that fits `schema`; `guided_json` is Workers
    AI's word for that."""

    type: Literal["json_object", "json_schema", "guided_json"]
    schema: Mapping[str, Any] | None = None
    name: str = "answer"


class Request(Struct, frozen=True):
    """One request to a model, provider-neutral; `sampling` uses the canonical parameter names
    (docs/suites.md).

    `prompt` replaces `messages` for models that complete plain text; `raw` says it already carries
    the chat template's tokens. `parallel_tool_calls` allows or forbids several calls in one answer;
    None leaves it to the server.
    """

    messages: tuple[Message, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    response_format: ResponseFormat | None = None
    prompt: str | None = None
    raw: bool = False
    parallel_tool_calls: bool | None = None
