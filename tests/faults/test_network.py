"""N01–N15: throttling, refusals, hosts that are not there, TLS, proxies, and connections that die
at the wrong moment."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from msgspec.structs import replace

from harness.app.run import resume_requests, run_requests
from harness.errors import ExitCode
from harness.model import Response
from harness.runs.folder import read_manifest, read_records
from harness.simulator import start
from harness.simulator.server.config import Config
from harness.transport.http import errors as transport_errors
from harness.transport.http.dialing import shared_ssl_context
from harness.transport.send import Send
from tests.end_to_end.moments import wait_for_records
from tests.faults.rows import background, row, write_suite
from tests.faults.stack import asking, faster, kinds, run, send_all, stack
from tests.support import Command, Simulated
from tests.transport.certificates import certificate
from tests.transport.servers import COMPLETION, Answer, Peer, Received, head, sends, serving, whole

OK = whole(COMPLETION)
CASES = [f"c{number}" for number in range(40)]


def refusal(*headers: str, status: str = "429 Too Many Requests") -> bytes:
    """A refusal in OpenAI's words."""
    return whole(b'{"error":{"message":"slow down"}}', status, "application/json", *headers)


def in_turn(*answers: bytes) -> Answer:
    """Whole answers, one a request, the last one for ever; connections are kept."""
    left = list(answers)

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(left.pop(0) if len(left) > 1 else left[0])

    return answer


def asked_once(answer: Answer, *, speed: float = 1, **changes: Any) -> tuple[Response, int]:
    """The Response to one call to a server that gives `answer`, and how many requests it got."""

    async def work() -> tuple[Response, int]:
        async with serving(answer) as server, stack(clock=faster(speed)) as send:
            return await send(asking(server.url, stream=False, **changes)), len(server.received)

    return run(work())


# ── Being told to wait ────────────────────────────────────────────────────────────────────────────


@row("N01")
def test_a_storm_slows_all_slots_of_its_target_together_and_no_other() -> None:
    """Five seconds (a tenth of that in real time) in which four of five requests to one of two
    targets get a 429."""
    speed, slots, trials = 10, 64, 400
    draw = random.Random(1)

    def seconds() -> float:
        return (perf_counter() - began) * speed

    async def stormy(request: Received, peer: Peer) -> None:
        await peer.send(refusal() if seconds() < 5 and draw.random() < 0.8 else OK)

    async def work() -> tuple[list[Response], list[Response], float]:
        async with (
            serving(stormy) as storm,
            serving(in_turn(OK)) as calm,
            stack(clock=faster(speed)) as send,
        ):
            stressed = [
                asking(storm.url, key=f"s{n}", stream=False, concurrency=slots, retries=50)
                for n in range(trials)
            ]
            spared = [
                asking(calm.url, key=f"c{n}", stream=False, concurrency=4, retries=0)
                for n in range(trials)
            ]

            async def beside() -> tuple[list[Response], float]:
                return await send_all(send, spared), seconds()

            throttled, (others, over) = await asyncio.gather(send_all(send, stressed), beside())
            return throttled, others, over

    began = perf_counter()
    throttled, others, others_over = run(work())
    ended = seconds()
    assert [response.error for response in throttled] == [None] * trials
    assert [kinds(response) for response in others] == [[None]] * trials
    assert others_over < ended

    starts = sorted(
        attempt.marks.started or 0 for response in throttled for attempt in response.attempts
    )
    later = [
        (start - starts[0]) / 1e9 for start in starts[slots:]
    ]  # the first of each slot could not know
    assert most_within(1, [at for at in later if 3 <= at < 5]) < slots / 2, (
        "all slots asked on as before"
    )
    assert most_within(0.1, [at for at in later if at < 5]) <= slots / 4, (
        "those who waited came back as a herd"
    )
    assert ended < 40, "the target was not driven harder again after the storm"


