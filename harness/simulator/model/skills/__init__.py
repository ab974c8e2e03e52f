"""What the simulated model can do; each skill proposes scored candidates and the sampler draws.

A skill is a function of the prompt that returns None when the prompt is not its business, else a generator: it yields
candidates, is sent the one that was drawn, and returns the whole text. It draws nothing itself.
"""

from __future__ import annotations

from harness.simulator.model.skills.generation import generate_calls, generate_text, generate_thoughts

__all__ = ["generate_calls", "generate_text", "generate_thoughts"]
