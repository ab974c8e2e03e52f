"""S01–S20: streams that stall, drip, break off, lie about their end, or come in pieces; each a case
of one streamed run."""

# Wire bytes stand here as they are on the wire.
# ruff: noqa: UP031

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness import registry
from harness.model import Message, Record, Request, Response, Target, ToolCall
from harness.providers.base import DecodedResponse, Provider
from harness.transport.http.sse import EventReader
from tests.faults.rows import GOOD, Proof, Row, frames, paused, row, run_rows, table
from tests.faults.stack import asking, faster, kinds, run, stack
from tests.providers.cloudflare.test_native import CHUNK, NATIVE, usage
from tests.providers.openai.test_chat_completions import STREAM
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
    chunk,
    delta,
    head,
    sends,
    serving,
    whole,
)

openai = registry.load_plugin("providers", "openai")

cloudflare = registry.load_plugin("providers", "cloudflare")

PATIENCE = "{connect: 2s, first: 800ms, idle: 800ms, total: 3s}"


def keeps(*pieces: bytes, pause: float = 0.0) -> Answer:
    """A complete answer on a connection that stays."""
    return sends(*pieces, then="keep", pause=pause)


def event(data: str | bytes, name: str = "") -> bytes:
    """An event with this `data:`, as one chunk."""
    raw = data if isinstance(data, bytes) else data.encode()
    return chunk((f"event: {name}\n".encode() if name else b"") + b"data: " + raw + b"\n\n")


def said(content: str, **more: Any) -> bytes:
    """A content event whose JSON is pure ASCII."""
    return event(json.dumps({"choices": [{"index": 0, "delta": {"content": content, **more}}]}))


def stream(*events: bytes) -> Answer:
    """A stream of these events that ends as it should, in one packet an event."""
    return keeps(EVENTS, *events, STOP, USAGE, DONE + END)


def raw_stream(data: bytes) -> Answer:
    """A stream of these very bytes, cut at 7 bytes a packet, with a proper HTTP end."""
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    return keeps(head("200 OK", "text/event-stream", f"Content-Length: {len(data)}"), *pieces)


def reported(record: Record, response: Response) -> None:
    """The usage is the server's, and so is the cost."""
    used = response.usage
    assert used is not None
    assert (used.input_tokens, used.output_tokens, used.source) == (3, 2, "reported")
    assert record.cost == pytest.approx((3 + 2 * 2) / 1e6)


def estimated(record: Record, response: Response) -> None:
    """The usage is our own estimate and says so; what was billed stays unknown."""
    used = response.usage
    assert used is not None and used.input_tokens is not None
    assert used.source == "estimated"
    assert used.input_tokens > 5 and used.output_tokens == 1
    assert response.attempts[-1].usage is None
    assert record.cost is None


def prompt_end(record: Record, response: Response) -> None:
    """It was over when it said so, whatever the connection did then."""
    assert response.marks.done is not None and response.marks.sent is not None
    assert response.marks.done - response.marks.sent < 0.7e9


def called(*calls: ToolCall) -> Callable[[Record, Response], None]:
    """The answer is these tool calls."""

    def check(record: Record, response: Response) -> None:
        assert response.message is not None
        assert response.message.tool_calls == calls

    return check


def timed(record: Record, response: Response) -> None:
    """S20: the role came at once, the first text 0.3 s later."""
    marks = response.marks
    assert marks.first_token is not None and marks.first_byte is not None and marks.sent is not None
    assert marks.first_byte - marks.sent < 0.25e9
    assert marks.first_token - marks.sent >= 0.3e9
    assert marks.events[0] == marks.first_token == marks.first_answer


CUT_EVENT = delta("lo")[:20]
HALF = b'data: {"choices":[{"index":0,"delta":{"con'
SHORT = head("200 OK", "text/event-stream", "Content-Length: 999")
UNFRAMED = head("200 OK", "text/event-stream", "Connection: close")
HEL = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
BROKEN_EVENT = event('{"error":{"message":"bad gateway","code":502}}')
TOO_LONG = event(
    '{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}'
)
ANTHROPIC = event(
    '{"type":"error","error":{"type":"invalid_request_error","message":"no"}}', "error"
)
WHOLE_WRAPPED = b"data: " + COMPLETION + b"\n\n"
FINISHED = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'


