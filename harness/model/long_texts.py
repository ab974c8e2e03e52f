"""Cuts the long texts in a value, so that what is kept for people to read stays small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TEXT_LIMIT = 4_000
"""Characters of one text that are kept."""
DEPTH_LIMIT = 40
"""Levels of lists and objects that are kept."""


def cut_long_texts(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values with each text in them cut at `TEXT_LIMIT` characters; the same object where all
    are short and plain."""
    for value in values.values():
        if isinstance(value, str):
            if len(value) > TEXT_LIMIT:
                break
        elif isinstance(value, dict | list | tuple):
            break
    else:
        return values
    return {name: _cut(value, DEPTH_LIMIT) for name, value in values.items()}


def _cut(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= TEXT_LIMIT else f"{value[:TEXT_LIMIT]}…"
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        return "…"
    if isinstance(value, dict):
        return {name: _cut(item, levels - 1) for name, item in value.items()}
    return [_cut(item, levels - 1) for item in value]
