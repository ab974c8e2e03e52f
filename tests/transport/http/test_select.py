"""Which way leads to a target, and that a proxy on the way changes nothing but the clock's name."""

from __future__ import annotations

import asyncio

import pytest

from harness.model import Response, Target
from harness.transport.http.client import HttpClient
from harness.transport.http.http1 import Http1Client
from harness.transport.http.proxies import proxy_for
from harness.transport.http.select import open_slot_connection
from harness.transport.middleware.limit import Slot
from tests.transport.calling import call
from tests.transport.servers import COMPLETION, Peer, Received, serving, whole

PROXIES = {"http": "http://proxy:1", "https": "http://proxy:2", "no": "example.org, .internal"}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://api.example.com/v1", "http://proxy:1"),
        ("https://api.example.com/v1", "http://proxy:2"),
        ("https://example.org/v1", None),
        ("https://api.example.org/v1", None),
        ("https://notexample.org/v1", "http://proxy:2"),
        ("http://vllm.internal/v1", None),
        ("http://127.0.0.1:8000/v1", None),
        ("http://127.8.9.1:8000/v1", None),
        ("http://[::1]:8000/v1", None),
        ("http://localhost:8000/v1", None),
        ("http://localhost.example.com/v1", "http://proxy:1"),
    ],
)
def test_the_proxy_for_an_address(url: str, proxy: str | None) -> None:
    assert proxied(url, PROXIES) == proxy


def proxied(url: str, proxies: dict[str, str]) -> str | None:
    found = proxy_for(url, proxies)
    return None if found is None else str(found)


def test_all_proxy_is_for_everything_that_has_none_of_its_own() -> None:
    assert (
        proxied("https://a.example/v1", {"all": "http://proxy:3", "http": "http://proxy:1"})
        == "http://proxy:3"
    )
    assert proxied("https://a.example/v1", {"all": "http://proxy:3", "no": "*"}) is None


def test_loopback_goes_direct_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """N11: the proxy named here does not exist."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(
        open_slot_connection(Target("t", "openai", "m", "a", "http://127.0.0.1:8000/v1")),
        Http1Client,
    )


def test_another_host_is_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(request: Received, peer: Peer) -> None:
        await peer.send(whole(COMPLETION))

    async def attempt() -> tuple[Response, Received]:
        async with serving(proxy) as server, HttpClient({}) as http:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
            return await http(
                call("http://nosuch.invalid/v1", stream=False), Slot()
            ), server.received[0]

    response, request = asyncio.run(attempt())
    assert response.text == "Hello"
    assert response.attempts[0].clock == "reader"
    assert request.line == "POST http://nosuch.invalid/v1/chat/completions HTTP/1.1"
