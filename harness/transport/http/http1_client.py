"""The HTTP/1.1 client of one slot: one keep-alive connection, one exchange at a time.

A connection pool shared by many tasks costs milliseconds a request (it is rescanned on each) and
can wedge after cancellations; a slot that owns its one connection has neither trouble.
`Http1Client.exchange` writes a request and waits for the headers, then the body is poured into a
sink (`Http1Connection.read_into`).

A server may close an idle connection at the very moment a request is sent on it. Whether it read
that request nobody knows, so it ends the attempt with an error of its own (`IdleClosedError`), and
`retry` sends the request again at once, on a fresh connection.
"""

from __future__ import annotations

import ssl

import httpx

from harness.transport.http.dialing import open_connection
from harness.transport.http.http1 import (
    Arrivals,
    Http1Connection,
    IdleClosedError,
    OutgoingRequest,
)
from harness.transport.http.loop_sharing import FairQueue


class Http1Client:
    """One slot's client, a `Connection`; `context` replaces httpx's default TLS verification.

    `turns` are those of all slots: in which order what has arrived is gone through.
    """

    def __init__(
        self, context: ssl.SSLContext | None = None, turns: FairQueue | None = None
    ) -> None:
        self._context = context
        self._turns = turns
        self._connection: Http1Connection | None = None
        self._busy = False

    async def exchange(
        self, request: OutgoingRequest, arrivals: Arrivals, *, connect: float, first: float | None
    ) -> Http1Connection:
        """Send, and wait for the headers. Raises httpx.TransportError.

        `arrivals.sent` is stamped at once, so that whoever minds the time has nothing to leave to
        `first`.
        """
        if self._busy:
            raise RuntimeError(
                "this client carries one exchange at a time: release it before the next request"
            )
        self._busy = True
        template, identifier, body = (
            request.template,
            request.identifier.encode("ascii"),
            request.body,
        )
        message = b"%b\r\nContent-Length: %d\r\nX-Client-Request-Id: %b\r\n\r\n%b" % (
            template.head,
            len(body),
            identifier,
            body,
        )
        try:
            kept = self._connection
            if kept is not None and kept.is_usable:
                try:
                    return await kept.send_request(message, arrivals)
                except (httpx.ReadError, httpx.RemoteProtocolError) as closed:
                    if arrivals.first_byte is not None:
                        raise
                    raise IdleClosedError(str(closed)) from closed
            await self.aclose()
            self._connection = await open_connection(
                template.url, self._context, connect, self._turns
            )
            return await self._connection.send_request(message, arrivals)
        except BaseException:
            self._busy = False
            await self.aclose()
            raise

    async def release(self) -> None:
        """The exchange is over: keep the connection where another may follow, else close it."""
        self._busy = False
        if self._connection is not None and not self._connection.is_usable:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
