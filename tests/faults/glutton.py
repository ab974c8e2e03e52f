"""A client of its own process: asks each address once, and prints how each ended and the most memory it took, in MiB.

`python -m tests.faults.glutton stream URL …` or `… whole URL …`; the addresses go in order, so a figure includes those before.
"""

from __future__ import annotations

import json
import resource
import sys

from tests.faults.stack import asking, run, stack


def most_memory() -> float:
    """The most this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


async def ask(url: str, stream: bool) -> str | None:
    """The kind of error of one attempt."""
    async with stack() as send:
        response = await send(asking(url, stream=stream, retries=0))
    return response.error and response.error.kind


def main() -> None:
    """A JSON array, one line: the memory before, then [kind, memory] for each address."""
    how, *urls = sys.argv[1:]
    before = most_memory()
    ended = [(run(ask(url, how == "stream")), most_memory()) for url in urls]
    print(json.dumps([before, *ended]))


if __name__ == "__main__":
    main()
