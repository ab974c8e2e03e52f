"""Workers AI's batches: `POST /ai/run/{model}?queueRequest=true`, with `requests` to submit and a `request_id` to poll.

What surprises: both are POSTs to one address, told apart by their bodies; a poll that is not done is a success with a status;
and tokens are told for the whole batch, so that where an answer was cut by its limit cannot be inferred. An entry names its
request by `external_reference` or, where the service keeps none, by its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from harness.model import EncodedRequest, Message, Request, Target, Usage
from harness.providers import errors, usage
from harness.providers.base import BatchEntry, BatchStatus, DecodedResponse, Decoder, Signal
from harness.providers.decoder import ChatDecoder
from harness.providers.json_text import dumps, loads_text, snippet

QUERY = "?queueRequest=true"
PENDING = ("queued", "running")


class CloudflareBatches:
    """What the provider `cloudflare` does with many requests at once; `answers` makes what reads one answer."""

    max_bytes = 9_500_000
    """Of a submission. The documented limit is 10 MB; what is kept back is for whoever counts what is around the body, too."""
    max_requests = 1_000
    """In a submission. No limit is documented; this one bounds what a lost batch loses."""

    def __init__(self, answers: Callable[[Target, Request], Decoder]) -> None:
        self._answers = answers

    def encode_submission(self, requests: Sequence[tuple[str, EncodedRequest]]) -> EncodedRequest:
        """One request that carries them all, each with its reference."""
        bodies = [_with_reference(wire.body, reference) for reference, wire in requests]
        first = requests[0][1]
        return replace(first, path=first.path + QUERY, body=b'{"requests":[' + b",".join(bodies) + b"]}")

    def encode_poll(self, wire: EncodedRequest, batch: str) -> EncodedRequest:
        """The question how a batch is doing; `wire` is one of its requests, which has the same address and headers."""
        return replace(wire, path=wire.path + QUERY, body=dumps({"request_id": batch}))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """Reads the answer to a submission or a poll: its message's text is what `decode_status` takes."""
        return _BatchResultDecoder(request)

    def decode_status(self, text: str) -> BatchStatus:
        """What a submission or a poll was told. Raises ValueError for what is neither an id, a status nor answers."""
        result = loads_text(text)
        entries = result.get("responses")
        if isinstance(entries, list):
            found = tuple(_read_entry(each, place) for place, each in enumerate(entries) if isinstance(each, dict))
            return BatchStatus(entries=found, usage=usage.read_usage(result.get("usage")))
        batch = result.get("request_id")
        if result.get("status") not in PENDING and not (isinstance(batch, str) and "status" not in result):
            raise ValueError(f"an answer that is no batch's: {snippet(text)}")
        return BatchStatus(id=batch if isinstance(batch, str) else None)

    def decode_entry(self, target: Target, request: Request, entry: BatchEntry) -> DecodedResponse:
        """What one entry means, as the answer to `request`."""
        decoder = self._answers(target, request)
        decoder.feed_body(entry.body)
        decoded = decoder.finish({})
        if decoded.finish_reason != "stop" or decoded.usage is not None:
            return decoded
        return replace(decoded, finish_reason="unknown", flags=(*decoded.flags, "unknown_stop"))


class _BatchResultDecoder(ChatDecoder):
    """Takes the envelope off and keeps the result as it is."""

    def __init__(self, request: Request) -> None:
        super().__init__(Request(prompt=request.prompt))  # its answer is no answer to what was asked: nothing to heed
        self._result: Any = None

    def _read_chunk(self, chunk: dict[str, Any]) -> Signal:
        self._read_body(chunk)
        return Signal.NOTHING

    def _read_body(self, body: dict[str, Any]) -> None:
        self._is_whole = True
        self._result = body.get("result")
        if not isinstance(self._result, dict) or not self._result:
            self._fail(errors.empty_error("with an empty result"))

    def _is_missing(self) -> bool:
        return False

    def _build_message(self) -> Message:
        return Message("assistant", dumps(self._result).decode("utf-8", "replace"))

    def _token_usage(self, headers: Mapping[str, str]) -> Usage | None:
        return None


def _with_reference(body: bytes, reference: str) -> bytes:
    """A request's body, an object that is not empty, with one more member: nothing in it is parsed or written again."""
    return body[:-1] + b',"external_reference":' + dumps(reference) + b"}"


def _read_entry(fields: dict[str, Any], place: int) -> BatchEntry:
    reference, number = fields.get("external_reference"), fields.get("id")
    body = {name: value for name, value in fields.items() if name not in ("id", "external_reference")}
    return BatchEntry(
        reference=reference if isinstance(reference, str) else None,
        place=number if type(number) is int else place,
        body=dumps(body),
    )
