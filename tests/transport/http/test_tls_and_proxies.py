"""TLS and proxies that do not work: the message names the right cause and what to do, and no value
of an environment variable crashes."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExitCode, UsageError
from harness.model import Error, Response, Timeouts
from harness.transport.http.client import HttpClient
from harness.transport.http.dialing import shared_ssl_context
from harness.transport.http.proxies import Proxy, read_proxy
from harness.transport.middleware.limit import Slot
from tests.faults.rows import background
from tests.support import Command, Ended
from tests.transport.calling import call
from tests.transport.certificates import certificate
from tests.transport.servers import COMPLETION, Peer, Received, whole

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

FAR = "http://model.invalid/v1"
FAR_TLS = "https://model.invalid/v1"
SUITE = """\
suite: far
prompts: [{{user: hello}}]
cases: [{{id: a}}]
targets: [{{name: far, provider: openai, base_url: "{url}", model: tiny, price: {{input: 0, output: 0}}}}]
"""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Certificates and proxies are those of the test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    shared_ssl_context.cache_clear()
    yield
    shared_ssl_context.cache_clear()


@contextmanager
def listening(converse: Conversation) -> Iterator[int]:
    """The port of a server that holds `converse` with each client, in a thread of its own."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await converse(reader, writer)
        writer.close()

    @asynccontextmanager
    async def served() -> AsyncIterator[int]:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(served()) as port:
        yield port


def attempt(url: str, *, connect: float = 10.0) -> Error:
    """The error of one attempt at `url`."""

    async def work() -> Response:
        async with HttpClient({}) as http:
            timeouts = Timeouts(connect=connect, first=5, idle=5, total=10)
            return await http(call(url, stream=False, timeouts=timeouts), Slot())

    error = asyncio.run(work()).error
    assert error is not None
    return error


async def hello(request: Received, peer: Peer) -> None:
    await peer.send(whole(COMPLETION))


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────


REFUSES = b"HTTP/1.1 400 Bad Request\r\n\r\n"
ALERT = b"\x15\x03\x01\x00\x02\x02\x28"


@pytest.mark.parametrize(
    ("scheme", "sent", "message"),
    [
        ("https", REFUSES, "the server there does not use TLS: write http:// in its base_url"),
        (
            "https",
            None,
            "the TLS handshake got no answer within 0.05 s. If it does not speak TLS, write http://",
        ),
        ("https", b"", "aborted the TLS handshake: the connection was reset. If it does not"),
        ("http", ALERT, "uses TLS: write https:// in its base_url"),
        ("http", b"", "it closed the connection. If it expects TLS, write https://"),
    ],
)
def test_a_scheme_that_is_not_the_servers(scheme: str, sent: bytes | None, message: str) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        while sent is None and await reader.read(4096):
            pass
        writer.write(sent or b"")

    with listening(converse) as port:
        error = attempt(f"{scheme}://127.0.0.1:{port}/v1", connect=0.1 if sent is None else 10)
    assert message in error.message


@pytest.mark.parametrize("answer", [b"", REFUSES], ids=["mute", "plain HTTP"])
def test_an_https_address_without_tls_is_found_before_the_run(
    tmp_path: Path, answer: bytes
) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await reader.read()

    with listening(converse) as port:
        more = "run: {timeout: {connect: 0.5s}}\n"
        ended = run_suite(tmp_path, f"https://127.0.0.1:{port}/v1", {}, more)
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "TLS" in ended.err and "write http://" in ended.err and "nothing was sent" in ended.err


def test_a_certificate_nobody_here_knows_says_how_to_trust_it(tmp_path: Path) -> None:
    with background(hello, certificate(tmp_path, "own")) as server:
        error = attempt(server.url)
    assert (
        "self-signed certificate. If you trust it, set the environment variable SSL_CERT_FILE"
        in error.message
    )
    assert "SSL_CERT_FILE" in error.message


