"""Reads one attempt's answer: whether it is a stream, when its content came, when it is over, and
what it means.

A stream is complete at its terminal signal, though the connection stay open. The clock for the
first content and the one between contents are moved by content, not by bytes: pings and empty
events keep no answer alive. A request that is not streamed has all its content at the very end, so
there only the total applies. A body's Content-Encoding is undone under a cap: a megabyte of gzip
can hold a gigabyte.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from functools import lru_cache
from time import perf_counter_ns

from harness.model import Attempt, Call, Error, Marks, Response
from harness.pricing.tokens import estimate_usage
from harness.providers.base import DecodedResponse, Decoder, Signal
from harness.transport.http.connection import IncomingResponse
from harness.transport.http.errors import BadEncodingError, BodyTooLargeError, Waiting
from harness.transport.http.loop_sharing import AttemptDeadline
from harness.transport.http.messages import Arrivals
from harness.transport.http.sse import Event, EventReader
from harness.transport.middleware.limit import Slot

GRACE = 0.1
"""Seconds the end of the body may lag behind the terminal signal before the connection is given up
for it."""
MAX_TURN_WAIT = 10.0
"""Seconds beyond its time in which an answer that is here must have had its turn to be read."""
MAX_BODY = 64 * 2**20
"""Bytes of one decoded answer."""
MAX_ERROR_BODY = 256 * 1024
"""Bytes read of a refusal; what is beyond explains nothing."""

_EITHER_HEADER = zlib.MAX_WBITS | 32
_GZIP_MAGIC = b"\x1f"
"""A gzip body may have several members, one after the other."""
_PIECE = 2**20
"""Bytes that are decompressed in one go."""

_KEPT = frozenset(
    {"content-type", "date", "request-id", "retry-after", "retry-after-ms", "server", "via"}
    | {"x-amzn-requestid", "x-request-id", "x-should-retry"}
)
_KEPT_PREFIXES = ("anthropic-", "cf-", "openai-", "x-ratelimit-", "x-simulated")

_NOTHING, _ANSWER = (
    Signal.NOTHING,
    Signal.ANSWER,
)  # looked up once: an enum's members cost more than a name


class ResponseReader:
    """One attempt's answer under way; `arrivals` is filled by the transport."""

    status: int | None = None
    succeeded: bool = False
    """Whether the status is 2xx."""
    redirected: bool = False
    """Whether the status is 3xx, and the answer elsewhere."""
    _size: int = 0
    _streamed: bool = False
    _reads: int = 0
    _first_answer: int | None = None
    _last_read: int | None = None
    _decompressor: Decompressor | None = None

    def __init__(self, call: Call, decoder: Decoder) -> None:
        self._loop = asyncio.get_running_loop()
        self._call = call
        self._decoder = decoder
        self._timeouts = call.target.limits.timeouts
        self._over_at = self._loop.time() + self._timeouts.total
        self.arrivals = Arrivals()
        self.headers: dict[str, str] = {}
        self._kept: dict[str, str] = {}
        self._body: list[bytes] = []
        self._awaits_content = call.request.stream
        """Whether the clocks for content apply: the answer is a stream, or may still turn out to be
        one."""
        self._events: list[int] = []

    def next_deadline(self) -> float:
        """When the next of the deadlines is (the loop's time).

        Worked out when somebody asks, so that an event has nothing to set but its own mark.
        """
        if self.arrivals.done is not None:
            return self._over_at + MAX_TURN_WAIT
        return (
            min(self._over_at, self._content_deadline()) if self._awaits_content else self._over_at
        )

    @property
    def waiting_for(self) -> Waiting:
        """Which deadline that is."""
        if self._content_deadline() >= self._over_at:
            return "total"
        return "idle" if self._events else "first"

    def _content_deadline(self) -> float:
        """When content must have come, never where none is awaited."""
        if not self._awaits_content or self._decoder.complete:
            return math.inf
        if self._events:
            since, seconds = self._events[-1], self._timeouts.idle
        else:
            since, seconds = self.arrivals.sent or perf_counter_ns(), self._timeouts.first
        return self._loop.time() + seconds - (perf_counter_ns() - since) / 1e9

    async def read_response(self, answer: IncomingResponse, deadline: AttemptDeadline) -> None:
        """Read `answer` to its end; `deadline` is asked to look again where a shorter one begins.

        Raises httpx.TransportError and the caps' ValueErrors.
        """
        self.status = status = answer.status
        self.succeeded, self.redirected = 200 <= status < 300, 300 <= status < 400
        headers = self.headers
        for raw, value in answer.headers:
            name, is_kept = _normalize_header(raw)
            headers[name] = text = value.decode("latin-1")
            if is_kept:
                self._kept[name] = text
        if self.redirected:
            return
        if encoding := headers.get("content-encoding"):
            self._decompressor = _open_decompressor(encoding)
        # Whether events follow is told by Content-Type; where that says nothing, by what was asked.
        kind = _media_type(headers.get("content-type", ""))
        is_stream = kind == "text/event-stream" or (
            self._call.request.stream and not kind.endswith(("json", "html"))
        )
        self._awaits_content = self._streamed = self.succeeded and is_stream
        if self._streamed:
            await self._read_stream(answer, deadline)
        else:
            await answer.read_into(self._on_body_part)
            if self.succeeded:
                self._decoder.feed_body(b"".join(self._body))

    def _on_body_part(self, arrival: int, data: bytes) -> bool:
        part = data if self._decompressor is None else self._decompressor.decode(data)
        self._body.append(part)
        self._size += len(part)
        if self._size > MAX_BODY:
            raise BodyTooLargeError(f"the answer is longer than {MAX_BODY} bytes")
        return self._size > MAX_ERROR_BODY and not self.succeeded

    async def _read_stream(self, answer: IncomingResponse, deadline: AttemptDeadline) -> None:
        self._reader, self._deadline = EventReader(), deadline
        deadline.check_deadline()
        await answer.read_into(self._on_stream_read)
        if not self._decoder.complete and self._last_read is not None:
            self._on_events(self._reader.close(), self._last_read)

    def _on_stream_read(self, arrival: int, data: bytes) -> bool:
        if not self._decoder.complete:  # nothing after the terminal signal matters but the end
            self._last_read = arrival
            part = data if self._decompressor is None else self._decompressor.decode(data)
            self._size += len(part)
            if self._size > MAX_BODY:
                raise BodyTooLargeError(f"the answer is longer than {MAX_BODY} bytes")
            self._on_events(self._reader.feed(part), arrival)
        return False

    def _on_events(self, events: list[Event], arrival: int) -> None:
        decoder, contents = self._decoder, self._events
        before = len(contents)
        for name, data in events:
            signal = decoder.feed_event(name, data)
            if signal is not _NOTHING:
                contents.append(arrival)
                if self._first_answer is None and signal is _ANSWER:
                    self._first_answer = arrival
            if decoder.complete:
                self._over_at = min(self._over_at, self._loop.time() + GRACE)
                self._deadline.check_deadline()
                break
        if len(contents) > before:
            self._reads += 1
            if not before:
                self._deadline.check_deadline()

    # ── What it means ─────────────────────────────────────────────────────────────────────────────

    def build_response(self, slot: Slot, failure: Error | None) -> Response:
        """The Response with its one Attempt; `failure` is the error of the transport or of a
        deadline."""
        if self.status is None or self.redirected:
            decoded = DecodedResponse()
        else:
            if not self.succeeded:
                self._decoder.feed_error(self.status, self.headers, b"".join(self._body))
            decoded = self._decoder.finish(self.headers)
        error = decoded.error
        if (
            failure is not None
        ):  # what the server reports of itself outranks how the connection ended
            reported = self._streamed and (self._decoder.complete or error is None)
            refused = self.status is not None and self.status >= 400 and error is not None
            error = error if reported or refused else failure
        attempt = Attempt(
            marks=self._clock_marks(slot),
            status=self.status,
            usage=decoded.usage,
            error=error,
            clock="protocol" if self.arrivals.protocol else "reader",
        )
        usage = decoded.usage
        if usage is None and error is None and decoded.message is not None:
            # The attempt's own stays unknown, as what was billed is.
            usage = estimate_usage(
                self._call.request, decoded.message, decoded.finish_reason, decoded.logprobs
            )
        return Response(
            message=decoded.message,
            usage=usage,
            finish_reason=decoded.finish_reason,
            attempts=(attempt,),
            error=error,
            model=decoded.model,
            fingerprint=decoded.fingerprint,
            headers=self._kept,
            flags=decoded.flags,
            logprobs=decoded.logprobs,
        )

    def _clock_marks(self, slot: Slot) -> Marks:
        arrivals, events = self.arrivals, self._events
        over = (
            arrivals.done
            if arrivals.done is not None or not self._decoder.complete
            else self._last_read
        )
        return Marks(
            due=slot.due,
            started=slot.started,
            connected=arrivals.connected,
            sent=arrivals.sent,
            first_byte=arrivals.first_byte,
            first_token=events[0] if events else None,
            first_answer=self._first_answer,
            last_token=events[-1] if events else None,
            done=over,
            events=tuple(events),
            reads=self._reads,
        )


