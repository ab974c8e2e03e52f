"""Reads server-sent events from bytes, as they come: `Reader.feed(chunk) -> [(event name, data)]`.

Lines end at CR, LF or CRLF and nowhere else: U+2028 and U+0085 are ordinary text inside JSON
(splitting there is what breaks text-based readers). The result is the same however the stream is
cut into chunks. Beyond the standard it takes what real servers send: a bare `[DONE]` line, and a
JSON object without `data:` in front (an error, usually), on one line or several, or in an array of
one.
"""

from __future__ import annotations

from json import loads
from typing import TypeAlias

Event: TypeAlias = tuple[str, bytes]
"""The `event:` name (empty where there was none) and the `data:`."""

MAX_EVENT = 16 * 2**20
"""Bytes one event may have: far above any answer, far below what exhausts memory."""

_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_BARE = (b"{", b"[{")
_ENDS = {
    b"}": b"{",
    b"]": b"[",
    b"}]": b"[",
}  # a line that ends a bare object or array -> how that began


class EventTooLargeError(ValueError):
    """A line or an event is longer than the reader's cap."""


class EventReader:
    """One stream's reader; it holds at most one unfinished event."""

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._started = False
        self._skip_newline = False
        self._pending: list[bytes] = []  # pieces of the unfinished line
        self._pending_size = 0
        self._name = ""
        self._data: list[bytes] = []  # `data:` lines of the unfinished event
        self._data_size = 0
        self._bare = False  # inside JSON that came without `data:`
        self._between = True  # no event is unfinished

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises EventTooLargeError."""
        if self._between and (whole := _one_line_events(chunk)) is not None:
            self._started = True
            return whole
        events = self._feed_lines(chunk)
        self._between = not (self._pending or self._data or self._name or self._skip_newline)
        return events

    def close(self) -> list[Event]:
        """The last event, where the stream ended before its blank line;
        half an event is dropped."""
        events: list[Event] = []
        if self._pending:
            self._read_line(b"".join(self._pending), events)
            self._pending = []
        data = b"\n".join(self._data)
        if data == _DONE or _is_json(data):
            events.append((self._name, data))
        self._reset()
        return events

    def _feed_lines(self, chunk: bytes) -> list[Event]:
        chunk = self._strip_start(chunk)
        if not chunk:
            return []
        events: list[Event] = []
        lines = chunk.splitlines(keepends=True)  # of bytes: at CR, LF and CRLF only
        tail = b"" if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        for line in lines:
            self._read_line(self._complete_line(line.rstrip(b"\r\n")), events)
        if tail:
            self._pending.append(tail)
            self._pending_size += len(tail)
            self._check_size(self._pending_size)
        self._skip_newline = chunk.endswith(b"\r")
        return events

    def _strip_start(self, chunk: bytes) -> bytes:
        """`chunk` without a byte order mark at the very start, and without the LF of a CRLF that
        was cut in two."""
        if self._skip_newline and chunk:
            self._skip_newline = False
            chunk = chunk.removeprefix(b"\n")
        if self._started:
            return chunk
        start = b"".join(self._pending) + chunk
        self._pending, self._pending_size = [], 0
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._pending = [start] if start else []
            return b""
        self._started = True
        return start.removeprefix(_BOM)

    def _complete_line(self, end: bytes) -> bytes:
        if not self._pending:
            return end
        line = b"".join([*self._pending, end])
        self._pending, self._pending_size = [], 0
        return line

    def _read_line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                events.append((self._name, b"\n".join(self._data)))
            self._reset()
        elif line == _DONE:
            events.append(("", _DONE))
            self._reset()
        elif line.startswith(_BARE) or (self._bare and not line.startswith(b"data:")):
            self._read_bare_line(line, events)
        else:
            self._read_field(line)

    def _read_bare_line(self, line: bytes, events: list[Event]) -> None:
        """A line of JSON without `data:`; it ends with its own line, or at its closing bracket in
        the first column."""
        first = not self._bare
        self._bare = True
        self._add_data(line)
        if (first and _is_json(line)) or (not first and self._data[0][:1] == _ENDS.get(line)):
            events.append((self._name, b"\n".join(self._data)))
            self._reset()

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add_data(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")

    def _add_data(self, value: bytes) -> None:
        self._data.append(value)
        self._data_size += len(value) + 1
        self._check_size(self._data_size)

    def _check_size(self, size: int) -> None:
        if size > self._max_event:
            raise EventTooLargeError(
                f"an event of the stream is longer than {self._max_event} bytes"
            )

    def _reset(self) -> None:
        self._name, self._data, self._data_size, self._bare = "", [], 0, False


def _one_line_events(chunk: bytes) -> list[Event] | None:
    """The usual case, fast: whole events, each one `data: …` line. None where `chunk` is anything
    else.

    `find`, because `in` first takes the bytes it looks for for a number, and fails, on every call.
    """
    if not chunk.endswith(b"\n\n") or chunk.find(b"\r") >= 0:
        return None
    if chunk.find(b"\n") == len(chunk) - 2 and chunk.startswith(b"data: "):
        return [("", chunk[6:-2])]
    events: list[Event] = []
    for event in chunk[:-2].split(b"\n\n"):
        if not event.startswith(b"data: ") or event.find(b"\n") >= 0:
            return None
        events.append(("", event[6:]))
    return events


def _is_json(data: bytes) -> bool:
    if not (data.startswith(_BARE) and data.rstrip().endswith((b"}", b"]"))):
        return False
    try:
        loads(data)
    except (ValueError, RecursionError):
        return False
    return True
