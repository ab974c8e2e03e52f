"""Servers that bill what they refuse, and limits that hold all the same: from a suite to what the
server has on its books."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ExitCode
from harness.runs.folder import read_records
from harness.transport.middleware import quota
from tests.faults.rows import background
from tests.support import Command
from tests.transport.servers import Peer, Received, whole

SUITE = """
suite: dear
prompts: [{{user: "{{{{ q }}}}"}}]
cases: [{{vars: {{q: one}}}}, {{vars: {{q: two}}}}, {{vars: {{q: three}}}}, {{vars: {{q: four}}}}, {{vars: {{q: five}}}}, {{vars: {{q: six}}}}]
graders: [{{contains: o}}]
targets:
  - name: dear
    provider: openai
    base_url: "{url}"
    model: tiny
    price: {{input: 0, output: 100}}
    extra_body: {extra}
{more}
"""
TOKENS, DOLLARS = 100, 0.01
"""Of each answer that the server generates: its length and what that costs."""


def completion(choices: int = 1, tokens: int = TOKENS) -> bytes:
    said = {"role": "assistant", "content": "no"}
    body = {
        "id": "c",
        "model": "tiny",
        "choices": [
            {"index": place, "message": said, "finish_reason": "length"} for place in range(choices)
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": tokens * choices},
    }
    return whole(json.dumps(body).encode())


def answers_asked_for(body: dict[str, Any]) -> int:
    return max(int(float(body.get(name, 1))) for name in ("n", "best_of"))


async def answer(request: Received, peer: Peer, number: int) -> None:
    await peer.send(completion(answers_asked_for(json.loads(request.body))))


async def fail(request: Received, peer: Peer, number: int) -> None:
    await peer.send(whole(b'{"error": {"message": "lost it"}}', "500 Internal Server Error"))


async def close_every_second(request: Received, peer: Peer, number: int) -> None:
    if number % 2:
        peer.close()
    else:
        await answer(request, peer, number)


@pytest.mark.parametrize(
    ("serve", "extra", "budget"),
    [
        (fail, "{}", 0.035),
        (close_every_second, "{}", 0.035),
        (answer, '{n: "8"}', 0.2),
        (answer, "{n: 8.0}", 0.2),
        (answer, "{best_of: 8}", 0.2),
        (answer, '{best_of: "8"}', 0.2),
    ],
)
def test_what_a_server_bills_never_exceeds_the_budget(
    tmp_path: Path,
    serve: Callable[[Received, Peer, int], Awaitable[None]],
    extra: str,
    budget: float,
) -> None:
    billed = list[int]()

    async def bill(request: Received, peer: Peer) -> None:
        billed.append(answers_asked_for(json.loads(request.body)))
        await serve(request, peer, len(billed) - 1)

    more = f"sampling: {{max_tokens: {TOKENS}}}\nrun: {{concurrency: 2, retries: 1, budget: ${budget}}}"
    with background(bill) as server:
        (tmp_path / "suite.yaml").write_text(SUITE.format(url=server.url, extra=extra, more=more))
        ended = Command(tmp_path)("run", "suite.yaml", "--out", "run")
    assert ended.code == ExitCode.BUDGET, ended.err
    assert 0 < sum(billed) * DOLLARS <= budget
    attempts = [
        attempt
        for record in read_records(tmp_path / "run")
        for exchange in record.exchanges
        for attempt in exchange.response.attempts
        if attempt.marks is not None and attempt.marks.sent is not None
    ]
    assert len(attempts) == len(billed)


def test_tokens_per_minute_hold_where_nothing_limits_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, tokens = 1_000_000_000, 490
    monkeypatch.setattr(quota, "WINDOW", second)  # a minute passes in a second

    async def serve(request: Received, peer: Peer) -> None:
        await peer.send(completion(tokens=tokens))

    more = "    limits: {tpm: 2000}\nrun: {concurrency: 6}"
    with background(serve) as server:
        (tmp_path / "suite.yaml").write_text(SUITE.format(url=server.url, extra="{}", more=more))
        ended = Command(tmp_path)("run", "suite.yaml", "--out", "run", "--repeats", "2")
    assert ended.code == ExitCode.OK, ended.err
    starts = sorted(
        attempt.marks.sent
        for record in read_records(tmp_path / "run")
        for attempt in record.exchanges[0].response.attempts
        if attempt.marks is not None and attempt.marks.sent is not None
    )
    assert len(starts) == 12
    taken = dict(zip(starts, accumulate([10 + tokens] * len(starts)), strict=True))
    for end in starts:
        since = [each for each in starts if end - 0.9 * second < each <= end]
        assert taken[end] - taken[since[0]] + 10 + tokens <= 2_000
