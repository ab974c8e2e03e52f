"""The lean transport as what it claims to be: an httpx transport, with httpx's TLS verification."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from harness.model import Response, Target
from harness.transport.http.client import HttpClient
from harness.transport.http.connect import open_connection
from harness.transport.http.h1 import HIGH_WATER, Arrivals
from harness.transport.http.h1_transport import H1Transport
from harness.transport.middleware.slots import Slot
from tests.transport.calling import Kind, call
from tests.transport.certificates import certificate
from tests.transport.servers import COMPLETION, Peer, Received, chunk, head, serving, whole


async def echo(request: Received, peer: Peer) -> None:
    await peer.send(whole(request.body or b"nothing", "200 OK", "text/plain", "X-Line: " + request.line))


def test_an_httpx_client_can_use_it() -> None:
    async def requests() -> None:
        async with serving(echo) as server, httpx.AsyncClient(transport=H1Transport(), base_url=server.url) as client:
            assert (await client.get("/a?b=c d")).headers["x-line"] == "GET /v1/a?b=c%20d HTTP/1.1"
            assert (await client.post("/a", json={"a": 1})).json() == {"a": 1}
            assert (await client.post("/a", content=_pieces())).text == "one two"
            response = await client.get("/a")
            assert (response.http_version, response.status_code, response.reason_phrase) == ("HTTP/1.1", 200, "OK")
            assert response.headers.get_list("content-type") == ["text/plain"]
            assert server.connections == 1

    asyncio.run(requests())


async def _pieces() -> asyncio.Queue[bytes]:  # type: ignore[misc]
    yield b"one "
    yield b"two"


def test_a_head_request_has_no_body() -> None:
    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(head("200 OK", "text/plain", "Content-Length: 999"))

    async def request() -> httpx.Response:
        async with serving(answer) as server, httpx.AsyncClient(transport=H1Transport()) as client:
            return await client.head(server.url)

    assert asyncio.run(request()).headers["content-length"] == "999"


def test_a_name_with_several_addresses_finds_the_one_that_answers(kind: Kind) -> None:
    """`localhost` may be ::1 first, where nobody listens."""

    async def request() -> int:
        async with serving(echo) as server, httpx.AsyncClient(transport=H1Transport()) as client:
            return (await client.get(server.url.replace("127.0.0.1", "localhost"))).status_code

    assert kind.run(request()) == 200


def test_another_origin_gets_another_connection() -> None:
    async def requests() -> list[int]:
        async with serving(echo) as one, serving(echo) as two, httpx.AsyncClient(transport=H1Transport()) as client:
            for server in (one, two, two):
                await client.get(server.url)
            return [one.connections, two.connections]

    assert asyncio.run(requests()) == [1, 1]


def test_two_requests_at_once_are_a_bug() -> None:
    async def requests() -> None:
        async with serving(echo) as server, H1Transport() as wire:
            request = httpx.Request("GET", server.url)
            response = await wire.handle_async_request(request)
            with pytest.raises(RuntimeError, match="one exchange at a time"):
                await wire.handle_async_request(request)
            assert await response.aread() == b"nothing"

    asyncio.run(requests())


def test_timeouts_are_httpx_exceptions() -> None:
    async def silent(request: Received, peer: Peer) -> None:
        await peer.hang()

    async def request() -> None:
        async with serving(silent) as server, httpx.AsyncClient(transport=H1Transport(), timeout=0.1) as client:
            await client.get(server.url)

    with pytest.raises(httpx.ReadTimeout):
        asyncio.run(request())


def test_an_address_that_is_none_is_refused() -> None:
    async def request() -> None:
        async with httpx.AsyncClient(transport=H1Transport()) as client:
            await client.get("ftp://127.0.0.1/")

    with pytest.raises(httpx.UnsupportedProtocol):
        asyncio.run(request())


def test_a_server_faster_than_its_reader_is_held_back(kind: Kind) -> None:
    """100 MiB offered to a reader that takes nothing: the server gets stuck on full buffers, and memory stays small."""
    offered = 100

    async def exchange() -> int:
        sent = 0

        async def flood(request: Received, peer: Peer) -> None:
            nonlocal sent
            await peer.send(head("200 OK", "text/plain", "Transfer-Encoding: chunked"))
            for _ in range(offered):
                await peer.send(chunk(b"x" * HIGH_WATER))
                sent += 1

        async with serving(flood) as server, H1Transport() as wire:
            response = await wire.handle_async_request(httpx.Request("GET", server.url))
            before = -1
            while sent > before:  # until it makes no progress
                before = sent
                await asyncio.sleep(0.1)
            stuck_at = sent
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size == offered * HIGH_WATER:
                    break
            await response.aclose()
            return stuck_at

    assert kind.run(exchange()) < offered / 2


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def over_tls(kind: Kind, server_context: ssl.SSLContext, trusted: Path | None) -> Response:
    """One attempt; `trusted` is added to what the client believes."""
    context = ssl.create_default_context(cafile=trusted)

    def open_transport(target: Target) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(verify=context) if kind.name == "httpx" else H1Transport(context)

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(whole(COMPLETION))

    async def attempt() -> Response:
        async with serving(answer, server_context) as server, HttpClient({}, open_transport) as http:
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
        (other_host, tmp_path / "other.pem", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
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
            connection.write_request(b"GET / HTTP/1.1\r\n\r\n", Arrivals(), body_expected=True)
            connection.data_received(head("500 Oops", "text/html", f"Content-Length: {size}") + b"x" * size)
            await connection.read_headers(5)
            await connection.read_into(lambda arrival, data: True)
            usable = connection.is_usable
            connection.abort()
            return connection.complete, usable

    assert kind.run(exchange()) == (True, False)