def most_within(seconds: float, moments: list[float]) -> int:
    """The most of `moments` (ascending) that any window of this length holds."""
    return max(
        (bisect_left(moments, start + seconds) - place for place, start in enumerate(moments)),
        default=0,
    )


NOW = "Date: Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "shortest", "longest"),
    [
        pytest.param(("Retry-After: 7",), 7, 8.75, id="N02-seconds"),
        pytest.param(("Retry-After: 1.5",), 1.5, 1.9, id="N02-float"),
        pytest.param(("Retry-After-Ms: 1500", "Retry-After: 60"), 1.5, 1.9, id="N02-ms"),
        pytest.param(
            ("Retry-After: Sun, 22 Nov 2026 12:00:20 GMT", NOW), 20, 25, id="N02-http-date"
        ),
        pytest.param(("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", NOW), 0, 0, id="N02-past-date"),
        pytest.param(("Retry-After: 120",), 120, 150, id="N02-cap"),
        pytest.param(("Retry-After: -1",), 0.37, 0.5, id="N02-negative"),
        pytest.param(("Retry-After: NaN",), 0.37, 0.5, id="N02-nan"),
        pytest.param(("Retry-After: soon",), 0.37, 0.5, id="N02-garbage"),
        pytest.param((), 0.37, 0.5, id="N02-none"),
    ],
)
def test_every_form_of_retry_after(
    headers: tuple[str, ...], shortest: float, longest: float
) -> None:
    moments: list[float] = []

    async def answer(request: Received, peer: Peer) -> None:
        moments.append(perf_counter() * 200)
        await peer.send(OK if len(moments) > 1 else refusal(*headers))

    response, _ = asked_once(answer, speed=200)
    assert kinds(response) == ["rate_limited", None]
    assert shortest <= response.attempts[1].waited <= longest
    assert (
        moments[1] - moments[0] >= response.attempts[1].waited - 0.4
    )  # a loop's clock has milliseconds, here 0.2 s each


@pytest.mark.parametrize(
    "value", [pytest.param("1000000000", id="N02-1e9"), pytest.param("121", id="N02-above-cap")]
)
def test_a_retry_after_beyond_the_cap_gives_the_item_up(value: str) -> None:
    response, requests = asked_once(in_turn(refusal(f"Retry-After: {value}")), speed=200)
    assert (kinds(response), requests) == (["rate_limited"], 1)
    assert response.error is not None and response.error.retryable, "a resumed run owes it"
    assert "more than the maximum of 120 s" in response.error.message


@row("N03")
def test_the_newest_retry_after_counts() -> None:
    answer = in_turn(*(refusal(f"Retry-After: {seconds}") for seconds in (1, 5, 30)), OK)
    response, _ = asked_once(answer, speed=200)
    assert response.error is None
    waits = [attempt.waited for attempt in response.attempts]
    assert waits[0] == 0
    for wait, asked in zip(waits[1:], (1, 5, 30), strict=True):
        assert asked <= wait <= 1.25 * asked


@row("N04")
def test_throughput_recovers_after_a_long_retry_after() -> None:
    """For 10 s every request is told to wait 89 s; a fiftieth of that in real time."""
    speed, trials = 50, 300
    arrivals: list[float] = []
    refused: list[float] = []

    async def answer(request: Received, peer: Peer) -> None:
        arrivals.append((perf_counter() - began) * speed)
        if arrivals[-1] < 10:
            refused.append(arrivals[-1])
        await peer.send(refusal("Retry-After: 89") if arrivals[-1] < 10 else OK)

    async def work() -> list[Response]:
        async with serving(answer) as server, stack(clock=faster(speed)) as send:
            return await send_all(
                send,
                [
                    asking(server.url, key=f"k{n}", stream=False, concurrency=16, retries=4)
                    for n in range(trials)
                ],
            )

    began = perf_counter()
    responses = run(work())
    assert [response.error for response in responses] == [None] * trials
    silence, back = max((later - earlier, later) for earlier, later in pairwise(arrivals))
    assert back - refused[-1] >= 89 and silence >= 80, (
        "the whole target waits, not only the slots that were refused"
    )
    assert arrivals[-1] - back < 120, "the target was not driven harder again after the wait"


