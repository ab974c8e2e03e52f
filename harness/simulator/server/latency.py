"""When each token leaves: a time to first token, then gaps, both with log-normal jitter of mean one.

The offsets are a function of the reply's key, so a run can be repeated to the microsecond (of intent: the event loop
delivers a little later, and the ledger says when).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from harness.simulator.model.rng import RandomStream


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds to the first token and between tokens; `jitter` is the sigma of the log of a factor of mean one."""

    ttft_s: float
    inter_token_s: float
    jitter: float

    def token_offsets(self, steps: int, rng: RandomStream) -> tuple[float, ...]:
        """Seconds from the request's arrival at which decoding steps 0 … `steps` leave; step 0 leaves at once."""
        if self.ttft_s == 0 and self.inter_token_s == 0:
            return (0.0,) * (steps + 1)
        waits = [self.ttft_s] + [self.inter_token_s] * max(steps - 1, 0)
        return (0.0, *accumulate(wait * self._jitter_factor(rng) for wait in waits))

    def _jitter_factor(self, rng: RandomStream) -> float:
        if self.jitter == 0:
            return 1.0
        return math.exp(self.jitter * rng.normal() - self.jitter**2 / 2)
