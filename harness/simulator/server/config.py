"""The simulator's configuration: seed, latency, faults, size of the ledger, API key.

Plain data that survives a JSON round trip, because it crosses a process boundary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from harness.errors import UsageError
from harness.simulator.server.fault_rules import Fault


@dataclass(frozen=True, slots=True)
class Config:
    """Times are in seconds; `jitter` is the sigma of the logarithm of each wait's factor (0 =
    none).

    `ledger` is how many requests are remembered (0 = none; the totals are always kept). With an
    `api_key`, a request without it gets 401; without one, any or none is accepted. A batch is
    polled `batch_polls` times without results, and its submission has at most `batch_bytes`.
    """

    seed: int = 0
    ttft_s: float = 0.06
    inter_token_s: float = 0.002
    jitter: float = 0.25
    faults: tuple[Fault, ...] = ()
    ledger: int = 20_000
    api_key: str | None = None
    batch_polls: int = 2
    batch_bytes: int = 10_000_000

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Raises `UsageError` for invalid JSON, an unknown key or a value out of range."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise UsageError(f"the simulator's configuration is no JSON: {error}") from error
        if not isinstance(data, dict):
            raise UsageError(f"the simulator's configuration is a JSON object, not {text!r}")
        names = [item.name for item in fields(cls)]
        unknown = sorted(set(data) - set(names))
        if unknown:
            raise UsageError(
                f"the simulator has no setting {unknown[0]!r}; its settings are {', '.join(names)}"
            )
        config = cls(**{**data, "faults": faults_from_data(data.get("faults", []))})
        config.check()
        return config

    def check(self) -> None:
        """Raise `UsageError` for a value out of range."""
        for name in ("ttft_s", "inter_token_s", "jitter", "ledger", "batch_polls", "batch_bytes"):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value < math.inf
            ):
                raise UsageError(f"the simulator's {name} is a number from 0, not {value!r}")
        for name in ("seed", "ledger", "batch_polls", "batch_bytes"):
            if not isinstance(getattr(self, name), int):
                raise UsageError(
                    f"the simulator's {name} is a whole number, not {getattr(self, name)!r}"
                )


def faults_from_data(data: Any) -> tuple[Fault, ...]:
    """Fault rules from plain data; raises `UsageError`."""
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise UsageError(f"faults are a list of rules, not {data!r}")
    return tuple(Fault.from_data(item) for item in data)
