from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import pytest

from harness.errors import InfrastructureError
from harness.simulator import Config, start

PARENT = """
import os, sys, time
from harness.simulator import start
running = start()
if len(sys.argv) > 1 and os.fork() == 0:  # a sibling that inherits the pipe and lives on
    time.sleep(20)
    os._exit(0)
print(running.base_url, flush=True)
sys.stdin.read()
"""


def refused(url: str) -> bool:
    address = urlsplit(url)
    try:
        socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def wait_until_refused(url: str) -> None:
    deadline = time.monotonic() + 20
    while not refused(url):
        assert time.monotonic() < deadline, "the simulator outlived its parent"
        time.sleep(0.02)


def test_it_is_there_while_open_and_gone_when_closed() -> None:
    running = start(Config(ttft_s=0, inter_token_s=0))
    assert httpx.get(f"{running.base_url}/health", trust_env=False).json()["simulated"] is True
    running.close()
    running.close()
    assert refused(running.base_url)


@pytest.mark.parametrize("sibling", [[], ["fork"]])
def test_it_ends_with_a_parent_that_was_killed(sibling: list[str]) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *sibling],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    assert not refused(url)
    parent.kill()
    parent.wait()
    wait_until_refused(url)
    with parent:
        pass
    if sibling:
        os.killpg(parent.pid, signal.SIGKILL)


def test_an_interrupt_of_the_parents_terminal_does_not_reach_it() -> None:
    with start() as running:
        assert os.getpgid(running.pid) != os.getpgid(os.getpid())


def test_a_configuration_it_cannot_use_is_an_error_with_a_reason(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InfrastructureError, match="ended with exit code 2"):
        start(Config(ttft_s=-1))
    assert "ttft_s is a number from 0, not -1" in capfd.readouterr().err


def test_a_taken_port_is_a_usage_error() -> None:
    with start() as running:
        port = str(urlsplit(running.base_url).port)
        second = subprocess.run(
            [sys.executable, "-m", "harness.simulator", "--port", port],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: the simulator cannot listen on 127.0.0.1 port {port}")


def test_ctrl_c_ends_it_quietly() -> None:
    served = subprocess.Popen(
        [sys.executable, "-m", "harness.simulator"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert served.stdout is not None
    url = served.stdout.readline().strip()
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
    served.send_signal(signal.SIGINT)
    _, errors = served.communicate(timeout=20)
    assert (served.returncode, errors) == (0, "")
