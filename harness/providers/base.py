"""What a provider is: two pure functions between our requests and its bytes.

`encode` turns a Request into a `EncodedRequest`; a fresh `Decoder` for each attempt is fed what came back and says what it
means. The transport does the rest (sockets, clocks, SSE framing, limits), so that a provider is tested on literal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from msgspec import Struct

from harness.model import EncodedRequest, Error, FinishReason, Message, Request, Target, TokenLogprob, Usage


class Signal(Enum):
    """What one stream event carried, for the clock: nothing that counts as a token, reasoning, or answer content."""

    NOTHING = 0
    REASONING = 1
    ANSWER = 2


class DecodedResponse(Struct, frozen=True):
    """What an HTTP answer means once it is complete (or cut): everything of a Response that is not the transport's."""

    message: Message | None = None
    usage: Usage | None = None
    finish_reason: FinishReason | None = None
    model: str | None = None
    fingerprint: str | None = None
    error: Error | None = None
    flags: tuple[str, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


class Decoder(Protocol):
    """Reads one attempt's answer. Never raises on what a server may send: what cannot be read is an `Error` in `finish`."""

    @property
    def complete(self) -> bool:
        """Whether the stream's terminal signal has been seen: nothing after it matters."""

    def feed_event(self, name: str, data: bytes) -> Signal:
        """Take one server-sent event: its `event:` name (empty if none) and its `data:`."""

    def feed_body(self, data: bytes) -> None:
        """Take a whole JSON body (a 2xx that was not streamed, asked for or not)."""

    def feed_error(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Take an answer whose status is not 2xx; header names are lower case."""

    def finish(self, headers: Mapping[str, str]) -> DecodedResponse:
        """What it all means. A stream that ended without a terminal signal has the error kind `truncated`."""


class Provider(Protocol):
    """A wire format and where it lives."""

    name: str
    default_address: str | None
    """Base URL as declared when a target names none; may hold `${VARIABLE}`. None: the target must name one."""
    default_api_key_env: str | None
    """The variable that holds the API key when a target names none and uses the default address."""
    default_max_tokens: int | None
    """What the service silently takes for an unset `max_tokens`; it is sent, so that it is known. None: it has no such trap."""

    def encode(self, target: Target, request: Request) -> EncodedRequest:
        """The HTTP request for `request`. Raises ValueError for what this format cannot express."""

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """A fresh decoder for one attempt at `request`."""


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """One answer of a batch: the reference its request had, where the service kept it, the request's place, and its body."""

    reference: str | None
    place: int
    body: bytes


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How a batch is doing: its `id`, where that was told; its answers, None while there are none; tokens of the whole."""

    id: str | None = None
    entries: tuple[BatchEntry, ...] | None = None
    usage: Usage | None = None


class BatchApi(Protocol):
    """How a provider's service is asked many things at once; pure, like the provider."""

    max_bytes: int
    """The largest body of a submission."""
    max_requests: int
    """The most requests in one."""

    def encode_submission(self, requests: Sequence[tuple[str, EncodedRequest]]) -> EncodedRequest:
        """The HTTP request that submits these, each with the reference it is to be told apart by."""

    def encode_poll(self, wire: EncodedRequest, batch: str) -> EncodedRequest:
        """The HTTP request that asks after the batch; `wire` is one of its requests."""

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """Reads the answer to a submission or a poll: its message's text is what `decode_status` takes."""

    def decode_status(self, text: str) -> BatchStatus:
        """What a submission or a poll was told. Raises ValueError for what cannot be understood."""

    def decode_entry(self, target: Target, request: Request, entry: BatchEntry) -> DecodedResponse:
        """What one entry means, as the answer to `request`."""


@runtime_checkable
class SupportsBatches(Protocol):
    """A provider whose service takes batches."""

    batch_api: BatchApi


@runtime_checkable
class SupportsVersions(Protocol):
    """A provider whose API has several versions, of which a target may choose one (`Target.api_version`)."""

    api_versions: tuple[str, ...]
    """Those it can speak, or patterns of them (`2024-*`)."""
    default_api_version: str | None
    """The one spoken to a target that chooses none."""
