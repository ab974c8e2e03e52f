"""Feeding a decoder as the transport does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest

from harness.model import Message, Request, Target
from harness.providers.base import DecodedResponse, Decoder, Provider, Signal

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reading:
    """Reads literal answers with one provider's decoder."""

    def __init__(self, provider: Provider, target: Target) -> None:
        self.provider = provider
        self.target = target
        self.request = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 64})
        self.signals: list[Signal] = []

    def make_decoder(self) -> Decoder:
        return self.provider.make_decoder(self.target, self.request)

    def stream(self, text: str | bytes, headers: Mapping[str, str] = NO_HEADERS) -> DecodedResponse:
        """What a stream means: `data:` lines, one an event."""
        raw = text if isinstance(text, bytes) else text.encode()
        decoder = self.make_decoder()
        for line in raw.splitlines():
            if line.startswith(b"data: ") and not decoder.complete:
                self.signals.append(decoder.feed_event("", line[6:]))
        return decoder.finish(headers)

    def whole(self, body: str | bytes, headers: Mapping[str, str] = NO_HEADERS) -> DecodedResponse:
        """What a body that was not streamed means."""
        decoder = self.make_decoder()
        decoder.feed_body(body if isinstance(body, bytes) else body.encode())
        return decoder.finish(headers)

    def refused(
        self, status: int, body: bytes, headers: Mapping[str, str] = NO_HEADERS
    ) -> DecodedResponse:
        """What an answer whose status is not 2xx means."""
        decoder = self.make_decoder()
        decoder.feed_error(status, headers, body)
        return decoder.finish(headers)


@pytest.fixture
def reading() -> Callable[[Provider, Target], Reading]:
    return Reading
