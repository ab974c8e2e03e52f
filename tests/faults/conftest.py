"""What the fault tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def row(request: pytest.FixtureRequest) -> str:
    """The id of the row that a test proves (`rows.row`), empty where a table names it."""
    return str(getattr(request, "param", ""))