# ── Being refused ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, "bad_request", id="N05-400"),
        pytest.param(401, "unauthorized", id="N05-401"),
        pytest.param(403, "forbidden", id="N05-403"),
        pytest.param(404, "not_found", id="N05-404"),
        pytest.param(413, "too_large", id="N05-413"),
        pytest.param(422, "bad_request", id="N05-422"),
    ],
)
def test_what_only_the_caller_can_mend_is_not_tried_again(
    simulator: Simulated, status: int, kind: str
) -> None:
    simulator.faults(
        {"kind": "status", "status": status, "code": "odd", "message": "Not like this."}
    )
    response = asked_of(simulator)
    assert (kinds(response), len(simulator.requests())) == ([kind], 1)
    assert response.error is not None
    assert response.error.message.startswith(f"HTTP {status}, code odd: Not like this.")


def asked_of(simulator: Simulated, **changes: Any) -> Response:
    """The Response of the simulator to one call, its waits made short."""

    async def work() -> Response:
        async with stack(clock=faster(20)) as send:
            return await send(asking(simulator.openai, **changes))

    return run(work())


@row("N05-stops-the-target")
def test_a_refused_api_key_stops_its_target_and_no_other(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    suite = write_suite(
        tmp_path, CASES, "concurrency: 2", tiny=simulator.openai, large=simulator.openai
    )
    simulator.faults({"kind": "status", "status": 401, "model": "tiny"})
    ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert ended.out.count("because it would fail the same way") == 1
    asked = [each["model"] for each in simulator.requests()]
    assert asked.count("tiny") <= 4
    assert asked.count("large") == len(CASES)


@row("N05-refused-for-itself")
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_after_answers_is_that_trials_error(
    simulator: Simulated, tmp_path: Path, status: int
) -> None:
    """A guardrail or one missing resource refuses three requests; every other case is answered."""
    suite = write_suite(tmp_path, CASES, "concurrency: 2", tiny=simulator.openai)
    simulator.faults({"kind": "status", "status": status, "requests": ["20-22"]})
    finished = run_requests(suite, out=tmp_path / "run")
    assert len(simulator.requests()) == len(CASES)
    assert sum(record.error is not None for record in read_records(tmp_path / "run")) == 3
    assert finished.stopped == ()


@row("N09-skipped")
def test_targets_out_of_reach_are_left_out_where_that_is_asked_for(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    with closed_port() as place:
        suite = write_suite(
            tmp_path, CASES, "concurrency: 8", tiny=simulator.openai, gone=f"http://{place}/v1"
        )
        refused = cli("run", suite, "--out", "refused")
        assert refused.code == ExitCode.INFRASTRUCTURE
        assert "--skip-unreachable runs the others" in refused.err
        assert simulator.requests() == [] and not (tmp_path / "refused").exists()
        ended = cli("run", suite, "--out", "run", "--skip-unreachable")
        alone = cli("run", suite, "--out", "alone", "--target", "gone", "--skip-unreachable")
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "gone: skipped, because it cannot be reached: could not connect to" in ended.out
    assert {record.target for record in read_records(tmp_path / "run")} == {"tiny"}
    assert len(simulator.requests()) == len(CASES)
    assert alone.code == ExitCode.INFRASTRUCTURE and "nothing was sent" in alone.err


@row("N06")
def test_a_500_that_repeats_itself_is_tried_as_often_as_promised(simulator: Simulated) -> None:
    simulator.faults(
        {"kind": "status", "status": 500, "message": "'temperature' must be float, not str"}
    )
    response = asked_of(simulator, retries=3)
    assert (kinds(response), len(simulator.requests())) == (["server_error"] * 4, 4)
    assert response.error is not None and response.error.retryable


@pytest.mark.parametrize(
    "status", [pytest.param(status, id=f"N07-{status}") for status in (502, 503, 504, 529)]
)
def test_a_proxys_error_page_is_tried_again(simulator: Simulated, status: int) -> None:
    simulator.faults({"kind": "html", "status": status, "requests": [1]})
    response = asked_of(simulator)
    assert response.error is None and response.text
    refused = response.attempts[0].error
    assert refused is not None
    assert refused.message.startswith(
        f"HTTP {status}: a body that is not JSON: <html> <head><title>{status}</title>"
    )


@row("N07-hostile-page")
def test_an_error_page_cannot_speak_to_the_terminal() -> None:
    page = whole(
        b"<html>\x1b]52;c;ZXZpbA==\x07\x1b[2J\r\n" + b"\xe2\x80\xae" + b"x" * 5000,
        "502 Bad Gateway",
        "text/html",
    )
    response, _ = asked_once(in_turn(page), retries=0)
    assert response.error is not None
    assert response.error.message.isprintable()
    assert len(response.error.message) < 260


@pytest.mark.parametrize(
    "status", [pytest.param(status, id=f"N08-{status}") for status in (301, 302, 303, 307, 308)]
)
def test_a_redirect_takes_no_key_along(status: int) -> None:
    async def work() -> tuple[Response, int, str, str]:
        async with serving(in_turn(OK)) as elsewhere:
            away = sends(
                whole(b"", f"{status} Moved", "text/plain", f"Location: {elsewhere.url}"),
                then="keep",
            )
            async with serving(away) as server, stack(secrets={"TINY_KEY": "sk-canary-1"}) as send:
                response = await send(asking(server.url, stream=False, api_key_env="TINY_KEY"))
                return (
                    response,
                    elsewhere.connections,
                    server.received[0].headers["authorization"],
                    elsewhere.url,
                )

    response, connections, sent, place = run(work())
    assert sent == "Bearer sk-canary-1"
    assert connections == 0
    assert kinds(response) == ["redirect"]
    assert response.error is not None
    assert f"redirects to {place!r}, and redirects are not followed" in response.error.message


# ── Not being reached ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def blackhole() -> Iterator[str]:
    """The address of a port that never answers: its queue of connections is full, so the kernel
    drops what comes."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.socket() as first,
        socket.socket() as second,
    ):
        for each in (first, second):
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def closed_port() -> Iterator[str]:
    """The address of a port where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@contextmanager
def unknown_name() -> Iterator[str]:
    """A name that cannot exist (RFC 6761)."""
    yield "nosuch.invalid"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param(closed_port, "could not connect to {}: Connection refused", id="N09-refused"),
        pytest.param(unknown_name, "the name of {} could not be resolved: ", id="N09-dns"),
        pytest.param(blackhole, "no connection to {} within 0.3 s", id="N09-unroutable"),
    ],
)
def test_a_host_that_is_not_there_is_named_before_anything_is_sent(
    cli: Command, tmp_path: Path, address: Any, says: str
) -> None:
    with address() as place:
        suite = write_suite(tmp_path, CASES, "timeout: {connect: 300ms}", tiny=f"http://{place}/v1")
        ended = cli("run", suite, "--out", "run")
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "target 'tiny': " + says.format(place) in ended.err
    assert "nothing was sent" in ended.err
    assert not (tmp_path / "run").exists()