def sse(text: str) -> bytes:
    """`text` as the content of an event whose JSON is not escaped, then its end; lines end
    with LF."""
    return b'data: {"choices":[{"delta":{"content":"' + text.encode() + b'"}}]}\n\n' + FINISHED


def choices(content: str, used: str, finish: str = "null") -> bytes:
    """A chunk with a usage of its own."""
    return event(
        '{"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":%s}],"usage":%s}'
        % (content, finish, used)
    )


UNUSED = (EVENTS, delta("Hello"), STOP)
TOOLS = (
    '{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a","type":"function",'
    '"function":{"name":"f","arguments":""}}]}}]}',
    '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}]}}]}',
    '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"x\\""}}]}}]}',
    '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}',
    '{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
)

ROWS = [
    Row("S01", "silence before the headers, once", (sends(), GOOD), tries=("timeout_first", None)),
    Row(
        "S01-for-ever", "silence before the headers", (sends(),), "", ("timeout_first",) * 2, "no content within 0.8 s of the request"
    ),
    Row("S02-headers", "silence after the headers, once", (sends(EVENTS), GOOD), tries=("timeout_first", None)),
    Row(
        "S02-middle", "silence after some content", (sends(EVENTS, delta("Hel")),), "Hel", ("timeout_idle",),
        "sent no further content for 0.8 s",
    ),
    Row(
        "S03-bytes", "a byte of an event every 0.3 s", (sends(EVENTS, *(bytes([each]) for each in chunk(HEL)), pause=0.3),), "",
        ("timeout_first",) * 2, "no content within 0.8 s",
    ),
    Row(
        "S03-total", "a content event every 0.1 s, for ever", (sends(EVENTS, *[delta("a")] * 99, pause=0.1),), None,
        ("timeout_total",), "had not finished its answer after 3 s",
        also=lambda record, response: _assert(10 <= len(response.text) <= 30),
    ),
    Row(
        "S04-pings", "comments only, after some content", (sends(EVENTS, delta("Hel"), *[PING] * 99, pause=0.1),), "Hel",
        ("timeout_idle",),
    ),
    Row("S04-pings-first", "comments only", (sends(EVENTS, *[PING] * 99, pause=0.1),), "", ("timeout_first",) * 2),
    Row(
        "S04-empty-deltas", "empty deltas only, after some content", (sends(EVENTS, delta("Hel"), *[ROLE] * 99, pause=0.1),), "Hel",
        ("timeout_idle",),
    ),
    Row("S05-clean", "a proper end, no terminal signal", (keeps(EVENTS, delta("Hel"), END),), "Hel", ("truncated",)),
    Row("S05-half-event", "half an event, then a proper end", (keeps(EVENTS, delta("Hel"), chunk(HALF), END),), "Hel", ("truncated",)),
    Row("S05-short-length", "less than Content-Length says", (sends(SHORT, HEL, then="close"),), "Hel", ("truncated",)),
    Row("S05-in-chunk", "FIN inside a chunk", (sends(EVENTS, delta("Hel"), CUT_EVENT, then="close"),), "Hel", ("truncated",)),
    Row("S05-reset", "RST", (sends(EVENTS, delta("Hel"), pause=0.05, then="reset"),), "Hel", ("truncated",)),
    Row("S05-until-close", "FIN ends an unframed body", (sends(UNFRAMED, HEL, HALF, then="close"),), "Hel", ("truncated",)),
    Row("S05-nothing-said", "a cut before any content, once", (keeps(EVENTS, ROLE, END), GOOD), tries=("truncated", None)),
    Row(
        "S06-reset", "RST inside an event", (sends(EVENTS, delta("Hel"), CUT_EVENT, pause=0.05, then="reset"),), "Hel",
        ("truncated",), "closed the connection in the middle of its answer: Connection reset by peer",
    ),
    Row(
        "S06-fin", "FIN inside an event", (sends(EVENTS, delta("Hel"), CUT_EVENT, then="close"),), "Hel", ("truncated",),
        "closed the connection in the middle of its answer: it closed the connection",
    ),
    Row("S07", "a finish_reason and no [DONE]", (keeps(EVENTS, delta("Hello"), STOP, USAGE, END),)),
    Row("S08", "[DONE] and no finish_reason", (keeps(EVENTS, delta("Hello"), DONE, END),), flags=("unknown_stop",)),
    Row("S08-nothing", "[DONE] alone", (keeps(EVENTS, ROLE, DONE, END),), "", ("empty",), "without content and without a tool call"),
    Row("S09-open", "the connection stays open after [DONE]", (sends(*GOOD_STREAM[:-1]),), also=prompt_end),
    Row("S09-junk", "more content after [DONE]", (sends(*GOOD_STREAM[:-1], delta("junk"), delta("junk")),), also=prompt_end),
    Row("S10", "a stream that contains no events", (keeps(EVENTS, END),), "", ("empty",), "with a stream that contains no events"),
    Row("S11-retryable", "an error event with the code 502, once", (keeps(EVENTS, BROKEN_EVENT, END), GOOD), tries=("server_error", None)),
    Row("S11-permanent", "an error event whose code is permanent", (keeps(EVENTS, TOO_LONG, END),), "", ("context_length",), "too long"),
    Row("S11-named", "`event: error`", (keeps(EVENTS, ANTHROPIC, END),), "", ("server_error",), "invalid_request_error): no"),
    Row(
        "S11-bare", "an error as a bare JSON line", (keeps(EVENTS, chunk(b'{"error":{"message":"no","code":400}}\n'), END),), "",
        ("bad_request",),
    ),
    Row(
        "S11-after-content", "a retryable error event after content", (keeps(EVENTS, delta("Hel"), BROKEN_EVENT, END),), "Hel",
        ("server_error",), "code 502",
    ),
    Row("S12-json", "a stream was asked for, JSON answered", (keeps(whole(COMPLETION)),)),
    Row("S12-wrapped", "one event that holds a whole answer", (raw_stream(WHOLE_WRAPPED),)),
    Row("S13-own-chunk", "usage in a chunk of its own", (keeps(*UNUSED, USAGE, DONE, END),), also=reported),
    Row(
        "S13-last-choice", "usage beside the finish reason", (keeps(EVENTS, choices("Hello", '{"prompt_tokens":3,"completion_tokens":2}', '"stop"'), DONE, END),),
        also=reported,
    ),
    Row(
        "S13-every-chunk", "usage in every chunk, growing, null at the end",
        (keeps(EVENTS, choices("Hel", '{"prompt_tokens":3,"completion_tokens":1}'), choices("lo", '{"prompt_tokens":3,"completion_tokens":2}'), choices("", "null", '"stop"'), DONE, END),),
        also=reported,
    ),
    Row("S13-never", "no usage", (keeps(*UNUSED, DONE, END),), also=estimated),
    Row("S13-null", "usage: null", (keeps(*UNUSED, event('{"choices":[],"usage":null}'), DONE, END),), also=estimated),
    Row(
        "S13-zero", "usage of zeros", (keeps(*UNUSED, event('{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}'), DONE, END),),
        also=estimated,
    ),
    Row(
        "S13-wrong", "usage that is no count", (keeps(*UNUSED, event('{"choices":[],"usage":{"prompt_tokens":-3,"completion_tokens":"2"}}'), DONE, END),),
        also=estimated,
    ),
    Row("S14-one-packet", "the whole answer in one packet", (keeps(b"".join(GOOD_STREAM)),)),
    Row("S14-bytes", "every byte a packet", (keeps(*(bytes([each]) for each in b"".join(GOOD_STREAM))),)),
    Row("S15-utf-8", "characters cut between packets", (keeps(EVENTS, *(chunk(bytes([each])) for each in sse("👩‍🚀 é")), DONE, END),), "👩‍🚀 é"),
    Row("S15-surrogates", "a surrogate pair cut between events", (stream(said("\ud83d"), said("\ude00 e")),), "😀 e"),
    Row("S16-u2028", "U+2028, U+2029 and U+0085 inside JSON", (raw_stream(sse("a\u2028b\u2029c\u0085e")),), "a\u2028b\u2029c\u0085e"),
    Row("S16-cr", "lines that end in CR", (raw_stream(sse("Hello").replace(b"\n", b"\r")),)),
    Row("S16-crlf", "lines that end in CRLF", (raw_stream(sse("Hello").replace(b"\n", b"\r\n")),)),
    Row("S16-bom", "a byte order mark", (raw_stream(b"\xef\xbb\xbf" + sse("Hello")),)),
    Row("S16-no-space", "`data:` without a space", (raw_stream(sse("Hello").replace(b"data: ", b"data:")),)),
    Row("S16-multi-line", "one event on several data lines", (raw_stream(sse("Hello").replace(b'{"choices":', b'{\ndata: "choices":\ndata: ')),)),
    Row("S16-nul", "NUL in a comment, and escaped in the text", (raw_stream(b": \0\n" + sse("H\\u0000e")),), "H\0e"),
    Row("S17", "a byte that is no UTF-8", (raw_stream(sse("caf#e").replace(b"#", b"\xff")),), "caf\ufffde", flags=("invalid_utf8",)),
    Row(
        "S18-nulls", "null deltas, null choices, unknown fields",
        (stream(event('{"choices":[{"index":0,"delta":null}],"novel":{}}'), event('{"choices":null}'), said("Hello", annotations=[], audio=None)),),
    ),
    Row(
        "S18-indices", "samples 1 … n-1 among those of sample 0",
        (stream(event('{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"}]}'), delta("Hello"), event('{"choices":[{"index":2,"delta":{"content":"no"}}]}')),),
    ),
    Row(
        "S18-tools", "two tool calls in interleaved fragments", (keeps(EVENTS, *map(event, TOOLS), DONE, END),), "",
        also=called(ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}")),
    ),
    Row(
        "S19", "40 tokens in one event, among empty ones",
        (keeps(EVENTS, ROLE, said("a" * 10 + "e"), ROLE, event('{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":40}}'), STOP, DONE, END, pause=0.01),),
        "a" * 10 + "e",
        also=lambda record, response: _assert(len(response.marks.events) == 1 and response.usage.output_tokens == 40),  # type: ignore[union-attr]
    ),
    Row("S20", "the role at once, the text 0.3 s later", (paused(0.3, delta("Hello"), STOP, DONE, END, first=(EVENTS, ROLE)),), also=timed),
    Row("B05-deep-event", "an event of 100,000 brackets", (stream(delta("Hel"), event(b"[" * 100_000)),), "Hel", ("unreadable",), "is nested too deeply"),
    Row("B05-digits-event", "an event with an integer of 5,000 digits", (stream(event(b'{"n":' + b"9" * 5_000 + b"}")),), "", ("unreadable",), "5,000 digits"),
    Row("B05-nan-event", "an event with NaN", (stream(event('{"n":NaN}')),), "", ("unreadable",), "NaN is not a JSON number"),
]  # fmt: skip


