"""Tools of the stored suite."""

from __future__ import annotations

from typing import Annotated, Literal


def lookup(
    name: str, limit: int = 3, *, unit: Literal["c", "f"] | None = None, near: Annotated[list[float], "degrees"] = ()
) -> dict:
    """Look a customer up by name.

    Args:
        name: The customer's
            full name.
        limit (int): How many at most.
    """
    return {}
