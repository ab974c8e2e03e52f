"""The event reader: the standard's rules, what real servers send instead, and the same result for
every split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.transport.http.sse import EventReader, EventTooLargeError


def read(*chunks: bytes) -> list[tuple[str, bytes]]:
    reader = EventReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.close()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        pytest.param(b'data: {"a":1}\n\n', [("", b'{"a":1}')], id="one event"),
        pytest.param(b"data: a\n\ndata: b\n\n", [("", b"a"), ("", b"b")], id="two events"),
        pytest.param(
            b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")], id="CR alone ends a line"
        ),
        pytest.param(
            b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")], id="CRLF ends a line once"
        ),
        pytest.param(b"data:a\n\n", [("", b"a")], id="no space after the colon"),
        pytest.param(b"data:  a\n\n", [("", b" a")], id="only one space is taken off"),
        pytest.param(b"data: a\ndata: b\n\n", [("", b"a\nb")], id="two data lines are joined"),
        pytest.param(b"data\n\n", [("", b"")], id="a field name alone has an empty value"),
        pytest.param(b"event: ping\ndata: {}\n\n", [("ping", b"{}")], id="a named event"),
        pytest.param(
            b"event: ping\n\ndata: a\n\n", [("", b"a")], id="a name without data is forgotten"
        ),
        pytest.param(b": ping\n\n: ping\n\ndata: a\n\n", [("", b"a")], id="comments are nothing"),
        pytest.param(
            b"id: 7\nretry: 10\ndata: a\n\n", [("", b"a")], id="id and retry are nothing to us"
        ),
        pytest.param(b"\xef\xbb\xbfdata: a\n\n", [("", b"a")], id="a byte order mark"),
        pytest.param(
            b"data: \xef\xbb\xbf\n\n", [("", b"\xef\xbb\xbf")], id="a byte order mark later is text"
        ),
        pytest.param(
            "data: a\u2028b\u2029c\u0085d\x0be\x0cf\n\n".encode(),
            [("", "a\u2028b\u2029c\u0085d\x0be\x0cf".encode())],
            id="U+2028 is text",
        ),
        pytest.param(b"data: a\x00b\n\n", [("", b"a\x00b")], id="NUL is text"),
        pytest.param(
            b"data: \xff\n\n", [("", b"\xff")], id="bytes that are not UTF-8 pass through"
        ),
        pytest.param(b"data: a\n\n[DONE]\n", [("", b"a"), ("", b"[DONE]")], id="a bare [DONE]"),
        pytest.param(
            b"data: a\n\ndata: [DONE]",
            [("", b"a"), ("", b"[DONE]")],
            id="[DONE] without its line end",
        ),
        pytest.param(
            b'{"error":{"code":1}}\n', [("", b'{"error":{"code":1}}')], id="an error without data:"
        ),
        pytest.param(
            b'{\n  "error": 1\n}\n', [("", b'{\n  "error": 1\n}')], id="the same, pretty-printed"
        ),
        pytest.param(
            b'[{"error":{"code":1}}]\n',
            [("", b'[{"error":{"code":1}}]')],
            id="the same in an array of one",
        ),
        pytest.param(
            b'[{\n  "error": {\n}\n}\n]\n',
            [("", b'[{\n  "error": {\n}\n}\n]')],
            id="an array, pretty-printed",
        ),
        pytest.param(
            b'data: {"a":1}\n', [("", b'{"a":1}')], id="a whole event without its blank line"
        ),
        pytest.param(b'data: {"a":{"b":1}', [], id="half an event"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_a_stream_means(stream: bytes, events: list[tuple[str, bytes]]) -> None:
    assert read(stream) == events
    assert read(*(bytes([byte]) for byte in stream)) == events


_PIECES = st.sampled_from(
    [
        *(
            b"data: ",
            b"data:",
            b"event: x",
            b": c",
            b"data: {}\n\n",
            b"[DONE]",
            b"{",
            b"}",
            b"[{",
            b"]",
            b'{"a":"\xe2\x80\xa8"}',
        ),
        *(b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xff", b" "),
    ]
)


@given(st.lists(_PIECES, max_size=30).map(b"".join), st.data())
def test_any_split_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [
        stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert read(*chunks) == read(stream) == read(*(bytes([byte]) for byte in stream))


@pytest.mark.parametrize("chunk", [b"x" * 1000, b"data: " + b"x" * 90 + b"\n"])
def test_a_line_or_an_event_without_end_is_refused(chunk: bytes) -> None:
    reader = EventReader(max_event=4096)
    with pytest.raises(EventTooLargeError, match="longer than 4096 bytes"):
        for _ in range(100):
            reader.feed(chunk)
