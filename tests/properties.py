"""How often a property is tried."""

from __future__ import annotations

from hypothesis import settings


def scale_examples(count: int) -> int:
    """`count` examples with `--full`, and a quarter of them without, as for properties that ask for
    no number of their own."""
    return max(1, count * settings.default.max_examples // 100)