@pytest.mark.parametrize(
    ("variable", "content", "reason"),
    [
        ("SSL_CERT_FILE", None, "No such file or directory"),
        ("SSL_CERT_FILE", "no certificate", "it should contain certificates in PEM format"),
        ("SSLKEYLOGFILE", None, "No such file or directory"),
    ],
)
def test_a_file_of_the_environment_that_cannot_be_used_is_named(
    tmp_path: Path, variable: str, content: str | None, reason: str
) -> None:
    path = tmp_path / "folder" / "file.pem"
    if content is not None:
        path.parent.mkdir()
        path.write_text(content)
    ended = run_suite(tmp_path, FAR_TLS, {variable: str(path)})
    assert ended.code == ExitCode.USAGE
    assert f"cannot make a secure connection with {variable}={path}: {reason}" in one_line(ended)


# ── Proxies ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", [FAR, FAR_TLS])
@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("407 Proxy Authentication Required", "requires other credentials (HTTP 407): write http"),
        ("502 Bad Gateway", "502"),
        (None, "on the way to model.invalid closed the connection without an answer"),
    ],
)
def test_what_a_proxy_does_wrong_is_said_of_the_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, status: str | None, message: str
) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode() if status else b"")

    with listening(converse) as port:
        monkeypatch.setenv("ALL_PROXY", f"me:canary-7@127.0.0.1:{port}")
        error = attempt(url)
    assert message in error.message
    assert f"the proxy http://127.0.0.1:{port}" in error.message
    assert "canary-7" not in error.message


def test_a_proxy_that_is_not_there_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    ended = run_suite(tmp_path, FAR_TLS, {"https_proxy": "127.0.0.1:9"})
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert (
        "could not connect to the proxy http://127.0.0.1:9 (https_proxy) on the way to"
        " model.invalid: Connection refused; nothing was sent"
    ) in one_line(ended)


def test_a_target_is_reached_through_a_socks_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 1928, no authentication, a name as the address."""
    asked: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\x00")
        length = (await reader.readexactly(5))[4]
        asked.append(await reader.readexactly(length + 2))
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(whole(COMPLETION))
        await writer.drain()

    async def work() -> Response:
        async with HttpClient({}) as http:
            return await http(call(FAR, stream=False), Slot())

    with listening(converse) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        assert asyncio.run(work()).text == "Hello"
    assert asked == [b"model.invalid\x00\x50"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_socks_proxy_that_speaks_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(converse) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        error = attempt(FAR)
    gc.collect()  # httpcore leaves the socket to the collector
    assert f"the proxy socks5://127.0.0.1:{port} (ALL_PROXY) did not connect to" in error.message


def test_a_socks_proxy_without_its_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(UsageError, match=r"ALL_PROXY names a SOCKS proxy.*'evalharness\[socks\]'"):
        read_proxy("socks5://127.0.0.1:1080", "ALL_PROXY")


@pytest.mark.parametrize(
    "named",
    [
        "http://me:canary-7/8@host:1",
        "socks4://host:1",
        "http://host:port",
        "http://[::1",
        "ftp://host",
        "http://h:99999",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_before_anything_is_sent(
    tmp_path: Path, named: str
) -> None:
    ended = run_suite(tmp_path, FAR, {"ALL_PROXY": named})
    assert ended.code == ExitCode.USAGE
    assert "ALL_PROXY is not a" in one_line(ended)
    assert "canary" not in ended.err


@given(st.text() | st.from_regex(r"(http|socks5)s?://[\w@:.\[\]/-]{0,20}", fullmatch=True))
def test_no_value_of_a_proxys_variable_crashes(named: str) -> None:
    try:
        proxy = read_proxy(named, "HTTP_PROXY")
    except UsageError:
        return
    assert isinstance(proxy, Proxy) and str(proxy.connect_url).startswith("http")


def run_suite(folder: Path, url: str, environment: dict[str, str], more: str = "") -> Ended:
    (folder / "far.yaml").write_text(SUITE.format(url=url) + more)
    return Command(folder, environment)("run", "far.yaml", "--out", "run")


def one_line(ended: Ended) -> str:
    return " ".join(ended.err.split())
