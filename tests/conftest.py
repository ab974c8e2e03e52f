"""What every test shares: deterministic property tests, a simulator to talk to, and the command
line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from harness.simulator import Config, start
from tests.support import Command, Simulated

settings.register_profile("full", deadline=None, derandomize=True)
settings.register_profile("plain", settings.get_profile("full"), max_examples=25)
settings.load_profile("plain")


CORE = {
    "analysis",
    "config",
    "flows",
    "graders",
    "metrics",
    "pricing",
    "providers",
    "suite",
    "test_plan.py",
}
"""Folders and files whose tests need nothing but memory and files: those of the code that does no
I/O."""

OUTSIDE = {"_simulator_process", "cli"}
"""Fixtures that lead to sockets and processes."""

_FORBIDDEN = {"socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.posix_spawn"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two options of our own."""
    parser.addoption(
        "--full",
        action="store_true",
        help="kill and failure sweeps probe every instant, properties four times as many examples"
        " (make test-full)",
    )
    parser.addoption(
        "--core", action="store_true", help="only tests without sockets and processes (make check)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `--core`, whatever reaches for a socket or a process fails; with `--full`, properties are
    tried on more examples."""
    config.addinivalue_line(
        "markers",
        "process: starts a process or opens a socket, in a file that otherwise needs none",
    )
    ordinary = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    for number, handler in ordinary.items():
        if signal.getsignal(number) == signal.SIG_IGN:  # in a shell's background, or under nohup:
            signal.signal(number, handler)  # what the tests start would inherit it
    if config.getoption("--full"):
        settings.load_profile("full")
    if config.getoption("--core"):
        sys.addaudithook(_refuse)


def _refuse(event: str, _: object) -> None:
    if event in _FORBIDDEN:
        raise RuntimeError(f"{event} in a test that counts as one of the core: mark it `process`")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `--core`, import nothing that is not of it."""
    here = Path(__file__).parent
    if not config.getoption("--core") or here not in collection_path.parents:
        return None
    name = collection_path.relative_to(here).parts[0]
    return name not in CORE or collection_path.name.endswith("_over_sockets.py") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--core`, leave out what is not of it in a file that otherwise is."""
    if config.getoption("--core"):
        outside = [
            item
            for item in items
            if OUTSIDE & {*getattr(item, "fixturenames", ())} or item.get_closest_marker("process")
        ]
        config.hook.pytest_deselected(items=outside)
        left = {*outside}
        items[:] = [item for item in items if item not in left]


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
