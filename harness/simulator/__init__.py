"""The simulator: a local server of the providers' APIs, with real wire formats, a small
deterministic model, latency, faults and a ledger.

Start with `server/app.py`, which takes a request from its arrival to its ledger entry. `apis/` has
an adapter for each API, `model/` the simulated model and its skills. Every response carries the
header `x-simulated: evalharness`. The simulator does not import `harness.providers`: it is an
independent reading of the wire formats, so that a mistake in one shows in the other.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.simulator.server.config import Config
from harness.simulator.server.fault_rules import Fault
from harness.simulator.server.process import SimulatorProcess, start

__all__ = ["Config", "Fault", "SimulatorProcess", "serve", "start"]


def serve(
    config: Config,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve in this process until interrupted; `announce` gets the base URL. Raises `UsageError` if
    the address is taken."""
    from harness.simulator.server.serve import serve as run  # noqa: PLC0415  uvicorn is slow to import, and `start` needs none

    run(config, host, port, announce=announce)
