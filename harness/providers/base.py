"""The provider interface: two pure functions between our requests and a service's bytes.

`encode` turns a Request into an `EncodedRequest`; a new `Decoder` for each attempt is fed the
response and returns its meaning. The transport does the rest (sockets, clocks, SSE framing,
limits), so a provider is tested on literal bytes. At the end are checks of requests that several
formats share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol, runtime_checkable

from msgspec import Struct

from harness.model import (
    SYSTEM_ROLES,
    EncodedRequest,
    Error,
    FinishReason,
    Image,
    Message,
    Request,
    Role,
    Target,
    TokenLogprob,
    Usage,
)
from harness.vendors.facts import ProviderFacts


class Signal(Enum):
    """What one stream event carried, for the clock: nothing that counts as a token, reasoning, or
    answer content."""

    NOTHING = 0
    REASONING = 1
    ANSWER = 2


class DecodedResponse(Struct, frozen=True):
    """A decoded HTTP response, complete or cut off: everything of a Response that is not the
    transport's."""

    message: Message | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    model: str | None = None
    fingerprint: str | None = None
    error: Error | None = None
    flags: tuple[str, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Decoder(Protocol):
    """Decodes the response of one attempt. Never raises on what a server may send: that becomes the
    `Error` in `finish`."""

    @property
    def complete(self) -> bool:
        """Whether the stream's terminal signal has been seen: nothing after it matters."""

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take one server-sent event: its `event:` name (empty if none) and its `data:`."""

    def feed_body(self, data: bytes) -> None:
        """Take a whole JSON body (a 2xx response that was not streamed, whether a stream was
        requested or not)."""

    def feed_error(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take a response whose status is not 2xx; header names are lower case."""

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """The decoded response. A stream that ended without a terminal signal has the error kind
        `truncated`."""


class Provider(Protocol):
    """A wire format and the service's defaults."""

    name: str
    default_address: str | None
    """Base URL of a target that declares none; may hold `${VARIABLE}`. None: the target must
    declare one."""
    default_api_key_env: str | None
    """The environment variable of the API key, for a target that uses the default address and names
    no variable."""
    default_max_tokens: int | None
    """The service's silent default for an unset `max_tokens`; it is sent, so that it is on record.
    None: there is none."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """The HTTP request for `request`. Raises ValueError for what this format cannot express."""

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A new decoder for one attempt at `request`."""


class BuiltInProvider:
    """What built-in providers have in common: their defaults come from their facts
    (`harness.vendors`)."""

    def __init__(self, facts: ProviderFacts) -> None:
        self.facts = facts
        self.name = facts.name
        self.default_address = facts.address
        self.default_api_key_env = facts.api_key_env
        self.default_max_tokens = facts.default_max_tokens
        self.api_versions = facts.api_versions
        self.default_api_version = facts.default_api_version


class BatchEntry(Struct, frozen=True):
    """One answer of a batch: its request's reference, where the service kept it, the request's
    position, and the body."""

    reference: str | None
    place: int
    body: bytes


class BatchStatus(Struct, frozen=True):
    """The state of a batch: its `id`, if reported; its answers, None while there are none; the
    tokens of the whole batch."""

    id: str | None = None
    entries: tuple[BatchEntry, ...] | None = None
    usage: Usage | None = None


class BatchApi(Protocol):
    """A service's batch API; pure, like the provider."""

    max_bytes: int
    """The largest body of a submission."""
    max_requests: int
    """The most requests in one submission."""

    def encode_submission(self, requests: Sequence[tuple[str, EncodedRequest]]) -> EncodedRequest:
        """The HTTP request that submits these, each with its reference."""

    def encode_poll(self, wire: EncodedRequest, batch: str) -> EncodedRequest:
        """The HTTP request that asks for the status of a batch; `wire` is one of its requests."""

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """Decodes the response to a submission or a poll: `decode_status` takes the text of its
        message."""

    def decode_status(self, text: str) -> BatchStatus:
        """The result of a submission or a poll. Raises ValueError for what is neither."""

    def decode_entry(self, target: Target, request: Request, entry: BatchEntry) -> DecodedResponse:
        """One entry, decoded as the response to `request`."""


@runtime_checkable
class SupportsBatches(Protocol):
    """A provider whose service has a batch API."""

    batch_api: BatchApi


@runtime_checkable
class SupportsVersions(Protocol):
    """A provider whose API has several versions, of which a target may choose one
    (`Target.api_version`)."""

    api_versions: tuple[str, ...]
    """Supported versions, or patterns of them (`2024-*`)."""
    default_api_version: str | None
    """The version for a target that chooses none."""


# ── Checks of requests ────────────────────────────────────────────────────────────────────


def reject_raw_prompt(target: Target, request: Request, service: str) -> None:
    """Raises ValueError for a request that is a raw prompt; `service` names the format in the
    message."""
    if request.prompt is not None or request.raw:
        raise ValueError(
            f"target {target.name}: {service} accepts only messages; use another provider for a"
            " raw prompt"
        )


def split_system_messages(
    target: Target,
    messages: Sequence[Message],
    service: str,
    roles: Sequence[Role] = SYSTEM_ROLES,
) -> tuple[Sequence[Message], Sequence[Message]]:
    """The leading messages of these `roles`, and the turns after them. Raises ValueError for an
    image in one of them."""
    first = next(
        (index for index, turn in enumerate(messages) if turn.role not in roles), len(messages)
    )
    if any(contains_image(turn) for turn in messages[:first]):
        raise ValueError(
            f"target {target.name}: {service} accepts no images in a system message; move them to"
            " a user message"
        )
    return messages[:first], messages[first:]


def reject_late_system(target: Target, turns: Sequence[Message], service: str) -> None:
    """Raises ValueError for a system message after the first turn."""
    if any(turn.role in SYSTEM_ROLES for turn in turns):
        raise ValueError(
            f"target {target.name}: {service} accepts system messages only before the first turn;"
            " move this one there"
        )


def contains_image(turn: Message) -> bool:
    """Whether the message has an image part."""
    return not isinstance(turn.content, str) and any(
        isinstance(part, Image) for part in turn.content
    )
