"""B01–B08: answers that are empty, odd, enormous, damaged or not what was asked for; most of them
cases of one run."""

# Wire bytes stand here as they are on the wire.

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.model import Message, Record, Request, Response, ResponseFormat, Tool
from tests.faults.rows import Proof, Row, background, row, run_rows, table
from tests.faults.stack import asking, run, stack
from tests.support import Command
from tests.transport.servers import (
    COMPLETION,
    DONE,
    END,
    EVENTS,
    GOOD_STREAM,
    STOP,
    Answer,
    Peer,
    Received,
    chunk,
    head,
    sends,
    serving,
    whole,
)

ROOT = Path(__file__).parents[2]
JSON = ("200 OK", "application/json")


def answers(body: bytes | str, *more: str, kind: str = "application/json") -> tuple[Answer, ...]:
    """A 200 with this body, on a connection that stays."""
    raw = body if isinstance(body, bytes) else body.encode()
    return (sends(whole(raw, "200 OK", kind, *more), then="keep"),)


def completion(message: str, finish: str | None = "stop", model: str = "tiny", **more: Any) -> str:
    """A completion whose message is this JSON."""
    rest = json.dumps(
        {"model": model, "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **more}
    )[1:]
    return f'{{"choices":[{{"index":0,"message":{message},"finish_reason":{json.dumps(finish)}}}],{rest}'


def says(text: str) -> str:
    """A completion that says `text`, written in ASCII."""
    return completion(json.dumps({"role": "assistant", "content": text}))


def thought(record: Record, response: Response) -> None:
    """The reasoning is kept, and is not the answer."""
    assert response.message is not None
    assert response.message.reasoning == "hm"


def called(record: Record, response: Response) -> None:
    """The tool call is the answer."""
    assert response.message is not None
    assert [call.name for call in response.message.tool_calls] == ["f"]


def quoted(record: Record, response: Response) -> None:
    """At most 200 characters of a foreign body, and nothing in them that a terminal would obey."""
    assert record.error is not None
    prefix, _, quoted = record.error.message.partition(": '")
    assert prefix == "the provider's answer is not JSON (Expecting value: line 1 column 1 (char 0))"
    assert len(quoted.removesuffix("'").replace("\\\\", "\\")) <= 200


def served_as_other(record: Record, response: Response) -> None:
    """Both names are recorded."""
    assert response.model == "other-model@main"


HOSTILE = {
    "B06-surrogate": "lone \ud800 end",
    "B06-nul": "nul \u0000 end",
    "B06-c0": "bell \u0007 escape \u001b[2J end",
    "B06-osc": "\u001b]52;c;ZXZpbA==\u0007 end",
    "B06-bidi": "\u202e end \u2066",
}
MEBIBYTE = b" " * 2**20


def bomb(mebibytes: int) -> bytes:
    """A gzip of so much white space."""
    packer = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(MEBIBYTE) for _ in range(mebibytes)) + packer.flush()


BOMB = bomb(160)


GZIP = "Content-Encoding: gzip"
LOGIN = (
    "<!doctype html><html><title>Log in</title>\x1b[31m<script>alert(1)</script>"
    + "<p>please</p>" * 200
)

