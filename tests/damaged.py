"""JSON as nobody meant it: a value with one or more of its places taken by something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**400, "", "x", "\ud800", "toolong" * 99,
    [], {}, [None], [5], [{}], [[]], {"a": 1}, {"type": "text"}, [{"type": "thinking", "thinking": 5}], "infinite",
)  # fmt: skip

Place = tuple[str | int, ...]


@st.composite
def damaged(draw: st.DrawFn, value: Any, most: int = 3) -> bytes:
    """`value` as JSON, in which up to `most` places hold something strange; some of it is no JSON a
    float can hold."""
    copy = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, most))):
        places = [place for place in _places(copy) if place]
        if places:
            _put(copy, draw(st.sampled_from(places)), draw(st.sampled_from(STRANGE)))
    return json.dumps(copy).replace('"infinite"', "-1e999").encode()


def _places(value: Any, before: Place = ()) -> Iterator[Place]:
    yield before
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield from _places(item, (*before, key))


def _put(value: Any, place: Place, strange: Any) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = json.loads(json.dumps(strange))