class Forgetful(asyncio.SelectorEventLoop):
    """Its resolver fails for a while, as glibc's does when a name server is busy; `fails` counts
    down."""

    fails = 0

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if self.fails:
            self.fails -= 1
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await super().getaddrinfo("127.0.0.1", port, **options)


@pytest.mark.parametrize(
    ("worked_before", "expected"),
    [
        pytest.param(True, ["dns", "dns", None], id="N09-eai-again"),
        pytest.param(False, ["dns"], id="N09-eai-again-at-first"),
    ],
)
def test_a_name_is_looked_up_again_only_if_it_was_ever_found(
    worked_before: bool, expected: list[str | None]
) -> None:
    async def work() -> Response:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Forgetful)
        async with serving(sends(OK, then="close")) as server, stack(clock=faster(20)) as send:
            one = asking(f"http://model.test:{server.port}/v1", stream=False)
            if worked_before:
                await send(one)
            loop.fails = 2
            return await send(one)

    with asyncio.Runner(loop_factory=Forgetful) as runner:
        response = runner.run(work())
    assert [kind for kind in kinds(response) if kind != "idle_closed"] == expected
    refused = next(
        each.error for each in response.attempts if each.error and each.error.kind == "dns"
    )
    assert (
        refused.message.startswith("the name of model.test:")
        and "Temporary failure in name resolution" in refused.message
    )