@lru_cache(maxsize=64)
def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


@lru_cache(maxsize=1024)
def _normalize_header(raw: bytes) -> tuple[str, bool]:
    """A header's name in lower case, and whether a record keeps it."""
    name = raw.decode("latin-1").lower()
    return name, name in _KEPT or name.startswith(_KEPT_PREFIXES)


class Decompressor:
    """Decodes one gzip or deflate body piece by piece; `encoding` is its Content-Encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._size = 0
        self._zlib = zlib.decompressobj(_EITHER_HEADER)

    def decode(self, data: bytes) -> bytes:
        """The decoded bytes of `data`. Raises BodyTooLargeError, BadEncodingError."""
        pieces: list[bytes] = []
        try:
            while data or (
                pieces and len(pieces[-1]) == _PIECE
            ):  # a full piece may have more behind it
                if self._zlib.eof:
                    if not data.startswith(_GZIP_MAGIC):
                        break  # padding, which explains nothing
                    self._zlib = zlib.decompressobj(_EITHER_HEADER)
                pieces.append(self._zlib.decompress(data, _PIECE))
                self._size += len(pieces[-1])
                if self._size > MAX_BODY:
                    raise BodyTooLargeError(f"the answer is longer than {MAX_BODY} bytes")
                data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
        except zlib.error as damaged:
            raise BadEncodingError(
                f"the body is not valid {self._encoding}, although its header says so: {damaged}"
            ) from damaged
        return b"".join(pieces)


def _open_decompressor(encoding: str) -> Decompressor | None:
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return None
    if encoding in {"gzip", "x-gzip", "deflate"}:
        return Decompressor(encoding)
    raise BadEncodingError(
        f"the answer has the encoding {encoding[:40]!r}, which was not requested"
    )