ROWS = [
    Row("B01-no-choices", "choices: []", answers('{"choices":[]}'), "", ("empty",)),
    Row("B01-null", "content: null", answers(completion('{"content":null}')), "", flags=("empty",)),
    Row("B01-nothing", 'content: ""', answers(completion('{"content":""}')), "", flags=("empty",)),
    Row("B01-endless", "content: null and no finish reason", answers(completion('{"content":null}', None)), "", ("empty",)),
    Row("B01-refusal", "a refusal", answers(completion('{"content":null,"refusal":"I cannot."}')), "I cannot.", flags=("refusal",)),
    Row("B01-tools", "tool calls only", answers(completion('{"content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}', "tool_calls")), "", also=called),
    Row("B01-reasoning", "reasoning only", answers(completion('{"content":null,"reasoning_content":"hm"}', "length")), "", flags=("empty",), also=thought),
    Row("B02-error", "200 with an error object", answers('{"error":{"message":"the deployment sleeps"}}'), "", ("server_error",), "the deployment sleeps"),
    Row("B02-login", "200 with a login page", answers(LOGIN, kind="text/html"), "", ("unreadable",), "<title>Log in</title>", also=quoted),
    Row("B02-nothing", "200 with an empty body", answers(""), "", ("empty",), "with an empty body"),
    Row("B02-array", "200 with an array", answers("[1]"), "", ("unreadable",), "no JSON object: [1]"),
    Row("B03-gzip", "gzip, as asked for", answers(gzip.compress(COMPLETION), GZIP)),
    Row("B03-bomb", "160 MiB inside 700 KiB of gzip", answers(BOMB, GZIP), "", ("too_large",), "longer than 67108864 bytes"),
    Row("B03-deflate", "deflate", answers(zlib.compress(COMPLETION), "Content-Encoding: deflate")),
    Row("B03-no-gzip", "a header that lies", answers(COMPLETION, GZIP), "", ("protocol",), "the body is not valid gzip, although its header says so"),
    Row("B03-br", "an encoding nobody asked for", answers(COMPLETION, "Content-Encoding: br"), "", ("protocol",), "the encoding 'br', which was not requested"),
    Row("B05-deep", "100,000 brackets", answers(b"[" * 100_000), "", ("unreadable",), "is nested too deeply"),
    Row("B05-deep-object", "100,000 nested objects", answers(b'{"a":' * 100_000), "", ("unreadable",)),
    Row("B05-digits", "an integer of 5,000 digits", answers('{"n":' + "9" * 5_000 + "}"), "", ("unreadable",), "5,000 digits"),
    Row("B05-nan", "NaN", answers('{"n":NaN}'), "", ("unreadable",), "NaN is not a JSON number"),
    Row("B05-twice", "a key that comes twice", answers(completion('{"content":"no","content":"Hello"}'))),
    *(Row(name, "control characters or half a character in the text", answers(says(text)), text) for name, text in HOSTILE.items()),
    Row("B07", "another model's name", answers(completion('{"content":"Hello"}', model="other-model@main")), also=served_as_other),
    Row("S12-stream", "JSON was asked for, a stream answered", (sends(*GOOD_STREAM, then="keep"),)),
]  # fmt: skip


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    """One run through every row."""
    return run_rows(tmp_path_factory.mktemp("bodies"), ROWS, stream=False, timeout="20s")


@table(ROWS)
def test_a_body(proof: Proof, proved: Row) -> None:
    proof.check(proved)


@row("B03-asks")
def test_only_encodings_that_can_be_read_are_asked_for(proof: Proof) -> None:
    assert {request.headers["accept-encoding"] for request in proof.requests} == {"gzip"}


# ── B06: every place the text is written to ───────────────────────────────────────────────────────


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    def handle_data(self, data: str) -> None:
        self.text.append(data)


CONTROLS = set(map(chr, [*range(9), 11, 12, *range(14, 32), 127])) | set("\u202e\u2066")


@row("B06-html")
def test_the_html_report_shows_controls_and_obeys_none(proof: Proof) -> None:
    reader = _Text()
    reader.feed((proof.folder / "report.html").read_text())
    assert not CONTROLS & set("".join(reader.text))
    assert "B06-nul" in "".join(reader.text)


@row("B06-csv")
def test_the_csv_can_be_read_back(proof: Proof) -> None:
    text = (proof.folder / "results.csv").read_text()
    assert not CONTROLS & set(text)
    assert len(list(csv.DictReader(text.splitlines()))) >= 1


@row("B06-junit")
def test_junit_is_valid_xml(proof: Proof, tmp_path: Path) -> None:
    assert ElementTree.parse(proof.folder / "junit.xml").getroot().tag == "testsuites"


@row("B06-terminal")
def test_the_terminal_is_shown_controls_and_obeys_none(proof: Proof) -> None:
    shown = Command(proof.folder.parent)("show", "run", "B06-c0").out
    assert "bell" in shown and "escape" in shown
    assert not CONTROLS & set(shown)
    assert not CONTROLS & set(proof.out)


