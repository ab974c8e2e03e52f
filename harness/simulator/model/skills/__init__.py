"""What the simulated model can do: each skill proposes scored candidates, and the sampler draws
from them.

A skill is a function of the prompt that returns None where it does not apply, else a generator: it
yields candidates, is sent the sampled one, and returns the whole text. It draws no random numbers
itself.
"""

from __future__ import annotations

from harness.simulator.model.skills.generation import (
    generate_calls,
    generate_text,
    generate_thoughts,
)

__all__ = ["generate_calls", "generate_text", "generate_thoughts"]