def _assert(holds: bool) -> None:
    assert holds


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    """One run through every row."""
    return run_rows(tmp_path_factory.mktemp("streams"), ROWS, stream=True, timeout=PATIENCE)


@table(ROWS)
def test_a_stream(proof: Proof, proved: Row) -> None:
    proof.check(proved)


# ── What the report makes of them ─────────────────────────────────────────────────────────────────


@row("S05-percentiles")
def test_cut_answers_are_in_no_latency_figure(proof: Proof) -> None:
    trials = frames(proof)
    answered = {each.id for each in ROWS if each.tries[-1] is None}
    assert set(trials.index[trials["latency"].notna()]) == answered
    summary = json.loads((proof.folder / "summary.json").read_text())
    assert summary["configurations"][0]["latency"]["p50"]["n"] == len(answered)
    assert summary["configurations"][0]["errors"] == len(ROWS) - len(answered)


@row("S19-measures")
def test_an_event_is_not_a_token(proof: Proof) -> None:
    trial = frames(proof).loc["S19"]
    assert trial["output_tokens"] == 40
    assert trial["tpot"] != trial["tpot"], "one arrival has no pace, however many tokens it brought"
    assert trial["output_tokens_per_s"] == pytest.approx(40 / trial["latency"])


@row("S20-ttft")
def test_the_first_token_is_the_first_text(proof: Proof) -> None:
    trial = frames(proof).loc["S20"]
    assert trial["ttft"] == trial["ttfa"] >= 0.3


