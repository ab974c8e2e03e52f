"""A service of the user's own, described in the suite: from the suite to the bytes on the wire and
the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.model import Record, Request, Target
from harness.providers.http.service import request_context
from harness.runs.folder import read_records
from harness.suite.targets.http_service import REQUEST_VARIABLES
from tests.faults.rows import background
from tests.support import Command, Ended
from tests.transport.servers import Answer, Peer, Received, Server, chunk, head, whole

SUITE = """\
suite: service
prompts: [{{system: Be brief., user: "{{{{ question }}}}"}}]
cases: [{{id: refund, vars: {{question: "Where is my \\"refund\\"?"}}, expected: Berlin}}]
graders: [{{contains: "{{{{ expected }}}}"}}]
targets:
  - name: shop
    provider: http
    model: v2
    base_url: "{url}"
    price: {{input: 1, output: 1}}
{target}
sampling: {{temperature: 0.5}}
run: {{retries: 0}}
"""
ASK = """\
    headers: {X-Tenant: acme, X-Token: "${SHOP_TOKEN}"}
    http:
      path: "/answer?lang={{ 'de AT' | urlencode }}"
      body:
        question: "{{ user }}"
        context: "{{ system }}"
        turns: "{{ messages | length }}"
        settings: {t: "{{ sampling.temperature }}", p: "{{ sampling.top_p }}", note: null}
        stream: "{{ stream }}"
        engine: shop-{{ model }}
      answer:
        text: $.result.parts[*].text
        reasoning: result.thought
        model: $['served by']
        finish_reason: result.why
        usage: {input: $.tokens.in, output: $.tokens.out}
        cost: $.billed.usd
        error: $.problem.detail
"""
ANSWER = {
    "result": {"parts": [{"text": "In "}, {"text": "Berlin"}], "thought": "hm", "why": "length"},
    "tokens": {"in": 12, "out": 3},
    "billed": {"usd": 0.25},
    "served by": "v2.1",
}
STREAM = """\
    http:
      body: {q: "{{ user }}", stream: "{{ stream }}"}
      answer: {usage: $.usage, error: $.error}
      stream: {text: $.delta, done: $.final}
