"""JSON from servers: whatever it is, it is read or refused in words."""

from __future__ import annotations

import contextlib
import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.providers.json_text import (
    UnreadableJSONError,
    compact_json,
    dumps,
    join_surrogates,
    loads,
    snippet,
)


@pytest.mark.parametrize(
    ("data", "value", "damaged"),
    [
        (b'{"a": 1}', {"a": 1}, False),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, False),
        (b'"\\ud800"', "\ud800", False),
        (b'"a\\u0000b"', "a\0b", False),
        (b'"caf\xff"', "caf\ufffd", True),
        (b'{"a": 1, "a": 2}', {"a": 2}, False),
    ],
)
def test_what_is_read(data: bytes, value: Any, damaged: bool) -> None:
    assert loads(data) == (value, damaged)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[" * 100_000, "too deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too deep"),
        (b"9" * 5_000, "5,000 digits"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1e999}', "a number that is too large"),
        (b"<html><body>Sign in</body></html>", "not JSON"),
        (b"", "not JSON"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableJSONError, match=words) as caught:
        loads(data)
    assert len(str(caught.value)) < 400


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(UnreadableJSONError):
        loads(data)


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(), st.lists)
)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert loads(dumps(value)) == (value, False)


def test_any_mapping_is_an_object() -> None:
    assert dumps(MappingProxyType({"a": MappingProxyType({})})) == b'{"a":{}}'


def test_text_with_a_lone_surrogate_is_written_in_ascii() -> None:
    assert dumps({"text": "\ud83d"}) == b'{"text":"\\ud83d"}'


def test_what_nests_too_deep_is_not_written() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UnreadableJSONError, match="too deep"):
        compact_json(deep)


def test_halves_of_a_pair_are_joined_and_a_lone_half_stays() -> None:
    assert join_surrogates("\ud83d\ude00 \ud83d") == "😀 \ud83d"


def test_a_snippet_is_one_short_line_without_control_characters() -> None:
    assert snippet(b"<p>\r\n\x1b[2Jno</p>") == "<p> \\x1b[2Jno</p>"
    assert len(snippet("x" * 10_000)) == 200
    assert json.dumps(snippet("é\u202e")) == json.dumps("é\\u202e")
