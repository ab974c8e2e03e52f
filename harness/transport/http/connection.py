"""What `HttpClient` needs of a connection: one exchange at a time, its body pushed into a sink read
by read.

`Http1Client` is a Connection; `HttpxConnection` makes one of any httpx transport. The body is
pushed, not pulled: waking a task through all the layers above it would cost as much as everything
else that is done for one event of a stream.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from harness.transport.http.messages import Arrivals, OutgoingRequest

Sink: TypeAlias = Callable[[int, bytes], bool]
"""Takes one read: its arrival (`perf_counter_ns`) and its body bytes, still encoded. True: nothing
more is wanted."""


class IncomingResponse(Protocol):
    """An answer whose headers have come."""

    @property
    def status(self) -> int:
        """The HTTP status, never 1xx."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As they came."""

    async def read_into(self, sink: Sink) -> None:
        """Give each read to `sink` until the body ends or no more is wanted.

        Raises httpx.TransportError, after everything that came before it was given, and whatever
        `sink` raises.
        """


class Connection(Protocol):
    """One slot's way to its target."""

    async def exchange(
        self, request: OutgoingRequest, arrivals: Arrivals, *, connect: float, first: float | None
    ) -> IncomingResponse:
        """Send, and wait for the headers: `connect` seconds for a connection. Stamps `arrivals`.

        Whoever calls minds the time since `arrivals.sent`; `first` is what a transport that cannot
        stamp it gives the headers.

        Raises httpx.TransportError; then there is nothing to release.
        """

    async def release(self) -> None:
        """End the exchange, read to its end or not; another may follow."""

    async def aclose(self) -> None:
        """Close what is open."""
