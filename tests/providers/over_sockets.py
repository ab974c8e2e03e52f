"""One exchange with the simulator: encoded, sent over a socket, decoded."""

from __future__ import annotations

import asyncio
from typing import Any

from harness import registry
from harness.model import Call, Request, Response, Target
from harness.transport.http.client import HttpClient
from harness.transport.middleware.limit import Slot
from tests.support import Simulated


def exchange(target: Target, request: Request, secrets: dict[str, str] | None = None) -> Response:
    """What becomes of `request` at `target`."""
    wire = registry.load_plugin("providers", target.provider).encode(target, request)

    async def attempt() -> Response:
        async with HttpClient(secrets or {}) as http:
            return await http(Call(target, request, wire, key="k1"), Slot())

    return asyncio.run(attempt())


def sent(simulator: Simulated) -> Any:
    """The body of the last request the simulator received."""
    return simulator.bodies()[-1]