# ── What one wire format or one kind alone shows ──────────────────────────────────────────────────


def streamed(answer: Answer, *asked: Request, provider: str = "openai") -> Response:
    """The Response of a server that gives `answer`."""

    async def work() -> Response:
        async with serving(answer) as server, stack(clock=faster(20)) as send:
            return await send(asking(server.url, *asked, provider=provider))

    return run(work())


@pytest.mark.parametrize(
    ("used", "limit", "reason"),
    [
        pytest.param(3, 64, "stop", id="S08-native-stop"),
        pytest.param(64, 64, "length", id="S08-native-length"),
    ],
)
def test_workers_ai_names_no_reason_so_it_is_inferred(used: int, limit: int, reason: str) -> None:
    total = f'{{"response":"","usage":{{"prompt_tokens":18,"completion_tokens":{used}}}}}'
    answer = keeps(EVENTS, event('{"response":"Hello","p":"abc"}'), event(total), DONE, END)
    asked = Request((Message("user", "Hi"),), {"max_tokens": limit})
    response = streamed(answer, asked, provider="cloudflare")
    assert (response.text, response.finish_reason, response.error, response.flags) == (
        "Hello",
        reason,
        None,
        (),
    )


@row("S11-overloaded")
def test_an_overloaded_event_is_tried_again() -> None:
    error = event(
        '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "error"
    )
    left = [keeps(EVENTS, error, END), GOOD]

    async def answer(request: Any, peer: Any) -> None:
        await left.pop(0)(request, peer)

    assert kinds(streamed(answer)) == ["overloaded", None]


