"""Workers AI's batches: `POST /ai/run/{model}?queueRequest=true`, with `requests` to submit and a
`request_id` to poll.

What surprises: both are POSTs to one address and differ in their bodies; a poll of an unfinished
batch is a success with a status; and tokens are reported for the whole batch, so that truncation by
the output limit cannot be inferred. An entry names its request by `external_reference` or, where
the service keeps none, by its position.
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
    """The batch API of the provider `cloudflare`; `make_answer_decoder` makes the decoder of one
    entry."""

    max_bytes = 9_500_000
    """Of a submission. The documented limit is 10 MB; the margin is for
    overhead around the body."""
    max_requests = 1_000
    """In a submission. No limit is documented; this one bounds what a lost batch loses."""

    def __init__(self, make_answer_decoder: Callable[[Target, Request], Decoder]) -> None:
        self._make_answer_decoder = make_answer_decoder

    def encode_submission(self, requests: Sequence[tuple[str, EncodedRequest]]) -> EncodedRequest:
        """One request with all of them, each with its reference."""
        bodies = [_with_reference(wire.body, reference) for reference, wire in requests]
        first = requests[0][1]
        return replace(
            first, path=first.path + QUERY, body=b'{"requests":[' + b",".join(bodies) + b"]}"
        )

    def encode_poll(self, wire: EncodedRequest, batch: str) -> EncodedRequest:
        """The request for a batch's status; `wire` is one of its requests, with the same address
        and headers."""
        return replace(wire, path=wire.path + QUERY, body=dumps({"request_id": batch}))

    def make_decoder(self, target: Target, request: Request) -> Decoder:
        """Decodes the response to a submission or a poll: `decode_status` takes the text of its
        message."""
        return _BatchResultDecoder(request)

    def decode_status(self, text: str) -> BatchStatus:
        """The result of a submission or a poll. Raises ValueError for what is neither an id, a
        status nor answers."""
        result = loads_text(text)
        entries = result.get("responses")
        if isinstance(entries, list):
            found = tuple(
                _read_entry(each, place)
                for place, each in enumerate(entries)
                if isinstance(each, dict)
            )
            return BatchStatus(entries=found, usage=usage.read_usage(result.get("usage")))
        batch = result.get("request_id")
        if result.get("status") not in PENDING and not (
            isinstance(batch, str) and "status" not in result
        ):
            raise ValueError(f"a response that is not a batch response: {snippet(text)}")
        return BatchStatus(id=batch if isinstance(batch, str) else None)

    def decode_entry(self, target: Target, request: Request, entry: BatchEntry) -> DecodedResponse:
        """One entry, decoded as the response to `request`."""
        decoder = self._make_answer_decoder(target, request)
        decoder.feed_body(entry.body)
        decoded = decoder.finish({})
        if decoded.finish_reason != "stop" or decoded.usage is not None:
            return decoded
        return replace(decoded, finish_reason="unknown", flags=(*decoded.flags, "unknown_stop"))


class _BatchResultDecoder(ChatDecoder):
    """Unwraps the envelope and keeps the result unchanged."""

    def __init__(self, request: Request) -> None:
        super().__init__(Request(prompt=request.prompt))  # no parameter applies to this response
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
    """A request's body, a non-empty object, with one more member, without parsing it."""
    return body[:-1] + b',"external_reference":' + dumps(reference) + b"}"


def _read_entry(fields: dict[str, Any], place: int) -> BatchEntry:
    reference, number = fields.get("external_reference"), fields.get("id")
    body = {
        name: value for name, value in fields.items() if name not in ("id", "external_reference")
    }
    return BatchEntry(
        reference=reference if isinstance(reference, str) else None,
        place=number if type(number) is int else place,
        body=dumps(body),
    )
