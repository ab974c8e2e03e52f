"""A client in a process of its own, so that its memory is its own: `python -m tests.faults.glutton
stream|whole URL`.

Asks once, and prints a JSON array: the error's kind, and the most memory in MiB before and after.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from tests.faults.stack import asking, run, stack


def most_memory() -> float:
    """The most this process ever had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts what the parent had before `exec` into `ru_maxrss`
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


async def ask(url: str, stream: bool) -> str | None:
    """The kind of error of one attempt."""
    async with stack() as send:
        response = await send(asking(url, stream=stream, retries=0))
    return response.error and response.error.kind


def main() -> None:
    """Ask and print."""
    how, url = sys.argv[1:]
    before = most_memory()
    kind = run(ask(url, how == "stream"))
    print(json.dumps([kind, before, most_memory()]))


if __name__ == "__main__":
    main()