# ── S14: any split ────────────────────────────────────────────────────────────────────────────────

TARGETS = {
    "openai": Target("t", "openai", "m", "http://h/v1", "http://h/v1"),
    "cloudflare": Target(
        "t", "cloudflare", "@cf/meta/llama-4-scout-17b-16e-instruct", "http://h", "http://h"
    ),
}
HI = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 64})
MIXED = "".join((CHUNK + "\n") % ("a", usage(9, count)) for count in range(3))
RECORDED: list[tuple[str, Provider, bytes]] = [
    ("openai", openai, STREAM.encode()),
    ("openai-crlf", openai, STREAM.replace("\n", "\r\n").encode()),
    ("openai-cr-bom", openai, b"\xef\xbb\xbf" + STREAM.replace("\n", "\r").encode()),
    ("native", cloudflare, NATIVE.encode()),
    ("native-bare-done", cloudflare, NATIVE.replace("data: [DONE]", "[DONE]").encode()),
    ("native-openai-shaped", cloudflare, f'{MIXED}data: {{"response":"","usage":{usage(9, 7)}}}\n\ndata: [DONE]\n\n'.encode()),
    ("named-error", openai, b": hi\n\ndata: " + b'{"choices":[{"delta":{"content":"\xf0\x9f\x98\x80"}}]}\n\nevent: error\ndata: {"message":"no"}\n\n'),
    ("bare-error", openai, HEL + b'{\n  "error": {"code": 502}\n}\n'),
    ("cut", openai, STREAM.encode()[:700]),
]  # fmt: skip


def replayed(provider: Provider, *packets: bytes) -> tuple[DecodedResponse, list[Any]]:
    """What a stream means that came in these packets, and what each of its events was for the
    clock."""
    reader, decoder, signals = EventReader(), provider.make_decoder(TARGETS[provider.name], HI), []
    for events in (*map(reader.feed, packets), reader.close()):
        for name, data in events:
            if not decoder.complete:
                signals.append(decoder.feed_event(name, data))
    return decoder.finish({}), signals


@pytest.mark.parametrize(
    ("provider", "recorded"),
    [pytest.param(provider, recorded, id=f"S14-{name}") for name, provider, recorded in RECORDED],
)
def test_a_recorded_stream_means_the_same_at_every_split(
    provider: Provider, recorded: bytes
) -> None:
    undivided = replayed(provider, recorded)
    assert undivided[0].message is not None
    for at in range(len(recorded) + 1):
        assert replayed(provider, recorded[:at], recorded[at:]) == undivided
    assert replayed(provider, *(bytes([byte]) for byte in recorded)) == undivided
