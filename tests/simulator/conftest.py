"""A simulator without latency in its own process, and a client that ignores proxies."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from harness.simulator import Config, SimulatorProcess, start

QUICK = Config(ttft_s=0, inter_token_s=0)


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    with start(QUICK) as running:
        yield running


@pytest.fixture
def client(simulator: SimulatorProcess) -> Iterator[httpx.Client]:
    """Talks to the shared simulator, which it leaves as freshly started."""
    with httpx.Client(base_url=simulator.base_url, trust_env=False, timeout=20) as client:
        client.delete("/ledger")
        client.put("/faults", json=[])
        yield client
        client.put("/faults", json=[])
