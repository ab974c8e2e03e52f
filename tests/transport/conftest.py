"""What the transport's tests share: both transports under one name, both event loops, and a
simulated clock."""

from __future__ import annotations

import pytest

from tests.transport.calling import KINDS, Kind


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """A transport on an event loop: everything must hold on each."""
    value: Kind = request.param
    return value
