"""A process that loads while its parent is busy: what it says arrives, its errors are raised, and
it never stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

import pytest

from harness.app.background import (
    BackgroundProcess,
    ChildBug,
    ImportGate,
    available_cores,
    start_background_process,
)
from harness.errors import ExitCode, HarnessError, InfrastructureError

ROOT = Path(__file__).parent.parent


def worker(name: str) -> BackgroundProcess:
    return BackgroundProcess(f"tests.app.background_workers:{name}")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie that waits to be reaped."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return bool(state.strip()) and not state.startswith("Z")


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.05)


def test_what_the_worker_yields_arrives_and_what_it_prints_does_not() -> None:
    with worker("Echo") as child:
        assert list(child.perform(["a", {"b": 1.5}])) == ["a", {"b": 1.5}]


def test_a_child_that_is_paused_does_its_job_when_it_comes() -> None:
    with worker("Echo") as child:
        child.pause()
        assert list(child.perform([1])) == [1]


def test_nothing_is_imported_while_the_gate_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, name = ImportGate(), "tests.app.background_workers"
    monkeypatch.setattr(sys, "meta_path", [gate, *sys.meta_path])
    monkeypatch.delitem(sys.modules, name, raising=False)
    gate.open.clear()
    importing = threading.Thread(target=import_module, args=(name,))
    importing.start()
    importing.join(0.1)
    assert importing.is_alive()
    gate.open.set()
    importing.join()
    assert name in sys.modules


def test_what_a_user_can_do_something_about_is_raised_with_its_exit_code() -> None:
    with worker("FullDisk") as child:
        parts = child.perform(["the table"])
        assert next(parts) == "the table"
        with pytest.raises(HarnessError, match=r"report\.html: cannot be written") as raised:
            next(parts)
    assert raised.value.exit_code == ExitCode.INFRASTRUCTURE


def test_a_bug_is_raised_with_the_childs_traceback() -> None:
    with worker("Buggy") as child:
        parts = child.perform(["the table"])
        assert next(parts) == "the table"
        with pytest.raises(
            ChildBug,
            match=r"(?s)Traceback.*app.background_workers\.py.*ZeroDivisionError: a bug of ours",
        ):
            next(parts)


def test_a_bug_in_loading_is_raised_too() -> None:
    with (
        worker("Unloadable") as child,
        pytest.raises(ChildBug, match="ImportError: no such library"),
    ):
        next(child.perform([]))


def test_who_ends_the_child_in_the_middle_is_named() -> None:
    with worker("Endless") as child:
        parts = child.perform(None)
        os.kill(next(parts), signal.SIGKILL)
        with pytest.raises(
            InfrastructureError,
            match=r"killed by signal SIGKILL.*`harness report` makes the report",
        ):
            next(parts)


def test_who_ends_the_child_before_its_job_is_named_too() -> None:
    with worker("Sleepy") as child:
        os.kill(child.pid, signal.SIGKILL)
        child.pause()
        with pytest.raises(InfrastructureError, match="killed by signal SIGKILL"):
            next(child.perform([]))


@pytest.mark.parametrize("order", [b"junk", b"cno_such\nname\n.", b"\x80\x05\x95\xff"])
def test_an_order_that_cannot_be_read_is_told_and_leaves_nobody_behind(order: bytes) -> None:
    with worker("Echo") as child:
        child._orders.write(order + b"\n" * 9)
        with pytest.raises((ChildBug, InfrastructureError)):
            next(child.perform([1]))
        child._orders.close()
        wait_until_gone(child.pid)


def test_a_message_that_cannot_be_read_is_a_sentence() -> None:
    with (
        worker("Garbling") as child,
        pytest.raises(InfrastructureError, match="sent a message that cannot be read"),
    ):
        next(child.perform([1]))
    assert not is_running(child.pid)


def test_closing_ends_the_child_whatever_it_is_doing() -> None:
    with worker("Endless") as child:
        next(child.perform(None))
    assert not is_running(child.pid)
    child.close()


@pytest.mark.parametrize("name", ["Sleepy", "Endless"])
def test_the_child_ends_when_its_parent_is_killed(name: str) -> None:
    program = (
        "import time; from harness.app.background import BackgroundProcess\n"
        f"child = BackgroundProcess('tests.app.background_workers:{name}')\n"
        f"{'next(child.perform(None))' if name == 'Endless' else ''}\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        wait_until_gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="macOS binds no process to a core")
def test_nothing_is_begun_where_there_is_no_core_to_spare() -> None:
    program = (
        "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])\n"
        "from harness.app.background import available_cores, start_background_process\n"
        "print(available_cores(), start_background_process('tests.app.background_workers:Echo'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "None"]


@pytest.mark.skipif(available_cores() < 2, reason="there is no core to spare")
def test_where_there_is_one_a_process_is_begun() -> None:
    with start_background_process("tests.app.background_workers:Echo") or pytest.fail(
        "none was begun"
    ) as child:
        assert list(child.perform([1])) == [1]