# ── B04: what cannot fit ──────────────────────────────────────────────────────────────────────────


def pours(start: bytes, *, times: int, piece: bytes) -> Answer:
    """Much more than anybody wants."""

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(start)
        for _ in range(times):
            await peer.send(piece)

    return answer


BODY = pours(head(*JSON, "Content-Length: 1073741824"), times=1024, piece=MEBIBYTE)
LINE = pours(EVENTS + chunk(b"data: "), times=64, piece=chunk(MEBIBYTE))
HEADERS = pours(b"HTTP/1.1 200 OK\r\nX: ", times=64, piece=MEBIBYTE)
INFLATED = sends(whole(BOMB, *JSON, GZIP), then="close")


@pytest.mark.parametrize(
    ("how", "poured", "most"),
    [
        pytest.param("whole", HEADERS, 16, id="B04-headers"),
        pytest.param("stream", LINE, 48, id="B04-line"),
        pytest.param("whole", BODY, 128, id="B04-body"),
        pytest.param("whole", INFLATED, 128, id="B03-memory"),
    ],
)
def test_memory_is_bounded(how: str, poured: Answer, most: int) -> None:
    """64 MiB of headers, of a line, 1 GiB of body, 160 MiB inside 700 KiB: refused, and never held;
    `most` is in MiB."""
    with background(poured) as server:
        command = [sys.executable, "-m", "tests.faults.glutton", how, server.url]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
    kind, before, after = json.loads(done.stdout)
    assert kind == "too_large"
    assert after - before < most


# ── B07, B08: not what was asked for ──────────────────────────────────────────────────────────────


@row("B07-said")
def test_another_models_name_is_said_once(proof: Proof) -> None:
    said = "tiny was asked for the model tiny but reports other-model@main"
    assert " ".join(proof.out.split()).count(said) == 1


WEATHER = Tool("weather", "Tells the weather", {"type": "object", "properties": {}})


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("asked", "flags"),
    [
        pytest.param({"sampling": {"n": 3}}, ("ignored_n",), id="B08-n"),
        pytest.param({"sampling": {"logprobs": True}}, ("ignored_logprobs",), id="B08-logprobs"),
        pytest.param(
            {"response_format": ResponseFormat("json_object")},
            ("ignored_response_format",),
            id="B08-schema",
        ),
        pytest.param(
            {"tools": (WEATHER,), "tool_choice": "required"},
            ("ignored_tool_choice",),
            id="B08-tools",
        ),
        pytest.param(
            {"tools": (WEATHER,), "tool_choice": "auto"}, (), id="B08-tools-need-not-be-called"
        ),
    ],
)
def test_a_parameter_that_is_ignored_is_noticed(
    asked: dict[str, Any], flags: tuple[str, ...], stream: bool
) -> None:
    """The server answers as if it had not been asked for anything but text."""

    async def work() -> Response:
        body = GOOD_STREAM if stream else (whole(COMPLETION),)
        async with serving(sends(*body, then="keep")) as server, stack() as send:
            return await send(
                asking(server.url, Request((Message("user", "Hi"),), stream=stream, **asked))
            )

    response = run(work())
    assert (response.text, response.error, response.flags) == ("Hello", None, flags)


HEEDED = (
    EVENTS,
    chunk(
        b'data: {"choices":[{"index":0,"delta":{"content":"{}"},"logprobs":{"content":[]}}]}\n\n'
    ),
    chunk(b'data: {"choices":[{"index":1,"delta":{"content":"{}"},"finish_reason":"stop"}]}\n\n'),
    STOP,
    DONE + END,
)


@row("B08-heeded")
def test_a_parameter_that_shows_is_not_flagged() -> None:
    asked = Request(
        (Message("user", "Hi"),),
        {"n": 2, "logprobs": 5},
        response_format=ResponseFormat("json_object"),
    )

    async def work() -> Response:
        async with serving(sends(*HEEDED)) as server, stack() as send:
            return await send(asking(server.url, asked))

    assert run(work()).flags == ()
