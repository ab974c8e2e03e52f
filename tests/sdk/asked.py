"""What the vendors' own clients ask the simulator, and what its ledger says they were billed for
it."""

from __future__ import annotations

from typing import Any

from tests.support import Simulated

QUESTION: Any = [{"role": "user", "content": "What is 6 * 7? Answer with the number only."}]
OSLO = "What is the current weather in the city Oslo?"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City"}},
            "required": ["city"],
        },
    },
}


def billed(simulator: Simulated) -> tuple[int, int]:
    """The tokens of the last request's prompt and of its answer."""
    entry = simulator.requests()[-1]
    return entry["prompt_tokens"], entry["completion_tokens"]
