"""The simulator as a child process: started for one run, and gone with its parent, even after
SIGKILL.

The parent holds the write end of the child's standard input. The configuration goes down that pipe
(a command line would expose the API key to all users of the machine), and its end makes the child
exit.
"""

from __future__ import annotations

import select
import subprocess
import sys
from types import TracebackType

from harness.errors import InfrastructureError
from harness.simulator.server.config import Config

READY_WITHIN_S = 30.0
GONE_WITHIN_S = 5.0


class SimulatorProcess:
    """A running child process; `base_url` is `http://127.0.0.1:<port>`. A context manager that
    closes it."""

    def __init__(self, child: subprocess.Popen[str], base_url: str) -> None:
        self._child = child
        self.base_url = base_url

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def close(self) -> None:
        """End the child and wait for it; may be called twice."""
        _stop_child(self._child)

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def start(config: Config | None = None) -> SimulatorProcess:
    """Start a simulator on a free loopback port and wait until it accepts connections.

    It runs in a session of its own, so that Ctrl-C leaves it answering while the parent drains.
    Raises `InfrastructureError` if it does not start.
    """
    command = [sys.executable, "-m", "harness.simulator", "--stdin"]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        return SimulatorProcess(child, _await_base_url(child, config or Config()))
    except BaseException:
        _stop_child(child)
        raise


def _await_base_url(child: subprocess.Popen[str], config: Config) -> str:
    """Send the configuration; the child's first line is its base URL."""
    assert child.stdin is not None and child.stdout is not None  # noqa: S101  both are pipes
    try:
        child.stdin.write(config.to_json() + "\n")
        child.stdin.flush()
    except BrokenPipeError as error:
        raise InfrastructureError(f"the simulator ended before it could start: {error}") from error
    ready, _, _ = select.select([child.stdout], [], [], READY_WITHIN_S)
    url = child.stdout.readline().strip() if ready else ""
    if not url:
        state = (
            "ended with exit code " + str(child.wait())
            if ready
            else f"wrote nothing within {READY_WITHIN_S:g} s"
        )
        raise InfrastructureError(
            f"the simulator did not start: it {state}; its own message is above"
        )
    return url


def _stop_child(child: subprocess.Popen[str]) -> None:
    if child.stdin is not None and not child.stdin.closed:
        try:
            child.stdin.close()
        except BrokenPipeError:
            # The child is gone already and left bytes of ours unread.
            child.kill()
    try:
        child.wait(GONE_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()
