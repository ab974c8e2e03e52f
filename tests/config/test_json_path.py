"""JSON paths: what they find, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.json_path import find_value, parse_path

DOCUMENT = {
    "a": {"b": [{"t": "x"}, {"t": "y"}, {"n": 3}], "c d": "e", "null": None, "f": False},
    "text": "t",
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DOCUMENT),
        ("$.text", "t"),
        ("text", "t"),
        ("$.a.b[0].t", "x"),
        ("$.a.b[-1].n", 3),
        ("$['a'][\"c d\"]", "e"),
        ("$.a.b[*].t", "xy"),
        ("$.a.b.*.n", [3]),
        ("$.a.f", False),
        ("$.a.null", None),
        ("$.a.b[7]", None),
        ("$.a.b.t", None),
        ("$.text[0]", None),
        ("$.a.b[*].none", None),
    ],
)
def test_what_a_path_finds(path: str, value: Any) -> None:
    assert find_value(DOCUMENT, path) == value


@pytest.mark.parametrize("path", ["$..a", "$.", "a..b", "[a]", "$[?(@.a)]", "$[1:2]", "a b"])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="is not a JSON path"):
        parse_path(path)


@given(st.text(alphabet="$.[]*'\"ab01- "), st.recursive(st.none() | st.text(), st.lists))
def test_any_text_is_a_path_or_refused(path: str, value: Any) -> None:
    try:
        parse_path(path)
    except ValueError:
        return
    find_value(value, path)
