"""A child process that imports its libraries while its parent is busy, and then does one job for
it.

The child creates a `BackgroundWorker`, which loads, then performs. When the parent begins to
measure something it pauses the child: no further module is imported until the job arrives. (A lower
priority could not be raised again without privileges, so a busy machine would starve the job; a
stopped process could not notice that its parent has died.) The parent may end a child at any time,
and a child ends by itself when its parent does.
"""

from __future__ import annotations

import gc
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, Protocol, Self

from harness.errors import ExitCode, HarnessError, InfrastructureError

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1].split(':'); from harness.app.background import"
    " run_worker; run_worker(*sys.argv[2:])"
)
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""The threads of numpy only compete with the run; and where memory is short, it waits for them for
ever."""
_DIES_WITHIN = 2.0
"""Seconds that a child whose pipe has closed gets to be gone."""
_CGROUPS = Path("/sys/fs/cgroup")

PAUSE, GO_ON = "pause", "go on"
PART, DONE, ERROR, BUG = "part", "done", "error", "bug"


class BackgroundWorker(Protocol):
    """What a child is for: it is made there, without arguments."""

    def load(self) -> Iterator[None]:
        """Import what the job needs. Each yield is a place to stop at once the job is there: what
        is left, the job imports."""

    def expect_job(self) -> None:
        """Called in another thread as soon as the job has arrived, before `perform`; something may
        still be loading."""

    def perform(self, job: Any) -> Iterator[Any]:
        """Do the job; what is yielded is pickled and sent to the parent."""


class ChildBug(Exception):
    """The job ended in something that is no HarnessError; the message is the child's traceback."""


class BackgroundProcess:
    """A child for `worker` (`module:class`); a context manager that ends it. Raises OSError where
    no process can be started."""

    def __init__(self, worker: str) -> None:
        # The modules are those of this process; a terminal's Ctrl-C is for the parent alone, hence
        # the session.
        command = [sys.executable, "-P", "-c", _PROGRAM, ":".join(sys.path), worker]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **_ONE_THREAD},
        )
        weakref.finalize(self, self._process.kill)  # an interrupt ends the parent immediately
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101  both are pipes
        self._orders, self._messages = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def pause(self) -> None:
        """Have the child load nothing more until it gets its job."""
        with suppress(BrokenPipeError):  # `perform` tells that it is gone
            self._send(PAUSE)

    def perform(self, job: Any) -> Iterator[Any]:
        """Hand over the job, and return what the worker yields, as it comes.

        Going through it raises the HarnessError that ended the job, or ChildBug for any other
        exception.
        """
        with suppress(BrokenPipeError):  # why it is gone may still be read
            self._send(GO_ON)
            self._send(job)
        return self._receive_parts()

    def _send(self, order: Any) -> None:
        pickle.dump(order, self._orders)
        self._orders.flush()

    def _receive_parts(self) -> Iterator[Any]:
        kind = PART
        while kind != DONE:
            kind, content = self._receive()
            if kind == PART:
                yield content

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, content = pickle.load(self._messages)  # noqa: S301 — from our own child, which has our own rights
        except Exception as unreadable:  # whatever half a message does to pickle
            raise self._death_error() from unreadable
        if kind == ERROR:
            error = HarnessError(content[0])
            error.exit_code = ExitCode(content[1])
            raise error
        if kind == BUG:
            raise ChildBug(f"in the process that made the report:\n{content}")
        return kind, content

    def _death_error(self) -> InfrastructureError:
        try:
            code = self._process.wait(_DIES_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            how = "sent a message that cannot be read"
        else:
            how = (
                f"ended with status {code}"
                if code >= 0
                else f"was killed by signal {signal.Signals(-code).name}"
            )
        return InfrastructureError(
            f"the process that made the report {how}; every record is kept, and `harness"
            " report` makes the report"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, whatever it is doing, and wait until it is gone; closing twice is closing
        once."""
        self._process.kill()
        self._process.wait()
        self._messages.close()
        with suppress(BrokenPipeError):  # part of a job that it never read
            self._orders.close()


def start_background_process(worker: str) -> BackgroundProcess | None:
    """A child for `worker`, or None where it would not help: no core is to spare, or no process can
    be had."""
    if available_cores() < 2:
        return None
    try:
        return BackgroundProcess(worker)
    except OSError:  # a limit on processes or memory: the parent does without, and needs more time
        return None


def available_cores() -> float:
    """How many cores this process may keep busy, by its affinity and the quota of its
    control groups.

    A quota counts what children use too: above it the kernel would stop their parent.
    """
    affinity = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min([affinity, *_cgroup_quotas()])


def _cgroup_quotas() -> Iterator[float]:
    """The quotas of this process's control group and of those above it, in cores; nothing where
    there are none."""
    try:
        groups = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return
    own = [Path(line.removeprefix("0::")) for line in groups if line.startswith("0::")]
    for group in (each for path in own for each in (path, *path.parents)):
        try:
            quota, period = (
                (_CGROUPS / group.relative_to("/") / "cpu.max").read_text("ascii").split()
            )
        except (OSError, ValueError):
            continue
        if quota != "max":
            yield int(quota) / int(period)


# ── The child ─────────────────────────────────────────────────────────────────────────────────────


class ImportGate:
    """Lets modules be imported while it is open: an entry of `sys.meta_path` that finds nothing,
    and waits while closed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Asked for each module before anyone else."""
        self.open.wait()


def run_worker(name: str) -> NoReturn:
    """The child's whole life: load, take a job, do it, say that it is done, and wait for
    the end."""
    gc.set_threshold(200_000, 20, 20)  # as in `harness.__main__`: imports create no garbage
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a parent that is gone need not be told anything
    orders, messages = _claim_pipes()
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gate = ImportGate()
    sys.meta_path.insert(0, gate)
    try:
        module, _, attribute = name.partition(":")
        worker: BackgroundWorker = getattr(import_module(module), attribute)()
        threading.Thread(
            target=_follow_orders, args=(orders, gate, jobs, worker), daemon=True
        ).start()
        for _ in worker.load():
            gate.open.wait()
            if not jobs.empty():
                break
        job = jobs.get()
        if isinstance(job, Exception):
            raise job
        for part in worker.perform(job):
            _send_message(messages, PART, part)
    except HarnessError as error:
        _send_message(messages, ERROR, (str(error), int(error.exit_code)))
    except Exception:  # noqa: BLE001 — told to the parent, which raises it
        _send_message(messages, BUG, traceback.format_exc())
    else:
        _send_message(messages, DONE, None)
    threading.Event().wait()
    raise SystemExit


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our own ends of stdin and stdout; what a library prints goes to stderr, and it finds nothing
    to read."""
    orders, messages = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, messages


def _follow_orders(
    orders: BinaryIO, gate: ImportGate, jobs: queue.SimpleQueue[Any], worker: BackgroundWorker
) -> None:
    """Do what the parent says, and pass on what goes wrong with it; where the parent is gone, end
    this process at once, whatever its other threads do."""
    try:
        while True:
            order = pickle.load(orders)  # noqa: S301 — from our own parent, which has our own rights
            if order == PAUSE:
                gate.open.clear()
            elif order == GO_ON:
                gate.open.set()
            else:
                worker.expect_job()
                jobs.put(order)
    except EOFError:
        os._exit(0)
    except Exception as wrong:  # noqa: BLE001 — half an order may raise anything
        gate.open.set()
        jobs.put(wrong)
    while orders.read(65536):
        pass
    os._exit(0)


def _send_message(messages: BinaryIO, kind: str, content: Any) -> None:
    pickle.dump((kind, content), messages)
    messages.flush()
