"""What refused requests cost: `python tests/benchmarks/throttling.py`.

A whole run of 500 trials, 32 in flight, against a loopback server that answers after 60 ms and
refuses some requests at once: none; 3 % at random with a 429; the same with `retry-after: 1`; and a
storm, in which four of five are refused for the first five seconds. The first row is the reference.
How to read it is in README.md; `--tiny` is for the test that keeps this program working.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from anyio.from_thread import start_blocking_portal
from rig.questions import write_suite
from rig.tables import table

from harness.app.run import run_requests
from harness.runs.folder import read_records

IN_FLIGHT, DELAY, STORM = 32, 0.06, 5.0
RETRIES = 20
ANSWER = (
    b'{"choices":[{"index":0,"message":{"role":"assistant","content":"7"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":1}}'
)
REFUSAL = b'{"error":{"message":"slow down"}}'

Refuses = Callable[[float], bool]
"""Whether a request is refused that comes so many seconds after the first."""


@contextmanager
def serve(refuses: Refuses, *headers: str) -> Iterator[str]:
    """A server in a thread of its own; its base URL."""
    began: list[float] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                now = perf_counter()
                began.append(now)
                if refuses(now - began[0]):
                    writer.write(_answer("429 Too Many Requests", REFUSAL, *headers))
                else:
                    await asyncio.sleep(DELAY)
                    writer.write(_answer("200 OK", ANSWER))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    with start_blocking_portal() as portal:
        listener = portal.call(asyncio.start_server, converse, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        portal.call(listener.close)


def _answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/json", *headers)
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def measure(refuses: Refuses, *headers: str, count: int) -> tuple[float, int, int]:
    """Seconds from the first start to the last answer, attempts, and trials without an answer."""
    with serve(refuses, *headers) as url, TemporaryDirectory() as folder:
        suite = write_suite(Path(folder), url, count, IN_FLIGHT, stream=False)
        suite.write_text(suite.read_text().replace("run: {", f"run: {{retries: {RETRIES}, "))
        run_requests(suite, out=Path(folder) / "run")
        records = list(read_records(Path(folder) / "run"))
    attempts = [
        attempt
        for record in records
        for exchange in record.exchanges
        for attempt in exchange.response.attempts
    ]
    starts = [attempt.marks.started or 0 for attempt in attempts]
    ends = [attempt.marks.done or 0 for attempt in attempts]
    seconds = (max(ends) - min(starts)) / 1e9
    return seconds, len(attempts), sum(record.error is not None for record in records)


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tiny", action="store_true")
    given = options.parse_args()
    count, storm = (20, 0.1) if given.tiny else (500, STORM)
    draw = random.Random(1)

    def at_random(_: float) -> bool:
        return draw.random() < 0.03

    kinds: dict[str, tuple[Refuses, tuple[str, ...]]] = {
        "none": (lambda _: False, ()),
        "3 % at random": (at_random, ()),
        "3 %, retry-after: 1": (at_random, ("Retry-After: 1",)),
        f"80 % for {storm:g} s": (lambda now: now < storm and draw.random() < 0.8, ()),
    }
    rows, reference = [], 0.0
    for name, (refuses, headers) in kinds.items():
        seconds, attempts, errors = measure(refuses, *headers, count=count)
        reference = reference or seconds
        figures = (f"{seconds:.2f}", f"{seconds / reference:.2f} ×", f"{attempts:,}", f"{errors:,}")
        rows.append((name, *figures))
    print(table(("refused", "seconds", "of none", "attempts", "errors"), rows))


if __name__ == "__main__":
    main()
