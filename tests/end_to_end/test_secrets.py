"""A server that repeats every secret it is sent, in every field and every form: none of them
reaches a file or a screen."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pandas as pd

import harness
from tests.faults.rows import background
from tests.support import Command
from tests.transport.servers import END, EVENTS, Peer, Received, chunk, whole

CORE = "Zq7xW2mK9vB4tY8nL5"
"""How all secrets end; before it stands what is escaped in one way or another."""
SECRETS = {
    "BEARER_KEY": f"sk-\"a'\\c/d&e<f>{CORE}",
    "PLAIN_KEY": f"sk-ant-{CORE}",
    "HEADER_TOKEN": f"T k+=/=={CORE}",
    "QUERY_KEY": f"q-~{CORE}",
}

FORMS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    str.lower,
    repr,
    json.dumps,
    lambda key: json.dumps(json.dumps(key)).replace("/", "\\/"),
    lambda key: "".join(f"\\u{ord(each):04X}" for each in key),
    lambda key: "".join(f"\\x{ord(each):02x}" for each in key),
    lambda key: quote(key, safe=""),
    lambda key: quote(quote(key, safe=""), safe=""),
    lambda key: "".join(f"%{ord(each):02x}" for each in key),
    html.escape,
    lambda key: html.escape(html.escape(key)),
    lambda key: "".join(f"&#{ord(each)};" for each in key),
    lambda key: "".join(f"&#x{ord(each):X};" for each in key),
    lambda key: key.encode().hex(),
    lambda key: key.encode().hex().upper(),
    lambda key: key.encode().hex(" "),
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: base64.urlsafe_b64encode(b"id:" + key.encode()).decode(),
    lambda key: key[:26] + "...",
    lambda key: key[:26] + "…",
    lambda key: "…" + key[-12:],
)
SHAPES = (
    "answer", "object", "call", "stream", "refused", "text", "page", "events", "broken", "cut",
    "reason", "headers", "names", "logprobs",
)  # fmt: skip

SUITE = """
suite: secrets
prompts: [{{id: only, user: "{{{{ shape }}}}"}}]
cases:
{cases}
tools:
  - {{name: look, description: Looks., parameters: {{type: object, properties: {{q: {{type: string}}}}}}, returns: "{{{{ arguments.q }}}}"}}
  - {{name: dig, function: "code.py:dig", description: Digs., parameters: {{type: object, properties: {{q: {{type: string}}}}}}}}
graders:
  - {{python: "code.py:repeat", weight: 0}}
  - {{python: "code.py:complain", weight: 0}}
  - {{equals: "{{{{ shape }}}}", weight: 0}}
  - {{json: {{expected: {{a: 1}}}}, weight: 0}}
  - {{regex: "^$", weight: 0}}
  - {{not: {{regex: "."}}, id: empty, weight: 0}}
  - judge: {{rubric: "Is it {{{{ shape }}}}?", target: judge}}
    weight: 0
targets:
  - &bearer {{name: bearer, provider: openai, base_url: "{url}", model: tiny, api_key: BEARER_KEY, headers: {{X-Token: "${{HEADER_TOKEN}}"}}}}
  - {{name: plain, provider: anthropic, base_url: "{url}", model: tiny, api_key: PLAIN_KEY}}
  - {{name: query, provider: openai, base_url: "{url}?key=${{QUERY_KEY}}", model: tiny}}
run: {{retries: 0, max_error_rate: 100%}}
"""
TARGETS = """
judge: {{provider: openai, base_url: "{url}", model: judge, api_key: BEARER_KEY}}
"""
CODE = """
def repeat(answer):
    return {"value": False, "reason": f"read {answer.text!r} and {answer.text}"}

def complain(answer):
    raise ValueError(f"cannot read {answer.text!r} or {answer.text}")

def dig(q: str):
    raise KeyError(q)