@pytest.fixture
def _fresh_trust() -> Iterator[None]:
    """Certificates are believed as the environment says now, not as it said when the process first
    looked."""
    shared_ssl_context.cache_clear()
    yield
    shared_ssl_context.cache_clear()


@pytest.mark.usefixtures("_fresh_trust")
@pytest.mark.parametrize(
    ("certified", "reason"),
    [
        pytest.param(
            {"expired": True, "trusted": True}, "certificate has expired", id="N10-expired"
        ),
        pytest.param({"trusted": False}, "self-signed certificate", id="N10-self-signed"),
        pytest.param(
            {"host": "DNS:elsewhere.example", "trusted": True},
            "certificate is not valid for '127.0.0.1'",
            id="N10-wrong-host",
        ),
    ],
)
def test_a_certificate_that_is_not_to_be_trusted_is_explained(
    tmp_path: Path, certified: dict[str, Any], reason: str
) -> None:
    trusted = certified.pop("trusted")
    context = certificate(tmp_path, "server", **certified)
    cli = Command(tmp_path, {"SSL_CERT_FILE": str(tmp_path / "server.pem")} if trusted else {})
    with background(in_turn(OK), context) as server:
        ended = cli(
            "run", write_suite(tmp_path, CASES, "retries: 0", tiny=server.url), "--out", "run"
        )
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert "no secure connection to 127.0.0.1:" in ended.err and reason in ended.err
    assert "nothing was sent" in ended.err
    assert server.received == []


@row("N11")
def test_proxy_variables_do_not_capture_loopback(simulator: Simulated, tmp_path: Path) -> None:
    proxies = dict.fromkeys(
        ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
    )
    ended = Command(tmp_path, proxies)(
        "run", write_suite(tmp_path, CASES, "retries: 0", tiny=simulator.openai), "--out", "run"
    )
    assert ended.code == ExitCode.OK, ended.err
    assert {record.error for record in read_records(tmp_path / "run")} == {None}
    assert len(simulator.requests()) == len(CASES)


@row("N11-said")
def test_a_proxy_on_the_way_is_named_without_its_password(tmp_path: Path) -> None:
    with background(in_turn(OK)) as proxy:
        place = f"127.0.0.1:{proxy.port}"
        cli = Command(tmp_path, {"http_proxy": f"http://user:canary-7@{place}"})
        ended = cli(
            "run",
            write_suite(tmp_path, CASES[:1], "stream: false", tiny="http://model.invalid/v1"),
            "--out",
            "run",
        )
    assert ended.code == ExitCode.OK, ended.err
    assert f"target 'tiny' is reached through the proxy http://{place} (http_proxy)\n" in ended.err
    assert "canary-7" not in ended.out + ended.err
    assert proxy.received[0].line == "POST http://model.invalid/v1/chat/completions HTTP/1.1"


