"""One attempt against servers that misbehave at every byte: the same outcome over our transport and
over httpx's."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest

from harness.errors import UsageError
from harness.model import Response, Target, Timeouts
from harness.transport.http.client import HttpClient
from harness.transport.middleware.limit import Limit, Slot
from harness.transport.middleware.quota import TokenNeed
from harness.transport.middleware.retry import Retry
from tests.transport.calling import PATIENT, Kind, ask, call
from tests.transport.servers import (
    COMPLETION,
    DONE,
    END,
    EVENTS,
    GOOD_STREAM,
    PING,
    ROLE,
    STOP,
    USAGE,
    Answer,
    Peer,
    Received,
    chunk,
    delta,
    head,
    sends,
    serving,
    whole,
)

HURRIED = Timeouts(connect=2, first=0.4, idle=0.4, total=5)
UNHURRIED = Timeouts(connect=60, first=60, idle=60, total=90)
"""For what ends by itself: a loaded machine may take its time."""


def outcome(response: Response) -> tuple[Any, ...]:
    """What a response says, in short: text, error kind, retryable."""
    error = response.error
    return response.text, error and error.kind, error and error.retryable


# ── Answers that are complete ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stream", "answer"),
    [
        pytest.param(True, sends(*GOOD_STREAM), id="stream"),
        pytest.param(True, sends(b"".join(GOOD_STREAM)), id="stream in one packet"),
        pytest.param(True, sends(*GOOD_STREAM[:-1]), id="S09 left open after [DONE]"),
        pytest.param(
            True, sends(*GOOD_STREAM[:-1], delta("junk"), delta("junk")), id="S09 data after [DONE]"
        ),
        pytest.param(True, sends(*GOOD_STREAM[:-1], then="reset"), id="reset after [DONE]"),
        pytest.param(
            True,
            sends(EVENTS, delta("Hello"), STOP, USAGE, END),
            id="S07 finish_reason without [DONE]",
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hello"), STOP, USAGE, then="reset"),
            id="reset after finish_reason",
        ),
        pytest.param(
            True,
            sends(
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
                *GOOD_STREAM,
            ),
            id="1xx first",
        ),
        pytest.param(True, sends(whole(COMPLETION)), id="S12 stream asked, JSON answered"),
        pytest.param(False, sends(whole(COMPLETION)), id="JSON with its length"),
        pytest.param(
            False,
            sends(*(bytes([byte]) for byte in whole(COMPLETION)), pause=0),
            id="JSON byte by byte",
        ),
        pytest.param(
            False,
            sends(
                head("200 OK", "application/json", "Connection: close"), COMPLETION, then="close"
            ),
            id="JSON until the close",
        ),
        pytest.param(
            False,
            sends(
                head("200 OK", "application/json", "Transfer-Encoding: chunked"),
                chunk(COMPLETION[:50]),
                chunk(COMPLETION[50:]),
                b"0\r\nX-Trailer: 1\r\n\r\n",
            ),
            id="JSON in chunks, with a trailer",
        ),
        pytest.param(
            False,
            sends(
                whole(
                    gzip.compress(COMPLETION),
                    "200 OK",
                    "application/json",
                    "Content-Encoding: gzip",
                )
            ),
            id="gzip",
        ),
        pytest.param(
            False,
            sends(
                head("200 OK", "application/json", "Content-Encoding: gzip", "Connection: close"),
                gzip.compress(COMPLETION[:50]),
                gzip.compress(COMPLETION[50:]) + bytes(8),
                then="close",
            ),
            id="gzip of two members, padded",
        ),
        pytest.param(False, sends(b"".join(GOOD_STREAM)), id="S12 JSON asked, stream answered"),
        pytest.param(
            False,
            sends(
                b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + COMPLETION,
                then="close",
            ),
            id="HTTP/1.0",
        ),
    ],
)
def test_a_complete_answer(kind: Kind, stream: bool, answer: Answer) -> None:
    response, server = ask(kind, answer, stream=stream, timeouts=Timeouts(5, 2, 2, 5))
    assert outcome(response) == ("Hello", None, None)
    assert response.usage is not None and response.usage.output_tokens == 2
    assert len(response.attempts) == 1
    assert len(server.received) == 1


def test_stop_without_an_end_is_waited_for_but_no_error(kind: Kind) -> None:
    """A server that says finish_reason, and neither [DONE] nor anything else for ever."""
    response, _ = ask(kind, sends(EVENTS, delta("Hello"), STOP), timeouts=HURRIED)
    assert outcome(response) == ("Hello", None, None)


# ── Answers that are not ──────────────────────────────────────────────────────────────────────────

HALF = chunk(b'data: {"choices":[{"index":0,"delta":{"con')
BOMB = gzip.compress(b"\0" * (80 * 2**20))


@pytest.mark.parametrize(
    ("stream", "answer", "expected"),
    [
        pytest.param(
            True, sends(EVENTS, delta("Hel"), END), ("Hel", "truncated", True), id="S05 clean end"
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hel"), HALF, END),
            ("Hel", "truncated", True),
            id="S05 half an event",
        ),
        pytest.param(
            True,
            sends(
                head("200 OK", "text/event-stream", "Content-Length: 999"),
                b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n',
                then="close",
            ),
            ("Hel", "truncated", True),
            id="S05 short Content-Length",
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hel"), delta("lo")[:20], then="close"),
            ("Hel", "truncated", True),
            id="S05 inside a chunk",
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hel"), pause=0.1, then="reset"),
            ("Hel", "truncated", True),
            id="S06 reset",
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hel"), b"zz\r\n"),
            ("Hel", "protocol", False),
            id="broken chunk",
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hel")),
            ("Hel", "timeout_idle", True),
            id="S02 hang in the middle",
        ),
        pytest.param(
            True,
            sends(EVENTS, delta("Hel"), *[PING] * 60, pause=0.05),
            ("Hel", "timeout_idle", True),
            id="S04 pings only",
        ),
        pytest.param(
            True,
            sends(EVENTS, *[ROLE] * 60, pause=0.05),
            ("", "timeout_first", True),
            id="S04 empty deltas only",
        ),
        pytest.param(
            True, sends(EVENTS), ("", "timeout_first", True), id="S02 hang after the headers"
        ),
        pytest.param(True, sends(), ("", "timeout_first", True), id="S01 hang before the headers"),
        pytest.param(True, sends(EVENTS, END), ("", "empty", False), id="S10 no events"),
        pytest.param(
            True,
            sends(EVENTS, chunk(b'data: {"error":{"message":"no","code":502}}\n\n')),
            ("", "server_error", True),
            id="S11 error event",
        ),
        pytest.param(
            True,
            sends(EVENTS, chunk(b'{"error":{"message":"no","code":502}}\n')),
            ("", "server_error", True),
            id="S11 bare error line",
        ),
        pytest.param(
            False, sends(then="close"), ("", "reset", True), id="closed without an answer"
        ),
        pytest.param(False, sends(then="reset"), ("", "reset", True), id="reset without an answer"),
        pytest.param(
            False,
            sends(b"HTTP/1.1 200 OK\r\nContent-", then="close"),
            ("", "reset", True),
            id="closed in the headers",
        ),
        pytest.param(
            False,
            sends(whole(COMPLETION)[:-9], then="close"),
            ("", "truncated", True),
            id="short JSON",
        ),
        pytest.param(
            False,
            sends(b"220 smtp.example.org ESMTP\r\n\r\n"),
            ("", "protocol", False),
            id="not HTTP",
        ),
        pytest.param(
            False,
            sends(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 2_000_000, pause=0),
            ("", "too_large", False),
            id="B04 endless headers",
        ),
        pytest.param(
            False,
            sends(
                head("200 OK", "application/json", "Transfer-Encoding: chunked"),
                chunk(COMPLETION) + b"0\r\nX: " + b"y" * 2**16,
                *[b"y" * 2**16] * 30,
                pause=0,
            ),
            ("", "too_large", False),
            id="B04 a trailer without end",
        ),
        pytest.param(
            False,
            sends(head("000 Nothing", "application/json", "Content-Length: 2"), b"{}"),
            ("", "protocol", False),
            id="status 000",
        ),
        pytest.param(
            False,
            sends(whole(BOMB, "200 OK", "application/json", "Content-Encoding: gzip"), pause=0),
            ("", "too_large", False),
            id="B03 gzip bomb",
        ),
        pytest.param(
            False,
            sends(whole(COMPLETION, "200 OK", "application/json", "Content-Encoding: gzip")),
            ("", "protocol", False),
            id="B03 not gzip",
        ),
        pytest.param(
            False,
            sends(whole(COMPLETION, "200 OK", "application/json", "Content-Encoding: br")),
            ("", "protocol", False),
            id="B03 unasked encoding",
        ),
        pytest.param(
            True,
            sends(EVENTS, chunk(b"x" * 2**20), *[chunk(b"x" * 2**20)] * 20, pause=0),
            ("", "too_large", False),
            id="B04 line without end",
        ),
        pytest.param(False, sends(whole(b"", "200 OK")), ("", "empty", False), id="B02 empty body"),
        pytest.param(
            False,
            sends(whole(b"<html>Log in</html>", "200 OK", "text/html")),
            ("", "unreadable", False),
            id="B02 login page",
        ),
        pytest.param(
            False,
            sends(whole(b'{"error":{"message":"slow down"}}', "429 Too Many Requests")),
            ("", "rate_limited", True),
            id="429",
        ),
        pytest.param(
            True,
            sends(whole(b"<html>502</html>", "502 Bad Gateway", "text/html")),
            ("", "server_error", True),
            id="N07 HTML 502",
        ),
        pytest.param(
            True,
            sends(
                head("503 Service Unavailable", "text/html", "Content-Length: 99"),
                b"<html>",
                then="close",
            ),
            ("", "overloaded", True),
            id="503, cut",
        ),
        pytest.param(
            True,
            sends(
                head("400 Bad Request", "application/json"),
                b'{"error":{"message":"no"}}',
                then="close",
            ),
            ("", "bad_request", False),
            id="400",
        ),
        pytest.param(
            False,
            sends(
                whole(
                    b"",
                    "307 Temporary Redirect",
                    "text/plain",
                    "Location: http://elsewhere.example/",
                )
            ),
            ("", "redirect", False),
            id="N08 redirect",
        ),
    ],
)
def test_an_answer_that_is_none(
    kind: Kind, stream: bool, answer: Answer, expected: tuple[Any, ...]
) -> None:
    hurried = str(expected[1]).startswith("timeout")
    response, server = ask(kind, answer, stream=stream, timeouts=HURRIED if hurried else UNHURRIED)
    assert outcome(response) == expected
    assert response.error is not None and response.error.message
    assert response.attempts[0].error == response.error
    assert len(server.received) == 1
    if response.error.boundary == "transport":
        assert f"127.0.0.1:{server.port}" in response.error.message


@pytest.mark.parametrize(
    ("stream", "answer", "words"),
    [
        (True, sends(), "sent no content within 0.4 s of the request"),
        (True, sends(EVENTS, delta("Hel")), "sent no further content for 0.4 s"),
        (
            True,
            sends(EVENTS, delta("Hel"), pause=0.1, then="reset"),
            "closed the connection in the middle of its answer: Connection reset by peer",
        ),
        (
            False,
            sends(then="close"),
            "closed the connection without an answer: it closed the connection",
        ),
        (
            False,
            sends(whole(b"", "308 Permanent Redirect", "text/plain", "Location: /v2")),
            "redirects to '/v2', and redirects are not followed",
        ),
        (
            False,
            sends(whole(COMPLETION, "200 OK", "application/json", "Content-Encoding: br")),
            "encoding 'br', which was not requested",
        ),
    ],
)
def test_the_cause_is_named_in_the_same_words(
    kind: Kind, stream: bool, answer: Answer, words: str
) -> None:
    response, _ = ask(kind, answer, stream=stream, timeouts=HURRIED)
    assert response.error is not None
    assert words in response.error.message


def test_a_drip_ends_at_the_total(kind: Kind) -> None:
    """S03: content keeps coming, too slowly to be worth anything."""
    slow = Timeouts(connect=2, first=1, idle=1, total=0.6)
    response, _ = ask(kind, sends(EVENTS, *[delta("a")] * 100, pause=0.02), timeouts=slow)
    assert response.error is not None and response.error.kind == "timeout_total"
    assert response.text.startswith("aaa")


def test_a_request_that_is_not_streamed_only_has_a_total(kind: Kind) -> None:
    patience = Timeouts(connect=2, first=0.05, idle=0.05, total=5)

    async def answer(request: Received, peer: Peer) -> None:
        await asyncio.sleep(0.3)
        await peer.send(whole(COMPLETION))

    response, _ = ask(kind, answer, stream=False, timeouts=patience)
    assert response.error is None


# ── What is sent ──────────────────────────────────────────────────────────────────────────────────


def test_the_request_on_the_wire(kind: Kind) -> None:
    async def attempt() -> Received:
        async with (
            serving(sends(whole(COMPLETION))) as server,
            HttpClient({"TINY_KEY": "sk-12345678"}, kind.open) as http,
        ):
            one = call(
                server.url + "/",
                api_key_env="TINY_KEY",
                headers={"X-Team": "evals"},
                position="g1.0",
                attempt=2,
            )
            await http(one, Slot())
            return server.received[0]

    request = kind.run(attempt())
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == "Bearer sk-12345678"
    assert request.headers["x-client-request-id"] == "k1-g1.0-2"
    assert request.headers["x-team"] == "evals"
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("evalharness/")
    assert request.headers["host"].startswith("127.0.0.1:")
    assert int(request.headers["content-length"]) == len(request.body)


def test_without_a_key_no_authorization_is_sent(kind: Kind) -> None:
    _, server = ask(kind, sends(whole(COMPLETION)), stream=False)
    assert "authorization" not in server.received[0].headers


def test_a_missing_key_is_an_error_that_names_its_variable(kind: Kind) -> None:
    async def attempt() -> Response:
        async with HttpClient({}, kind.open) as http:
            return await http(call("http://127.0.0.1:9", api_key_env="TINY_KEY"), Slot())

    response = kind.run(attempt())
    assert response.error is not None and response.error.kind == "no_api_key"
    assert "set TINY_KEY" in response.error.message
    assert response.attempts == ()


@pytest.mark.parametrize("value", ["sk-1\nX-Evil: 1", "sk-\u2603"])
def test_a_key_no_header_can_carry_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="the value of TINY_KEY contains a line break"):
        HttpClient({"TINY_KEY": value})


def test_a_header_cannot_smuggle_another(kind: Kind) -> None:
    async def attempt() -> tuple[Response, int]:
        async with serving(sends(whole(COMPLETION))) as server, HttpClient({}, kind.open) as http:
            return await http(call(server.url, headers={"X": "1\r\nX-Evil: 1"}), Slot()), len(
                server.received
            )

    response, received = kind.run(attempt())
    assert response.error is not None and response.error.kind == "protocol"
    assert received == 0


# ── What is kept ──────────────────────────────────────────────────────────────────────────────────


def test_the_marks_are_in_order_and_count_content_only(kind: Kind) -> None:
    response, _ = ask(
        kind,
        sends(
            EVENTS,
            ROLE,
            delta("a"),
            PING,
            delta("b") + delta("c"),
            STOP,
            USAGE,
            DONE + END,
            pause=0.01,
        ),
    )
    marks = response.marks
    assert (
        marks.connected
        and marks.sent
        and marks.first_byte
        and marks.first_token
        and marks.last_token
        and marks.done
    )
    assert (
        marks.connected
        <= marks.sent
        <= marks.first_byte
        < marks.first_token
        < marks.last_token
        < marks.done
    )
    assert marks.first_answer == marks.first_token == marks.events[0]
    assert len(marks.events) == 3
    assert marks.reads == (
        3 if kind.name == "httpx" else 2
    )  # httpx hands out a body chunk by chunk
    assert response.attempts[0].clock == ("reader" if kind.name == "httpx" else "protocol")


def test_an_answer_that_was_not_streamed_has_no_token_marks(kind: Kind) -> None:
    response, _ = ask(kind, sends(whole(COMPLETION)), stream=False)
    assert response.marks.done and response.marks.first_byte
    assert (response.marks.first_token, response.marks.last_token, response.marks.events) == (
        None,
        None,
        (),
    )


def test_a_failed_attempt_keeps_the_marks_it_reached(kind: Kind) -> None:
    response, _ = ask(kind, sends(), timeouts=HURRIED)
    assert response.marks.sent is not None
    assert response.marks.first_byte is response.marks.done is None


def test_telling_headers_are_kept_and_secret_ones_are_not(kind: Kind) -> None:
    more = (
        "X-Request-Id: r1",
        "CF-Ray: 8f",
        "X-RateLimit-Remaining-Requests: 9",
        "Set-Cookie: session=s",
        "X-Simulated: yes",
    )
    response, _ = ask(
        kind,
        sends(whole(COMPLETION, "200 OK", "application/json", *more, "X-Noise: 1")),
        stream=False,
    )
    assert response.headers == {
        "content-type": "application/json",
        "x-request-id": "r1",
        "cf-ray": "8f",
        "x-ratelimit-remaining-requests": "9",
        "x-simulated": "yes",
    }


# ── Connections ───────────────────────────────────────────────────────────────────────────────────


def test_a_slot_keeps_its_connection(kind: Kind) -> None:
    async def attempts() -> int:
        async def answer(request: Received, peer: Peer) -> None:
            stream = b'"stream":true' in request.body
            await peer.send(*(GOOD_STREAM if stream else (whole(COMPLETION),)))

        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            slot = Slot()
            for stream in (True, False, True, False):
                assert (await http(call(server.url, stream=stream), slot)).error is None
            return server.connections

    assert kind.run(attempts()) == 1


def test_an_idle_connection_the_server_closed_is_replaced(kind: Kind) -> None:
    """N14: the server closes after each answer and does not say so; no request may be lost or
    doubled by that."""

    async def attempts() -> tuple[list[Response], int]:
        async def answer(request: Received, peer: Peer) -> None:
            await peer.send(whole(COMPLETION))
            peer.close()

        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            send = Retry(Limit(http, tokens=lambda call: TokenNeed(0, 0)))
            return [await send(call(server.url, stream=False)) for _ in range(20)], len(
                server.received
            )

    responses, received = kind.run(attempts())
    assert [response.error for response in responses] == [None] * 20
    assert received == 20


def test_a_request_is_not_sent_again_once_the_answer_has_begun(kind: Kind) -> None:
    async def attempts() -> tuple[Response, int]:
        async def answer(request: Received, peer: Peer) -> None:
            if len(server.received) == 1:
                await peer.send(whole(COMPLETION))
            else:
                await peer.send(head("200 OK", "application/json", "Content-Length: 9"), pause=0.05)
                peer.close()

        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            slot = Slot()
            await http(call(server.url, stream=False), slot)
            return await http(call(server.url, stream=False), slot), len(server.received)

    response, received = kind.run(attempts())
    assert response.error is not None and response.error.kind == "truncated"
    assert received == 2


def test_cancelling_closes_the_connection_and_leaves_the_slot_usable(kind: Kind) -> None:
    async def attempts() -> tuple[Response, int]:
        async def answer(request: Received, peer: Peer) -> None:
            if len(server.received) == 1:
                await peer.send(EVENTS, delta("Hel"))
                await peer.hang()
            await peer.send(*GOOD_STREAM)

        async with serving(answer) as server, HttpClient({}, kind.open) as http:
            slot = Slot()
            first = asyncio.ensure_future(http(call(server.url), slot))
            while not server.received:
                await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await asyncio.wait_for(server.closed.wait(), 5)
            return await http(call(server.url), slot), server.connections

    response, connections = kind.run(attempts())
    assert outcome(response) == ("Hello", None, None)
    assert connections == 2


# ── Hosts ─────────────────────────────────────────────────────────────────────────────────────────


def _unreachable(kind: Kind, url: str) -> Response:
    async def attempt() -> Response:
        async with HttpClient({}, kind.open) as http:
            return await http(call(url, timeouts=PATIENT), Slot())

    return kind.run(attempt())


def test_a_refused_connection_names_host_and_cause(kind: Kind) -> None:
    response = _unreachable(kind, "http://127.0.0.1:9/v1")
    assert response.error is not None
    assert response.error.message == "could not connect to 127.0.0.1:9: Connection refused"
    assert (response.error.kind, response.error.retryable) == ("connect", False)
    assert response.marks.sent is None


def test_an_unknown_host_names_host_and_cause(kind: Kind) -> None:
    response = _unreachable(kind, "http://nosuch.invalid/v1")
    assert response.error is not None and response.error.kind == "dns"
    assert response.error.message.startswith("the name of nosuch.invalid could not be resolved: ")


def test_a_host_that_answered_before_is_tried_again(kind: Kind) -> None:
    """N09, N15: a server that goes away may come back; one that never was there will not."""

    async def attempts() -> Response:
        async with HttpClient({}, kind.open) as http:
            async with serving(sends(whole(COMPLETION), then="close")) as server:
                await http(call(server.url, stream=False), Slot())
            return await http(call(server.url, stream=False), Slot())

    response = kind.run(attempts())
    assert response.error is not None
    assert (response.error.kind, response.error.retryable) == ("connect", True)


def test_the_probe_tells_a_server_from_a_closed_port(kind: Kind) -> None:
    async def probes() -> list[Any]:
        async with HttpClient({}, kind.open) as http, serving(sends()) as server:
            up, down = (
                Target("t", "openai", "m", url, url) for url in (server.url, "http://127.0.0.1:9")
            )
            return [await http.probe_target(up), await http.probe_target(down)]

    up, down = kind.run(probes())
    assert up is None
    assert down.message == "could not connect to 127.0.0.1:9: Connection refused"


def test_a_404_says_where_it_was_asked(kind: Kind) -> None:
    async def nobody(request: Received, peer: Peer) -> None:
        await peer.send(whole(b"Not Found", "404 Not Found", "text/plain"))

    async def work() -> Response:
        async with serving(nobody) as server, HttpClient({}, kind.open) as http:
            return await http(call(f"{server.url}/v9/", stream=False), Slot())

    response = kind.run(work())
    assert response.error is not None
    assert response.error.kind == "not_found"
    assert response.error.message.endswith("(at POST ${TINY}/chat/completions, model 'tiny-1')")


@pytest.mark.parametrize(
    ("status", "key", "headers", "said"),
    [
        (401, None, {}, "no API key was sent; name its environment variable in the target"),
        (403, None, {}, "such as `api_key: OPENAI_API_KEY`)"),
        (401, "TINY_KEY", {}, "(the API key sent is the value of TINY_KEY)"),
        (401, None, {"Authorization": "Bearer canary-7"}, "own header Authorization was sent)"),
    ],
)
def test_a_refused_key_is_told_from_one_that_was_not_sent(
    status: int, key: str | None, headers: dict[str, str], said: str
) -> None:
    async def refuse(request: Received, peer: Peer) -> None:
        body = b'{"error":{"message":"Invalid API Key"}}'
        await peer.send(whole(body, f"{status} Refused"))

    async def work() -> Response:
        async with serving(refuse) as server, HttpClient({"TINY_KEY": "canary-7"}) as http:
            asked = call(server.url, stream=False, api_key_env=key, headers=headers)
            return await http(asked, Slot())

    error = asyncio.run(work()).error
    assert error is not None
    assert error.message.startswith(f"HTTP {status}: Invalid API Key (") and said in error.message
    assert "canary-7" not in error.message