"""
EVENTS = head("200 OK", "text/event-stream", "Transfer-Encoding: chunked")


def answers(*pieces: bytes) -> Answer:
    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(*pieces)

    return answer


def ask(folder: Path, target: str, *pieces: bytes) -> tuple[Ended, Record, Server]:
    """A run of the suite against a server that sends `pieces`."""
    cli = Command(folder, {"SHOP_TOKEN": "canary-token-7"})
    with background(answers(*pieces)) as server:
        url = server.url.removesuffix("/v1") + "/api/"
        (folder / "suite.yaml").write_text(SUITE.format(url=url, target=target))
        ended = cli("run", "suite.yaml", "--out", "run")
    assert (folder / "run").is_dir(), ended.err
    (record,) = read_records(folder / "run")
    return ended, record, server


def event(value: Any) -> bytes:
    return chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


def test_a_request_is_as_described_and_the_answer_is_read_by_its_paths(tmp_path: Path) -> None:
    ended, record, server = ask(tmp_path, ASK, whole(json.dumps(ANSWER).encode()))
    assert ended.code == ExitCode.OK, ended.err
    (request,) = server.received
    assert request.line == "POST /api/answer?lang=de%20AT HTTP/1.1"
    assert json.loads(request.body) == {
        "question": 'Where is my "refund"?',
        "context": "Be brief.",
        "turns": 2,
        "settings": {"t": 0.5, "note": None},
        "stream": False,
        "engine": "shop-v2",
    }
    assert (request.headers["x-tenant"], request.headers["x-token"]) == ("acme", "canary-token-7")
    response, usage = record.response, record.response and record.response.usage
    assert response is not None and usage is not None and response.message is not None
    assert (response.text, response.message.reasoning) == ("In Berlin", "hm")
    assert (response.model, response.finish_reason) == ("v2.1", "length")
    assert (usage.input, usage.output, usage.cost, usage.source) == (12, 3, 0.25, "reported")
    assert record.passed is True
    written = [path.read_text("utf-8", "replace") for path in (tmp_path / "run").glob("*.*")]
    assert not any("canary-token-7" in text for text in written)


def test_a_stream_is_read_event_by_event(tmp_path: Path) -> None:
    pieces = [event({"delta": "In "}), event({"delta": "Berlin"})]
    end = event({"final": True, "usage": {"prompt_tokens": 7, "completion_tokens": 2}})
    ended, record, server = ask(tmp_path, STREAM, EVENTS, *pieces, end, chunk(b""))
    assert ended.code == ExitCode.OK, ended.err
    assert json.loads(server.received[0].body)["stream"] is True
    response = record.response
    assert response is not None and response.usage is not None
    assert (response.text, response.usage.output) == ("In Berlin", 2)
    marks = response.attempts[-1].marks
    assert marks is not None and len(marks.events) == 2 and marks.first_token is not None


@pytest.mark.parametrize(
    ("target", "pieces", "kind", "says"),
    [
        (ASK, [whole(b'{"problem": {"detail": "no such shop"}}')], "server_error", "no such shop"),
        (
            ASK,
            [whole(b'{"problem": {"detail": "who are you?"}}', "401 Unauthorized")],
            "unauthorized",
            "HTTP 401: who are you?",
        ),
        (ASK, [whole(b'{"other": 1}')], "empty", "no text at $.result.parts[*].text"),
        (ASK, [whole(b"<html>")], "unreadable", "not JSON"),
        (STREAM, [EVENTS, event({"delta": "In"}), chunk(b"")], "truncated", "terminal signal"),
        (STREAM, [EVENTS, event({"error": "gone"}), chunk(b"")], "server_error", "gone"),
        (STREAM, [EVENTS, event({"delta": "x", "usage": 3}), event({"final": 1})], "bad_answer", "usage"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_an_error(
    tmp_path: Path, target: str, pieces: list[bytes], kind: str, says: str
) -> None:
    _, record, _ = ask(tmp_path, target, *pieces)
    assert record.error is not None
    assert (record.error.kind, says in record.error.message) == (kind, True), record.error


@pytest.mark.parametrize(
    ("target", "line", "body"),
    [
        ('    http: {method: GET, path: "?q={{ user | urlencode }}"}', "GET /api/?q=Where%20is%20my%20%22refund%22%3F HTTP/1.1", b""),
        ('    http: {body: "q={{ user }}"}', "POST /api/ HTTP/1.1", b'q=Where is my "refund"?'),
    ],
)  # fmt: skip
def test_an_answer_without_paths_is_the_whole_text(
    tmp_path: Path, target: str, line: str, body: bytes
) -> None:
    plain = whole(b"In Berlin\n", "200 OK", "text/plain")
    ended, record, server = ask(tmp_path, target, plain)
    assert ended.code == ExitCode.OK, ended.err
    assert record.response is not None and record.response.text == "In Berlin"
    assert (server.received[0].line, server.received[0].body) == (line, body)
    assert record.response.usage is not None and record.response.usage.source == "estimated"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("", "the target `shop` needs `http:`"),
        ("    http: {answer: {text: '$..x'}}", "'$..x' is not a JSON path; write one such as"),
        ("    http: {body: {q: '{{ usr }}'}}", "names `usr`, which is not part of a request; did you mean `user`"),
        ("    http: {body: {q: '{{ user'}}", "in the template"),
        ("    http: {answer: {txt: $.a}}", "did you mean `text`"),
        ("    http: {body: '{{ sampling.nothing }}'}", "suite.yaml:6:5: target shop: in the template"),
    ],
)  # fmt: skip
def test_a_wrong_description_is_told_before_anything_is_sent(
    cli: Command, target: str, says: str
) -> None:
    suite = SUITE.format(url="http://127.0.0.1:9", target=target)
    (cli.folder / "suite.yaml").write_text(suite)
    ended = cli("validate", "suite.yaml")
    assert ended.code == ExitCode.USAGE
    assert says in " ".join(ended.err.split())


def test_the_templates_see_what_is_checked() -> None:
    target = Target("t", "http", "m", "", "")
    assert request_context(target, Request()).keys() == REQUEST_VARIABLES