@row("N12")
def test_concurrency_is_clipped_to_the_open_file_limit(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    simulator.faults({"kind": "slow", "seconds": 0.1})
    cases = [f"c{number}" for number in range(100)]
    suite = write_suite(tmp_path, cases, "concurrency: 500, retries: 0", tiny=simulator.openai)
    ended = cli.under(["prlimit", "--nofile=64:64"], "run", suite, "--out", "run")
    assert ended.code == ExitCode.OK, ended.err
    said = re.search(
        r"concurrency is limited to (\d+) for each target: this process may open only 64 files",
        ended.err,
    )
    assert said is not None, ended.err
    assert {record.error for record in read_records(tmp_path / "run")} == {None}
    (session,) = read_manifest(tmp_path / "run").sessions
    assert session.in_flight is not None
    assert session.in_flight <= int(said[1]) < 64


# ── Connections that die ──────────────────────────────────────────────────────────────────────────


@row("N13")
def test_cancelled_requests_do_not_wedge_the_slots() -> None:
    """300 requests over 10 slots, each given up at some point between its first step and its
    answer; then all is well."""
    draw = random.Random(13)

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(
            head("200 OK", "application/json", f"Content-Length: {len(COMPLETION)}"), pause=0.002
        )
        await peer.send(COMPLETION)

    async def work() -> list[Response]:
        async with serving(answer) as server, stack() as send:
            one = asking(server.url, stream=False, concurrency=10)
            for _ in range(10):
                doomed = [asyncio.ensure_future(send(replace(one, key=f"d{n}"))) for n in range(30)]
                for each in doomed:
                    asyncio.get_running_loop().call_later(draw.uniform(0, 0.02), each.cancel)
                await asyncio.gather(*doomed, return_exceptions=True)
            return await asyncio.wait_for(
                send_all(send, [replace(one, key=f"k{n}") for n in range(100)]), 10
            )

    assert [kinds(response) for response in run(work())] == [[None]] * 100


async def _close_after(request: Received, peer: Peer) -> None:
    await peer.send(OK)
    peer.close()


@row("N14-closed-when-idle")
def test_an_idle_connection_that_was_closed_costs_no_answer() -> None:
    async def work() -> tuple[list[Response], int]:
        async with serving(_close_after) as server, stack() as send:
            one = asking(server.url, stream=False, concurrency=1)
            return [await send(replace(one, key=f"k{n}")) for n in range(30)], len(server.received)

    responses, received = run(work())
    assert {response.error for response in responses} == {None}
    tried = [kind for response in responses for kind in kinds(response)]
    assert {*tried} <= {None, "idle_closed"}, "the close may meet the next request"
    assert received <= len(tried)


@asynccontextmanager
async def second_request_meets(answer: Answer) -> AsyncIterator[tuple[Send, Any, list[Received]]]:
    """A stack whose one kept connection meets `answer` with its second request; the third and later
    are answered."""
    received: list[Received] = []

    async def each(request: Received, peer: Peer) -> None:
        received.append(request)
        await (answer if len(received) == 2 else in_turn(OK))(request, peer)

    async with serving(each) as server, stack() as send:
        one = asking(server.url, stream=False, concurrency=1, retries=0)
        await send(one)
        yield send, replace(one, key="second"), received


@pytest.mark.parametrize(
    ("answer", "expected", "asked"),
    [
        pytest.param(sends(then="close"), ["idle_closed", None], 3, id="N14-race-fin"),
        pytest.param(sends(then="reset"), ["idle_closed", None], 3, id="N14-race-rst"),
        pytest.param(
            sends(b"HTTP/1.1 2", then="close", pause=0.02), ["reset"], 2, id="N14-a-byte-had-come"
        ),
    ],
)
def test_a_request_is_sent_once_more_only_where_no_byte_had_come(
    answer: Answer, expected: list[str | None], asked: int
) -> None:
    async def work() -> tuple[Response, list[Received]]:
        async with second_request_meets(answer) as (send, one, received):
            return await send(one), received

    response, received = run(work())
    assert kinds(response) == expected
    assert len(received) == asked
    names = [each.headers["x-client-request-id"] for each in received[1:]]
    assert names == ["second-t0-0", "second-t0-1"][: len(expected)]


@row("N14-twice")
def test_a_fresh_connection_that_is_closed_is_an_error_and_not_asked_a_third_time() -> None:
    response, requests = asked_once(sends(then="close"), retries=0)
    assert (kinds(response), requests) == (["reset"], 1)


HURRIED = "concurrency: 4, retries: 6, timeout: {connect: 1s, first: 500ms, idle: 500ms, total: 5s}"


@row("N15-stopped")
def test_a_server_that_freezes_for_a_while(cli: Command, tmp_path: Path) -> None:
    """SIGSTOP in the middle of the run, SIGCONT a second later."""
    with start(STEADY) as process:

        def disturb() -> None:
            wait_for_records(tmp_path / "run", 8)
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(1)
            os.kill(process.pid, signal.SIGCONT)

        run_disturbed(
            cli, write_suite(tmp_path, CASES, HURRIED, tiny=process.base_url + "/v1"), disturb
        )
    assert_all_answered(tmp_path / "run", "timeout_first")


@row("N15-restarted")
def test_a_server_that_dies_and_comes_back_on_its_port(cli: Command, tmp_path: Path) -> None:
    with closed_port() as place:
        port = place.partition(":")[2]
    with simulator_at(port) as first, ExitStack() as second:

        def disturb() -> None:
            wait_for_records(tmp_path / "run", 8)
            first.kill()  # the other takes a while to start
            second.enter_context(simulator_at(port))

        run_disturbed(
            cli, write_suite(tmp_path, CASES, HURRIED, tiny=f"http://{place}/v1"), disturb
        )
    assert_all_answered(tmp_path / "run", "connect")


@row("N15-gone")
def test_a_server_that_stays_away_is_given_up_and_its_trials_are_owed(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_errors, "GIVEN_UP_AFTER", 0.5)
    with closed_port() as place:
        port = place.partition(":")[2]
    suite = write_suite(tmp_path, CASES, HURRIED, tiny=f"http://{place}/v1")
    with simulator_at(port) as server, ThreadPoolExecutor(1) as aside:
        happened = aside.submit(lambda: (wait_for_records(tmp_path / "run", 8), server.kill()))
        ended = cli("run", suite, "--out", "run")
        happened.result()
    assert ended.code == ExitCode.INFRASTRUCTURE
    assert (
        "it is not called again, because it would fail the same way: could not connect to 127.0.0.1:"
        in ended.out
    )
    errors = [record.error for record in read_records(tmp_path / "run") if record.error]
    cut = [error for error in errors if error.kind == "truncated"]
    assert len(cut) <= 4, "the answers the server was giving when it died: one a slot"
    assert len(errors) - len(cut) <= 8, "no more than were open when it was given up"
    with simulator_at(port):
        assert resume_requests(tmp_path / "run").codes == ()
    last = {record.key: record.error for record in read_records(tmp_path / "run")}
    assert list(last.values()) == [None] * len(CASES)


STEADY = Config(ttft_s=0.02, inter_token_s=0, jitter=0)


def run_disturbed(cli: Command, suite: Path, disturb: Callable[[], None]) -> None:
    """A run in whose middle something happens to its server."""
    with ThreadPoolExecutor(1) as aside:
        happened = aside.submit(disturb)
        ended = cli("run", suite, "--out", "run")
        happened.result()
    assert ended.code == ExitCode.OK, ended.err


@contextmanager
def simulator_at(port: str) -> Iterator[subprocess.Popen[bytes]]:
    """A simulator on this port, killed at the end."""
    command = [
        sys.executable,
        "-m",
        "harness.simulator",
        "--port",
        port,
        "--config",
        STEADY.to_json(),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def assert_all_answered(folder: Path, met: str) -> None:
    """Every trial has its answer, and some met this error on the way."""
    records = list(read_records(folder))
    assert [record.error for record in records] == [None] * len(CASES)
    tries = [attempt for record in records for attempt in record.exchanges[0].response.attempts]
    assert met in {attempt.error.kind for attempt in tries if attempt.error}