"""


def received_secrets(request: Received) -> list[str]:
    """Every secret that a request carries."""
    query = parse_qs(urlsplit(request.line.split()[1]).query)
    sent = [
        request.headers.get("authorization", "").removeprefix("Bearer "),
        request.headers.get("x-api-key", ""),
        request.headers.get("x-token", ""),
        *query.get("key", []),
    ]
    return [each for each in sent if each]


def write_forms(request: Received) -> str:
    return " | ".join(form(key) for key in received_secrets(request) for form in FORMS)


async def repeat_secrets(request: Received, peer: Peer) -> None:
    """Answers with nothing but the request's secrets, in the shape that it asks for."""
    body = json.loads(request.body)
    said, asked = write_forms(request), json.dumps(body["messages"])
    shape = next((each for each in SHAPES if f'"{each}"' in asked), "answer")
    if body["model"] == "judge":
        verdict = json.dumps({"reason": said, "pass": False})
        await peer.send(whole(_json(_completion(verdict, said))))
        return
    if any(message["role"] == "tool" for message in body["messages"]) or "tool_result" in asked:
        shape = "answer"
    anthropic = "/messages" in request.line
    await peer.send(*(_message(shape, said) if anthropic else _reply(shape, said)))
    if shape in ("broken", "cut"):
        peer.close()


def _reply(shape: str, said: str) -> list[bytes]:
    error = {"error": {"message": said, "type": said, "code": said, "param": said}}
    one_line = re.sub(r"[^ -~]", "?", said.replace("…", "..."))
    match shape:
        case "object":
            return [whole(_json(_completion(json.dumps({"said": said, said: 1}), said)))]
        case "call":
            calls = [
                {"id": f"{name} {said}", "type": "function", "function": {"name": name, "arguments": json.dumps({"q": said})}}
                for name in ("look", "dig", said)
            ]  # fmt: skip
            return [whole(_json(_completion(None, said, tool_calls=calls)))]
        case "stream":
            return [EVENTS, *_events(said), chunk(b"data: [DONE]\n\n"), END]
        case "cut":
            return [EVENTS, *_events(said)[:2]]
        case "broken":
            return [EVENTS, *_events(said)[:2], chunk(b"data: " + _json(error) + b"\n\n"), END]
        case "refused":
            return [whole(_json(error), "400 Bad Request")]
        case "text":
            return [whole(said.encode(), "400 Bad Request", "text/plain")]
        case "page":
            page = f"<html><title>{said}</title><body>{said}</body></html>"
            return [whole(page.encode(), "502 Bad Gateway", "text/html")]
        case "events":
            event = b"event: error\ndata: " + _json(error) + b"\n\n"
            return [whole(event, "500 Internal Server Error", "text/event-stream")]
        case "reason":
            return [whole(_json(error), f"400 {one_line[:3000]}")]
        case "headers":
            named = [f"X-Request-Id: {one_line[:3000]}", f"Retry-After: {one_line[:200]}"]
            return [whole(_json(_completion("fine", "x")), "200 OK", "application/json", *named)]
        case "names":
            return [whole(_json(_completion(f"fine {said[:700]}", said, model=said)))]
    return [whole(_json(_completion(said, said)))]


def _completion(text: str | None, said: str, model: str = "tiny", **message: Any) -> dict[str, Any]:
    pieces = [text[at : at + 5] for at in range(0, len(text or ""), 5)] if text else []
    return {
        "id": said,
        "object": said,
        "model": model,
        "system_fingerprint": said,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "reasoning_content": said, **message},
                "finish_reason": "tool_calls" if message else said,
                "logprobs": {"content": [{"token": piece, "logprob": -1.0, "top_logprobs": []} for piece in pieces]},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {said: said}, "note": said},
    }  # fmt: skip


