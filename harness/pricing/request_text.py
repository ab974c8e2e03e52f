"""JSON text of what a request carries beside its messages, for counting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, to_builtins


def json_text(value: Any) -> str:
    """`value` (plain data, mappings and structs) as JSON."""
    return json.dumps(value, default=_to_plain, ensure_ascii=False)


def _to_plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return to_builtins(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
