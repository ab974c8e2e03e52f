"""Answers of another model than the one asked for, over sockets and in whole runs (fault B07)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from harness.errors import ExitCode
from harness.model import Response
from harness.runs.folder import read_records
from harness.transport.http.client import HttpClient
from harness.transport.middleware.limit import Limit, Slot
from harness.transport.middleware.model_check import ModelCheck
from harness.transport.middleware.quota import TokenNeed
from tests.faults.rows import background, write_suite
from tests.support import Command
from tests.transport.calling import call, sending
from tests.transport.servers import COMPLETION, Peer, Received, serving, whole


def served_by(model: bytes, *, refuse: bool, times: int = 3) -> tuple[list[Response], list[str]]:
    """The answers of a server that says it is `model` to questions for `tiny-1`, and what
    was said."""
    said: list[str] = []

    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(whole(COMPLETION.replace(b"tiny-1", model)))

    async def work() -> list[Response]:
        async with serving(answer) as server, HttpClient({}) as http:
            limit = Limit(
                ModelCheck(said.append, refuse=refuse).around(http),
                tokens=lambda call: TokenNeed(1, 0),
            )
            return await sending(limit, *[call(server.url, stream=False)] * times)

    return asyncio.run(work()), said


def test_it_is_said_once_for_each_target() -> None:
    responses, said = served_by(b"huge-9", refuse=False)
    assert [(response.text, response.model, response.error) for response in responses] == [
        ("Hello", "huge-9", None)
    ] * 3
    assert said == [
        "warning: target 'tiny' was asked for the model tiny-1 but reports huge-9: these results may be from another model"
    ]


@pytest.mark.parametrize("model", [b"tiny-1", b"tiny-1-2025-04-14", b"someone/tiny-1@main"])
def test_another_name_of_the_same_model_is_none(model: bytes) -> None:
    responses, said = served_by(model, refuse=True)
    assert [response.error for response in responses] == [None] * 3
    assert said == []


def test_a_deployments_name_says_nothing() -> None:
    async def work() -> tuple[Response, list[str]]:
        said: list[str] = []
        async with (
            serving(lambda request, peer: peer.send(whole(COMPLETION))) as server,
            HttpClient({}) as http,
        ):
            one = call(server.url, stream=False)
            azure = replace(
                one, target=replace(one.target, provider="azure", model="my-deployment")
            )
            return await ModelCheck(said.append, refuse=True).around(http)(azure, Slot()), said

    response, said = asyncio.run(work())
    assert (response.model, response.error, said) == ("tiny-1", None, [])


def test_it_may_be_refused() -> None:
    (response,), said = served_by(b"huge-9", refuse=True, times=1)
    assert response.error is not None
    assert (response.error.boundary, response.error.kind, response.error.retryable) == (
        "provider",
        "model_mismatch",
        False,
    )
    assert "asked for the model tiny-1 but reports huge-9" in response.error.message
    assert (response.text, response.model, response.attempts[0].error) == (
        "Hello",
        "huge-9",
        response.error,
    )
    assert said == []


@pytest.mark.parametrize(
    ("run", "code"), [("", ExitCode.OK), ("model_mismatch: error", ExitCode.INFRASTRUCTURE)]
)
def test_a_run_warns_or_ends_the_target(
    cli: Command, tmp_path: Path, run: str, code: ExitCode
) -> None:
    async def answer(request: Received, peer: Peer) -> None:
        await peer.send(whole(COMPLETION))

    options = ", ".join(["concurrency: 2, stream: false", *([run] if run else [])])
    with background(answer) as server:
        suite = write_suite(
            tmp_path, [f"c{number}" for number in range(12)], options, other=server.url
        )
        ended = cli("run", suite, "--out", "run")
    assert ended.code == code, ended.err
    records = list(read_records(tmp_path / "run"))
    message = "target 'other' was asked for the model other but reports tiny-1"
    if run:
        assert {record.error.kind for record in records if record.error} == {"model_mismatch"}
        assert len(records) < 12 and message in " ".join(ended.out.split())
    else:
        assert ended.err.count(message) == 1
        assert (
            "other was asked for the model other but reports tiny-1"
            in (tmp_path / "run" / "report.md").read_text()
        )


BATCHED = """\
suite: batched
prompts: {{user: "hi {{{{ n }}}}"}}
cases: [{{id: a, vars: {{n: 1}}}}, {{id: b, vars: {{n: 2}}}}]
targets: {{name: t, provider: cloudflare, model: "@cf/meta/llama-4-scout-17b-16e-instruct", base_url: "{url}"}}
sampling: {{max_tokens: 8}}
run: {{mode: batch, max_error_rate: 100%{run}}}
"""


async def batches(request: Received, peer: Peer) -> None:
    """Takes every batch, and answers it at the first poll, from another model than the one asked
    for."""
    served = json.loads(COMPLETION.replace(b"tiny-1", b"huge-9"))
    if "requests" in json.loads(request.body):
        result: object = {"status": "queued", "request_id": "batch-1"}
    else:
        result = {
            "responses": [{"id": place, "success": True, "result": served} for place in range(2)]
        }
    await peer.send(
        whole(
            json.dumps({"result": result, "success": True, "errors": [], "messages": []}).encode()
        )
    )


@pytest.mark.parametrize(
    ("run", "code"), [("", ExitCode.OK), (", model_mismatch: error", ExitCode.INFRASTRUCTURE)]
)
def test_answers_that_came_in_a_batch_are_compared_too(
    cli: Command, tmp_path: Path, run: str, code: ExitCode
) -> None:
    with background(batches) as server:
        (tmp_path / "suite.yaml").write_text(BATCHED.format(url=server.url, run=run))
        ended = cli("run", tmp_path / "suite.yaml", "--out", "run")
    assert ended.code == code, ended.err
    found = [record.response for record in read_records(tmp_path / "run") if record.response]
    assert [(each.model, each.text, each.error and each.error.kind) for each in found] == [
        ("huge-9", "Hello", "model_mismatch" if run else None)
    ] * 2
    said = "target 't' was asked for the model @cf/meta/llama-4-scout-17b-16e-instruct but reports huge-9"
    assert ended.err.count(said) == (0 if run else 1)