def _events(said: str) -> list[bytes]:
    deltas = [{"role": "assistant", "content": ""}, {"reasoning_content": said}]
    deltas += [{"content": said[at : at + 7]} for at in range(0, len(said), 7)]
    events = [
        {"id": said, "model": "tiny", "choices": [{"index": 0, "delta": each}]} for each in deltas
    ]
    events += [{"id": said, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    return [chunk(b"data: " + _json(each) + b"\n\n") for each in events]


def _message(shape: str, said: str) -> list[bytes]:
    """The same as the Messages API has it."""
    if shape not in ("answer", "object", "call", "headers", "names", "stream"):
        return _reply(shape, said)
    content: list[dict[str, Any]] = [{"type": "thinking", "thinking": said, "signature": said}]
    content += [{"type": "text", "text": said}]
    if shape == "call":
        content += [{"type": "tool_use", "id": f"c {said}", "name": "dig", "input": {"q": said}}]
    message = {
        "id": said,
        "type": "message",
        "role": "assistant",
        "model": said if shape == "names" else "tiny",
        "content": content,
        "stop_reason": "tool_use" if shape == "call" else "end_turn",
        "stop_sequence": said,
        "usage": {"input_tokens": 3, "output_tokens": 2, "service_tier": said},
    }
    return [whole(_json(message))]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


# ── Looking for them ──────────────────────────────────────────────────────────────────────────────


def readings(text: str) -> Iterator[str]:
    """What a text says once its escapes are undone, up to three times."""
    for _ in range(3):
        yield text
        yield re.sub(r"[\s,:]", "", text)
        text = html.unescape(unquote(text))
        text = re.sub(
            r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))",
            lambda found: chr(int(found[1] or found[2], 16)),
            text,
        )


NEEDLES = [
    CORE,
    CORE[:8],
    CORE[-8:],
    *(part.encode().hex() for part in (CORE[:8], CORE[-8:])),
    *(base64.b64encode(b"\0" * skip + CORE.encode()).decode()[4:20] for skip in range(3)),
]


def leaks(contents: Mapping[str, str]) -> list[tuple[str, str]]:
    """(where, around what) a part of a secret stands."""
    return [
        (place, text[max(0, at - 60) : at + 40])
        for place, content in contents.items()
        for text in readings(content)
        for needle in NEEDLES
        if (at := text.lower().find(needle.lower())) >= 0
    ]


def read_folder(folder: Path) -> dict[str, str]:
    """The text of every file, a Parquet file's as a table."""
    return {
        str(path.relative_to(folder)): (
            pd.read_parquet(path).to_csv()
            if path.suffix == ".parquet"
            else path.read_bytes().decode("utf-8", "replace")
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_search_finds_every_form() -> None:
    for form in FORMS:
        for key in SECRETS.values():
            assert leaks({"x": f"a {form(key)} b"}), form(key)


def test_no_secret_that_a_server_repeats_is_written_or_shown(tmp_path: Path) -> None:
    cases = "\n".join(f"  - {{id: {each}, vars: {{shape: {each}}}}}" for each in SHAPES)
    cli = Command(tmp_path, SECRETS)
    with background(repeat_secrets) as server:
        (tmp_path / "targets.yaml").write_text(TARGETS.format(url=server.url))
        (tmp_path / "code.py").write_text(CODE)
        (tmp_path / "suite.yaml").write_text(SUITE.format(url=server.url, cases=cases))
        shown = {"run": cli("run", "suite.yaml", "--out", "run")}
        shown |= {
            "again": cli("run", "suite.yaml", "--out", "again", "--replay", "run", "--limit", "3")
        }
        shown |= {"preview": cli("run", "suite.yaml", "--dry-run")}
        assert {key for each in server.received for key in received_secrets(each)} == set(
            SECRETS.values()
        )
    for words in (("show", "run", "--failed"), ("report", "run", "again")):
        shown |= {" ".join(words): cli(*words)}
    for case in SHAPES:
        shown |= {f"show {case}": cli("show", "run", case)}
    run = harness.load_run(tmp_path / "run")
    run.trials.to_csv(tmp_path / "run" / "trials.csv")
    run.grades.to_csv(tmp_path / "run" / "grades.csv")
    screens = {f"screen of {name}": ended.out + ended.err for name, ended in shown.items()}
    written = {
        name: text
        for name, text in read_folder(tmp_path).items()
        if Path(name).name not in ("suite.yaml", "targets.yaml", "code.py")
    }
    assert len(run.trials) == 3 * len(SHAPES)
    assert leaks({**written, **screens}) == []
    assert written["run/records.jsonl"].count("[redacted BEARER_KEY]") > 100
