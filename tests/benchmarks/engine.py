"""What a request costs in this process, and how true its clock is: `python
tests/benchmarks/engine.py`.

Our whole job (cases from disk, prompts rendered, requests keyed, sent, decoded, graded, priced and
recorded) beside bare loops that ask the same questions and keep nothing, over httpx, over aiohttp
and by hand. Every measured job is a process of its own against a server of its own. Only ratios of
figures from one run can be compared: how to read them is in README.md.

`--full` adds the memory slope up to 200,000 trials, `--runs N` repeats what varies and takes
medians, `--tiny` is for the test that keeps this program working.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar

from rig.job import Job
from rig.layers import layers
from rig.measure import Done, Slope, done, slope
from rig.tables import table

NAMES = {
    "harness": "evalharness, whole job",
    "httpx": "httpx loop",
    "aiohttp": "aiohttp loop",
    "hand": "hand-written loop",
}
MODES = ((False, "not streamed"), (True, "streamed, 20 events"))

AT_EASE = 2_000
"""Requests a second, of which as many as asked for are in flight."""

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True)
class Sizes:
    """How much of everything. Pairs are the two sizes of a slope; `waves` is how often each
    lockstep stream is repeated."""

    cost: tuple[int, int] = (2_000, 20_000)
    httpx: tuple[int, int] = (200, 800)
    in_flight: tuple[int, ...] = (16, 64, 256, 1_000)
    in_flight_cost: tuple[int, int] = (2_000, 10_000)
    memory: tuple[int, int] = (50_000, 200_000)
    streams: tuple[int, ...] = (64, 256, 512)
    waves: int = 4
    layers: int = 800
    concurrency: int = 64
    cost_clients: tuple[str, ...] = tuple(NAMES)
    clock_clients: tuple[str, ...] = ("harness", "aiohttp", "hand")


TINY = Sizes(
    cost=(8, 24),
    in_flight=(),
    streams=(4,),
    waves=1,
    layers=4,
    concurrency=4,
    cost_clients=("harness", "hand"),
    clock_clients=("harness", "aiohttp", "httpx"),
)
"""Each client once."""


def main() -> None:
    """Measure and print, section by section."""
    given = _arguments()
    sizes, began = TINY if given.tiny else Sizes(), perf_counter()
    print(_costs(sizes, given.runs))
    print(_in_flight(sizes, given.runs))
    print(_clock(sizes, given.runs))
    print(_layers(sizes))
    if given.full:
        print(_memory(sizes))
    print(f"\n{perf_counter() - began:.0f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="The engine's speed, beside bare loops over other clients."
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="add the long part: memory between 50,000 and 200,000 trials",
    )
    parser.add_argument(
        "--runs", type=int, default=1, help="repeat what varies so many times and take medians"
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="a handful of requests each, to see that all of it works",
    )
    return parser.parse_args()


# ── What a request costs ──────────────────────────────────────────────────────────────────────────


def _costs(sizes: Sizes, runs: int) -> str:
    parts = []
    for stream, title in MODES[-1:] if sizes is TINY else MODES:
        found = _medians(
            {client: partial(_cost, client, sizes, stream) for client in sizes.cost_clients},
            runs,
            lambda each: each.us,
        )
        ours = found["harness"]
        heads = [title, "CPU µs a request", "ours is", "requests/s", "peak MB"]
        parts.append(
            table(heads, [_cost_row(client, each, ours) for client, each in found.items()])
        )
        parts.append(_server_line(ours, found["hand"]))
    return "\n\n".join([f"## What a request costs, {sizes.concurrency} in flight", *parts])


def _cost(client: str, sizes: Sizes, stream: bool) -> Slope:
    return slope(
        Job(client, 0, sizes.concurrency, stream),
        *(sizes.httpx if client == "httpx" else sizes.cost),
    )


def _cost_row(client: str, each: Slope, ours: Slope) -> list[str]:
    ratio = "" if each is ours else f"{ours.us / each.us:.2f} ×"
    return [
        NAMES[client],
        f"{each.us:,.0f}",
        ratio,
        f"{each.large.rate:,.0f}",
        f"{each.large.cost.peak / 1e6:.0f}",
    ]


def _server_line(ours: Slope, hand: Slope) -> str:
    """What the server costs, and what it could do: a client that gives it no rest finds out."""
    server, busy = ours.large.server_us, hand.large.server_us
    ceiling = f"its ceiling is {1e6 / busy:,.0f} requests/s, {ours.us / busy:.1f} times what a core of ours could ask"
    return f"The server took {server:.0f} µs a request of ours, and {busy:.0f} of the hand-written loop's: {ceiling}."


def _in_flight(sizes: Sizes, runs: int) -> str:
    # The answers come so late that as many requests are really under way: at less than a busy
    # client's rate.
    jobs = {
        count: partial(
            slope, Job("harness", 0, count), *sizes.in_flight_cost, delay=count / AT_EASE
        )
        for count in sizes.in_flight
    }
    found = _medians(jobs, runs, lambda each: each.us)
    heads = [
        "in flight, not streamed",
        "CPU µs a request",
        "requests/s",
        "most in flight",
        "peak MB",
    ]
    rows = [
        [
            f"{count:,}",
            f"{each.us:,.0f}",
            f"{each.large.rate:,.0f}",
            f"{each.large.server['most_open']:,}",
            f"{each.large.cost.peak / 1e6:.0f}",
        ]
        for count, each in found.items()
    ]
    return f"\n## More in flight\n\n{table(heads, rows)}"


def _memory(sizes: Sizes) -> str:
    found = slope(Job("harness", 0, sizes.concurrency), *sizes.memory)
    small, large = (
        f"{each.job.count:,} trials {each.cost.peak / 1e6:.1f} MB"
        for each in (found.small, found.large)
    )
    return f"\n## Memory\n\n{small}, {large}: {found.bytes:.1f} bytes a trial."


# ── How true the clock is ─────────────────────────────────────────────────────────────────────────


def _clock(sizes: Sizes, runs: int) -> str:
    jobs = {
        (streams, client): partial(
            done, Job(client, streams * sizes.waves, streams, stream=True), lockstep=True
        )
        for streams in sizes.streams
        for client in sizes.clock_clients
    }
    heads = ["lockstep streams", "p50 ms late", "p99 ms late", "most in flight"]
    rows = [
        [
            f"{streams:,}, {NAMES[client]}",
            f"{_late(each, 0.5):.2f}",
            f"{_late(each, 0.99):.2f}",
            f"{each.server['most_open']:,}",
        ]
        for (streams, client), each in _medians(jobs, runs, lambda each: _late(each, 0.99)).items()
    ]
    return f"\n## How true the clock is\n\nFirst token as recorded, after the server wrote it.\n\n{table(heads, rows)}"


def _late(found: Done, share: float) -> float:
    """Milliseconds from the moment the server wrote a first token to the one recorded for it, which
    `share` do not exceed."""
    late = sorted((seen - found.sent[asked]) / 1e6 for asked, seen in found.cost.seen.items())
    return late[min(len(late) - 1, int(share * len(late)))]


# ── Where it goes ─────────────────────────────────────────────────────────────────────────────────


def _layers(sizes: Sizes) -> str:
    whole, streamed = (layers(sizes.layers, stream=stream) for stream in (False, True))
    rows = [[name, f"{whole[name]:.1f}", f"{streamed[name]:.1f}"] for name in whole]
    rows.append(
        ["all but the transport", f"{sum(whole.values()):.1f}", f"{sum(streamed.values()):.1f}"]
    )
    return f"\n## Where it goes\n\n{table(['CPU µs a request', 'not streamed', 'streamed'], rows)}"


def _medians(
    measures: Mapping[K, Callable[[], T]], runs: int, figure: Callable[[T], float]
) -> dict[K, T]:
    """Of each, the measurement in the middle of `runs`. They take turns, so that a busy moment
    disturbs all alike."""
    found: dict[K, list[T]] = {name: [] for name in measures}
    for _ in range(runs):
        for name, measure in measures.items():
            found[name].append(measure())
    return {name: sorted(several, key=figure)[runs // 2] for name, several in found.items()}


if __name__ == "__main__":
    main()
