"""One measured job, in a process of its own: `python -m rig.job JSON` prints what it cost as JSON.

The cost is this process's CPU time and peak memory from its very start; whoever compares two sizes
of the same job is rid of the start-up. Our own job is `harness.app.run.run_requests`, measured
until its last record is written: the report is another matter.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import uvloop
from mock_server import raise_file_limit

if TYPE_CHECKING:
    from harness.engine.progress import Progress


@dataclass(frozen=True)
class Job:
    """What to do: `client` is `harness`, `httpx`, `aiohttp` or `hand`."""

    client: str
    count: int
    concurrency: int = 64
    stream: bool = False
    url: str = ""


@dataclass(frozen=True)
class Cost:
    """What it cost: CPU and wall seconds, peak memory in bytes; `seen` is when first contents were
    seen, by digits."""

    cpu: float
    wall: float
    peak: int
    seen: dict[str, int] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)


def main() -> None:
    """Do the job in the first argument."""
    raise_file_limit()
    job = Job(**json.loads(sys.argv[1]))
    if job.client == "harness":
        _ours(job)
    else:
        _say(_bare(job))


def _say(cost: Cost) -> None:
    print(json.dumps(asdict(cost)), flush=True)


def _bare(job: Job) -> Cost:
    from rig import bare  # not measured where it is not used

    began = perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seen = runner.run(
            bare.run(job.client, job.url, job.count, job.concurrency, stream=job.stream)
        )
    return Cost(_cpu(), perf_counter() - began, _peak(), seen)


def _ours(job: Job) -> None:
    from harness.app import run
    from rig.questions import write_suite

    with tempfile.TemporaryDirectory() as folder:
        suite = write_suite(Path(folder), job.url, job.count, job.concurrency, stream=job.stream)
        gc.collect()
        run.run_requests(suite, out=Path(folder) / "run", display=_Meter(job, Path(folder) / "run"))


class _Meter:
    """A display that reads the meters at the last record, says what it cost, and ends the process
    there."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._job, self._folder = job, folder
        self._left = job.count

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def begin(self, progress: Progress, budget: float | None) -> None:
        self._progress = progress
        self._began, self._loaded = perf_counter(), _cpu()

    def tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            cost = Cost(_cpu(), perf_counter() - self._began, _peak(), parts={"load": self._loaded})
            passed = self._progress.total.passed
            assert passed == self._job.count, (
                f"{passed:,} of {self._job.count:,} answers were right"
            )
            _say(
                Cost(
                    cost.cpu,
                    cost.wall,
                    cost.peak,
                    _seen(self._folder) if self._job.stream else {},
                    cost.parts,
                )
            )
            os._exit(0)


def _seen(folder: Path) -> dict[str, int]:
    """When the first token of each question came, as recorded."""
    import orjson

    with (folder / "records.jsonl").open("rb") as lines:
        return dict(_first_token(orjson.loads(line)) for line in lines)


def _first_token(record: dict[str, Any]) -> tuple[str, int]:
    return record["case"], record["exchanges"][0]["response"]["attempts"][-1]["marks"][
        "first_token"
    ]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> int:
    """Peak resident memory in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
