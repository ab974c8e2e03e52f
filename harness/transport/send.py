"""The one interface to the outside: `Send`, and the clock of its middleware.

Layers of middleware wrap it, composed in `harness.transport.stack`:
`replay(retry(budget(limit(http))))`. Only cancellation and bugs raise; every other outcome is a
Response whose `error` says what broke.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import TypeAlias

from msgspec import Struct

from harness.model import Boundary, Call, Error, Response

Send: TypeAlias = Callable[[Call], Awaitable[Response]]


class Clock(Struct, frozen=True):
    """Time as a layer sees it: `now_ns` (monotonic, the clock of all marks)
    and `sleep` (seconds)."""

    now_ns: Callable[[], int] = perf_counter_ns
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


REAL_CLOCK = Clock()


def build_refusal(
    boundary: Boundary, kind: str, message: str, *, retryable: bool = False
) -> Response:
    """The Response to a call that was never sent."""
    return Response(error=Error(boundary, kind, message, retryable))
