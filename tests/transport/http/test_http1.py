"""The HTTP/1.1 client: one connection a slot, addresses, backpressure, and httpx's TLS
verification."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from harness.model import Response, Target
from harness.transport.http.client import HttpClient
from harness.transport.http.connection import Connection
from harness.transport.http.http1 import HIGH_WATER, Http1Client, open_connection
from harness.transport.http.httpx_adapter import HttpxConnection
from harness.transport.http.messages import Arrivals, OutgoingRequest, RequestTemplate
from harness.transport.middleware.limit import Slot
from tests.transport.calling import Kind, call
from tests.transport.certificates import certificate
from tests.transport.servers import COMPLETION, Peer, Received, chunk, head, serving, whole


async def echo(request: Received, peer: Peer) -> None:
    await peer.send(
        whole(request.body or b"nothing", "200 OK", "text/plain", "X-Line: " + request.line)
    )


def request(url: str, body: bytes = b"") -> OutgoingRequest:
    return OutgoingRequest(RequestTemplate("POST", httpx.URL(url), ()), "id", body)


async def exchange(client: Http1Client, url: str, body: bytes = b"") -> bytes:
    """The body of one answer."""
    parts: list[bytes] = []
    answer = await client.exchange(request(url, body), Arrivals(), connect=5, first=None)
    await answer.read_into(lambda arrival, data: parts.append(data) is not None)
    await client.release()
    return b"".join(parts)


def test_one_connection_carries_one_exchange_after_the_other(kind: Kind) -> None:
    async def requests() -> tuple[list[bytes], int]:
        client = Http1Client()
        async with serving(echo) as server:
            answers = [await exchange(client, server.url, body) for body in (b"one", b"", b"three")]
            await client.aclose()
            return answers, server.connections

    assert kind.run(requests()) == ([b"one", b"nothing", b"three"], 1)


def test_a_name_with_several_addresses_finds_the_one_that_answers(kind: Kind) -> None:
    """`localhost` may be ::1 first, where nobody listens."""

    async def requests() -> bytes:
        client = Http1Client()
        async with serving(echo) as server:
            answer = await exchange(client, server.url.replace("127.0.0.1", "localhost"), b"found")
            await client.aclose()
            return answer

    assert kind.run(requests()) == b"found"


def test_two_exchanges_at_once_are_a_bug() -> None:
    async def requests() -> None:
        client = Http1Client()
        async with serving(echo) as server:
            await client.exchange(request(server.url), Arrivals(), connect=5, first=None)
            with pytest.raises(RuntimeError, match="one exchange at a time"):
                await client.exchange(request(server.url), Arrivals(), connect=5, first=None)
            await client.aclose()

    asyncio.run(requests())


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        asyncio.run(exchange(Http1Client(), "ftp://127.0.0.1/"))


def test_a_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(httpx.LocalProtocolError):
        RequestTemplate("POST", httpx.URL("http://127.0.0.1/"), [("X-Note", "a\r\nX-Other: b")])


def test_a_server_faster_than_its_reader_is_held_back(kind: Kind) -> None:
    """100 MiB offered to a reader that takes nothing: the server gets stuck on full buffers, and
    memory stays small."""
    offered = 100

    async def flooded() -> tuple[int, int]:
        sent = 0

        async def flood(request: Received, peer: Peer) -> None:
            nonlocal sent
            await peer.send(head("200 OK", "text/plain", "Transfer-Encoding: chunked"))
            for _ in range(offered):
                await peer.send(chunk(b"x" * HIGH_WATER))
                sent += 1

        size = 0

        def take(arrival: int, data: bytes) -> bool:
            nonlocal size
            size += len(data)
            return size == offered * HIGH_WATER

        client = Http1Client()
        async with serving(flood) as server:
            answer = await client.exchange(request(server.url), Arrivals(), connect=5, first=None)
            before = -1
            while sent > before:  # until it makes no progress
                before = sent
                await asyncio.sleep(0.1)
            stuck_at = sent
            await answer.read_into(take)
            await client.release()
            return stuck_at, size

    stuck_at, size = kind.run(flooded())
    assert stuck_at < offered / 2
    assert size == offered * HIGH_WATER


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────


def over_tls(kind: Kind, server_context: ssl.SSLContext, trusted: Path | None) -> Response:
    """One attempt; `trusted` is added to what the client believes."""
    context = ssl.create_default_context(cafile=trusted)

    def open_slot_connection(target: Target) -> Connection:
        if kind.name == "httpx":
            return HttpxConnection(lambda: httpx.AsyncHTTPTransport(verify=context))
        return Http1Client(context)

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(whole(COMPLETION))

    async def attempt() -> Response:
        async with (
            serving(answer, server_context) as server,
            HttpClient({}, open_slot_connection) as http,
        ):
            return await http(call(server.url, stream=False), Slot())

    return kind.run(attempt())


def test_a_trusted_certificate(kind: Kind, tmp_path: Path) -> None:
    context = certificate(tmp_path, "good")
    assert over_tls(kind, context, tmp_path / "good.pem").text == "Hello"


def test_certificates_that_are_not_to_be_trusted(kind: Kind, tmp_path: Path) -> None:
    """N10: the reason is in the message, and nobody tries again."""
    self_signed = certificate(tmp_path, "self")
    other_host = certificate(tmp_path, "other", host="DNS:elsewhere.example")
    expired = certificate(tmp_path, "expired", expired=True)
    for context, trusted, reason in (
        (expired, tmp_path / "expired.pem", "certificate has expired"),
        (self_signed, None, "self-signed certificate"),
        (
            other_host,
            tmp_path / "other.pem",
            "IP address mismatch, certificate is not valid for '127.0.0.1'",
        ),
    ):
        error = over_tls(kind, context, trusted).error
        assert error is not None
        assert (error.kind, error.retryable) == ("tls", False)
        assert reason in error.message


def test_a_connection_that_was_told_to_stop_reading_carries_no_further_exchange(kind: Kind) -> None:
    """A long refusal may be here to its end before anybody reads it, and nobody reads all of it."""

    async def silent(request: Received, peer: Peer) -> None:
        await peer.hang()

    async def exchange() -> tuple[bool, bool]:
        size = HIGH_WATER + 1
        async with serving(silent) as server:
            connection = await open_connection(httpx.URL(server.url), None, 5)
            sending = asyncio.ensure_future(
                connection.send_request(b"GET / HTTP/1.1\r\n\r\n", Arrivals())
            )
            await asyncio.sleep(0)
            connection.data_received(
                head("500 Oops", "text/html", f"Content-Length: {size}") + b"x" * size
            )
            await sending
            await connection.read_into(lambda arrival, data: True)
            usable = connection.is_usable
            connection.abort()
            return connection.complete, usable

    assert kind.run(exchange()) == (True, False)
