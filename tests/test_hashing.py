"""Hashes and canonical forms are what version 0.1.0 wrote: literal values, since stored runs hold
them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.analysis.row_schema import column_json
from harness.hashing import (
    TextHashes,
    canonical_json,
    hash64,
    hash_bytes,
    hash_json,
    key_bytes,
)
from harness.model import Message
from harness.suite.cases.case_index import derive_case_id

VALUE = {"b": 1e-7, "a": [1, 2.5, None, True, "é", "😀"], "c": {"y": 1.0, "x": 0}}


def test_hashes() -> None:
    assert hash64(b"x") == 5395104992458594383
    assert hash_bytes(b"x") == "4adf4367f96e584f"
    assert hash_json(VALUE) == "273f2025b744491f"
    assert derive_case_id(VALUE) == "6743e0868ece"


@pytest.mark.parametrize(
    ("value", "canonical", "key", "column"),
    [
        (
            VALUE,
            '{"a":[1,2.5,null,true,"é","😀"],"b":1e-7,"c":{"x":0,"y":1.0}}',
            '{"a":[1,2.5,null,true,"é","😀"],"b":1e-7,"c":{"x":0,"y":1.0}}',
            '{"a":[1,2.5,null,true,"é","😀"],"b":1e-07,"c":{"x":0,"y":1.0}}',
        ),
        (
            {"a": 1e22, "b": -0.0},
            '{"a":1e+22,"b":-0.0}',
            '{"a":1e22,"b":-0.0}',
            '{"a":1e+22,"b":-0.0}',
        ),
        (
            {"n": 2**70},
            "{'n': 1180591620717411303424}",
            '{"n":1180591620717411303424}',
            '{"n":1180591620717411303424}',
        ),
        ({"q": "\ud800"}, "{'q': '\\ud800'}", "{'q': '\\ud800'}", '{"q":"\ud800"}'),
    ],
)
def test_each_form_of_a_value(value: Any, canonical: str, key: str, column: str) -> None:
    assert canonical_json(value) == canonical.encode()
    assert key_bytes(value) == key.encode()
    assert column_json(value) == column


def test_the_form_of_a_noun() -> None:
    assert (
        key_bytes((Message("user", "hi 😀"),))
        == (
            '[{"role":"user","content":"hi 😀","reasoning":null,"tool_calls":[],"tool_call_id":null,"name":null,'
            '"failed":false,"echo":null}]'
        ).encode()
    )
    assert key_bytes((Message("user", "\ud800"),)) == (
        b"(Message(role='user', content='\\ud800', reasoning=None, tool_calls=(), tool_call_id=None, name=None, "
        b"failed=False, echo=None),)"
    )


def test_texts_are_found_and_repeated_ones_named() -> None:
    texts = TextHashes()
    assert all(texts.add(f"case {number}") for number in range(100_000))
    assert not any(texts.add(f"case {number}") for number in range(0, 100_000, 997))
    assert "case 99999" in texts
    assert "case 100000" not in texts
