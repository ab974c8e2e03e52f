"""What every test shares: deterministic property tests, a simulator to talk to, and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from harness.simulator import Config, start
from tests.support import Command, Simulated

settings.register_profile("deterministic", deadline=None, derandomize=True)
settings.load_profile("deterministic")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full`: sweeps go through every instant they know, and not only through chosen ones."""
    parser.addoption("--full", action="store_true", help="kill and failure sweeps probe every instant (make test-full)")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether a sweep probes every instant it knows; by default it probes one of each kind."""
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="session")
def _simulator_process() -> Iterator[str]:
    with start(Config(ttft_s=0, inter_token_s=0, jitter=0)) as process:
        yield process.base_url


@pytest.fixture
def simulator(_simulator_process: str) -> Simulated:
    """A simulator that answers at once, with an empty ledger and no faults."""
    simulated = Simulated(_simulator_process)
    simulated.faults()
    simulated.forget()
    return simulated


@pytest.fixture
def cli(tmp_path: Path) -> Command:
    """The command line, in an empty folder."""
    return Command(tmp_path)
