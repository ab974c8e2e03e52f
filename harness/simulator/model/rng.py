"""Reproducible randomness: every draw is a BLAKE2b hash of its purpose, the same in every process.

Python's `hash` is salted per process, and `random.Random` costs more to seed than the few draws
made here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count

UNIT = 2.0**-64


def stable_digest(*parts: object) -> bytes:
    """Sixteen bytes that stand for `parts`, whose `repr` must be stable."""
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def hashed_uniform(*parts: object) -> float:
    """A number in [0, 1) that is a function of `parts`."""
    return int.from_bytes(stable_digest(*parts)[:8], "big") * UNIT


def hashed_logistic(*parts: object) -> float:
    """A draw from the standard logistic distribution (the inverse CDF at `hashed_uniform`)."""
    u = min(max(hashed_uniform(*parts), 1e-9), 1 - 1e-9)
    return math.log(u / (1 - u))


def random_octets(*key: object) -> Iterator[int]:
    """An endless sequence of numbers from 0 to 255, a function of `key`; cheap, for padding."""
    for block in count():
        yield from blake2b(
            block.to_bytes(8, "big"), digest_size=64, key=stable_digest(*key)
        ).digest()


class RandomStream:
    """An endless sequence of uniform draws, a function of its key."""

    __slots__ = ("_drawn", "_key")

    def __init__(self, *key: object) -> None:
        self._key = stable_digest(*key)
        self._drawn = 0

    def uniform(self) -> float:
        """The next number in [0, 1)."""
        self._drawn += 1
        block = blake2b(self._drawn.to_bytes(8, "big"), digest_size=8, key=self._key).digest()
        return int.from_bytes(block, "big") * UNIT

    def normal(self) -> float:
        """The next draw from the standard normal distribution (Box–Muller, its cosine half)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())
