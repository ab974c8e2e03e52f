"""A line comes back as the Record that was written, or is refused; never as something else."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.model import (
    Attempt,
    Cost,
    Error,
    Exchange,
    Grade,
    Image,
    Marks,
    Message,
    Record,
    Request,
    Response,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)
from harness.runs import records
from harness.runs.records import CorruptLineError, ExchangeLine, ToolLine

EXCHANGE = Exchange(
    position="t0",
    role="target",
    target="scout",
    request=Request(
        messages=(
            Message("system", "Be brief."),
            Message("user", (Text("What is this?"), Image("image/png", "iVBORw0KGgo="))),
        ),
        sampling={"temperature": 0.2, "stop": ["\n"]},
    ),
    response=Response(
        message=Message("assistant", "A cat.", tool_calls=(ToolCall("abcdef123", "look", "{}"),)),
        usage=Usage(input=18, output=3, neurons=0.67),
        finish_reason="stop",
        attempts=(
            Attempt(
                status=429,
                error=Error(
                    "provider", "rate_limited", "slow down", retryable=True, retry_after=1.5
                ),
            ),
            Attempt(
                Marks(
                    due=1,
                    started=2,
                    connected=3,
                    sent=4,
                    first_byte=5,
                    events=(6, 7),
                    reads=2,
                    done=8,
                ),
                200,
                waited=1.5,
            ),
        ),
        headers={"cf-ray": "1"},
    ),
    cost=Cost(reported=7.4e-6, priced=7.41e-6),
)
RECORD = Record(
    key="00ff" * 8,
    eval="shapes",
    case="cat",
    prompt="terse",
    target="scout",
    setting={"temperature": 0.2},
    repeat=0,
    session="s1",
    exchanges=(EXCHANGE,),
    grades=(
        Grade("contains", True, "has 'cat'"),
        Grade("judge", None, error=Error("grader", "raised", "boom")),
    ),
    score=None,
    cost=7.4e-6,
    tags=("animal",),
    expected={"animal": "cat", "legs": 4},
)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    "line",
    [
        RECORD,
        ExchangeLine("00ff" * 8, 0, "s1", EXCHANGE),
        ToolLine("00ff" * 8, "s1", "t1", ToolResult("abcdef123", '{"c":4}')),
    ],
    ids=["record", "exchange", "tool"],
)
def test_a_line_comes_back_as_it_was(line: records.Line) -> None:
    assert records.decode_line(records.encode_line(line)) == line


@given(
    text=ANY_TEXT,
    number=st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    depth=st.integers(0, 400),
)
def test_whatever_a_model_says_comes_back(text: str, number: float, depth: int) -> None:
    nested: object = text
    for _ in range(depth):
        nested = [nested]
    line = replace(RECORD, case=text, expected={"value": number, "nested": nested})
    raw = records.encode_line(line)
    assert raw.count(b"\n") == 1
    assert records.decode_line(raw) == line


@given(place=st.integers(0, len(records.encode_line(RECORD)) - 2), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(place: int, bit: int) -> None:
    raw = bytearray(records.encode_line(RECORD))
    raw[place] ^= 1 << bit
    with pytest.raises(CorruptLineError):
        records.decode_line(bytes(raw))


@pytest.mark.parametrize("length", [0, 1, 20, 200, len(records.encode_line(RECORD)) - 2])
def test_a_torn_line_is_noticed(length: int) -> None:
    with pytest.raises(CorruptLineError, match="checksum"):
        records.decode_line(records.encode_line(RECORD)[:length])


def test_a_line_of_a_later_kind_is_refused_by_name() -> None:
    with pytest.raises(CorruptLineError, match="surprise"):
        records.decode_line(
            summed(records.encode_line(RECORD).replace(b'"kind":"record"', b'"kind":"surprise"'))
        )


def test_a_field_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(CorruptLineError, match="repeat"):
        records.decode_line(
            summed(records.encode_line(RECORD).replace(b'"repeat":', b'"repeat":"","was":'))
        )


def summed(line: bytes) -> bytes:
    """The line with the checksum of what it holds now."""
    body = line.rpartition(b',"crc":')[0]
    return b'%b,"crc":"%08x"}' % (body, crc32(body))


def test_every_field_of_a_record_is_on_its_line() -> None:
    line = records.encode_line(RECORD).decode()
    assert [name for name in Record.__struct_fields__ if f'"{name}":' not in line] == []
