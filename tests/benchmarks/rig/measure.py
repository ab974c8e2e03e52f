"""Runs jobs against servers of their own, and makes figures of what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import mock_server

from rig.job import Cost, Job

HERE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Done:
    """A job that was done: its cost, and what its server counted."""

    job: Job
    cost: Cost
    server: dict[str, float]
    sent: dict[str, int]

    @property
    def server_us(self) -> float:
        """The server's CPU microseconds a request."""
        return self.server["cpu"] / self.job.count * 1e6

    @property
    def rate(self) -> float:
        """Requests a second, from the first to the last."""
        return self.job.count / self.cost.wall


@dataclass(frozen=True)
class Slope:
    """Two sizes of one job: what one request more costs, start-up apart."""

    small: Done
    large: Done

    @property
    def us(self) -> float:
        """CPU microseconds a request."""
        return self._each(self.large.cost.cpu - self.small.cost.cpu) * 1e6

    @property
    def bytes(self) -> float:
        """Bytes of peak memory a request."""
        return self._each(self.large.cost.peak - self.small.cost.peak)

    def _each(self, more: float) -> float:
        return more / (self.large.job.count - self.small.job.count)


def done(job: Job, *, lockstep: bool = False, delay: float = 0.0) -> Done:
    """Do one job in a process of its own against a server of its own. Raises RuntimeError where it
    fails."""
    with mock_server.start(lockstep=lockstep, delay=delay) as server:
        # A process's peak memory begins with that of whoever forked it: a small shell, and not this
        # program.
        command = [
            "sh",
            "-c",
            '"$0" "$@"; exit $?',
            sys.executable,
            "-m",
            "rig.job",
            json.dumps(asdict(replace(job, url=server.url))),
        ]
        ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"the job {job} failed:\n{ended.stderr}")
        stats = server.ask()
    return Done(job, Cost(**json.loads(ended.stdout)), stats, stats["sent"])


def slope(job: Job, small: int, large: int, *, delay: float = 0.0) -> Slope:
    """Do the job at two sizes."""
    return Slope(*(done(replace(job, count=count), delay=delay) for count in (small, large)))


def ceiling(count: int = 20_000) -> str:
    """How many requests a second the server could answer if it had a core
    to itself, as a sentence."""
    costs = [done(Job("hand", count, stream=stream)).server_us for stream in (False, True)]
    whole, streamed = (f"{cost:.0f} µs a request, so {1e6 / cost:,.0f}/s" for cost in costs)
    return f"The server's ceiling: {whole}; streamed: {streamed}."
