"""Batches of the simulated Workers AI: submitted, queued, running, done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness.simulator import Config, start

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
RUN = f"/client/v4/accounts/0123abcd/ai/run/{SCOUT}"
QUESTION = {
    "messages": [{"role": "user", "content": "What is 6 * 7? Answer with the number only."}],
    "temperature": 0,
}


@pytest.fixture(scope="module")
def small() -> Iterator[httpx.Client]:
    """A simulator whose batches are done after one poll, and small."""
    config = Config(ttft_s=0, inter_token_s=0, batch_polls=1, batch_bytes=2_000)
    with (
        start(config) as running,
        httpx.Client(base_url=running.base_url, trust_env=False, timeout=20) as client,
    ):
        yield client


def queue(client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    return client.post(RUN, params={"queueRequest": "true"}, json=body)


def finished(client: httpx.Client, *requests: Any) -> dict[str, Any]:
    batch = queue(client, {"requests": list(requests)}).json()["result"]["request_id"]
    while "responses" not in (result := queue(client, {"request_id": batch}).json()["result"]):
        assert result["status"] in ("queued", "running")
    return dict(result)


def test_a_batch_is_queued_then_running_then_done(client: httpx.Client) -> None:
    submitted = queue(client, {"requests": [QUESTION]}).json()
    assert submitted["success"] is True
    assert set(submitted["result"]) == {"status", "request_id", "model"}
    poll = {"request_id": submitted["result"]["request_id"]}
    told = [submitted["result"], *(queue(client, poll).json()["result"] for _ in range(4))]
    assert [each.get("status") for each in told] == ["queued", "queued", "running", None, None]
    assert told[3] == told[4]


def test_each_answer_has_its_place_and_the_reference_of_its_request(client: httpx.Client) -> None:
    result = finished(
        client,
        QUESTION | {"external_reference": "row-17"},
        {"prompt": "What is 2 + 2?", "temperature": 0},
    )
    first, second = result["responses"]
    assert first == {
        "id": 0,
        "result": {"response": "42", "tool_calls": []},
        "success": True,
        "external_reference": "row-17",
    }
    assert (second["id"], "external_reference" in second) == (1, False)


def test_usage_is_reported_for_the_whole_batch_and_counted_once(client: httpx.Client) -> None:
    usage = finished(client, QUESTION, QUESTION)["usage"]
    alone = client.post(RUN, json=QUESTION).json()["result"]["usage"]
    totals = client.get("/ledger").json()["totals"]
    assert usage["prompt_tokens"] == 2 * alone["prompt_tokens"]
    assert totals["prompt_tokens"] == 3 * alone["prompt_tokens"]
    assert totals["completion_tokens"] == usage["completion_tokens"] + alone["completion_tokens"]


def test_a_bad_request_fails_alone(client: httpx.Client) -> None:
    good, bad, worse = finished(client, QUESTION, QUESTION | {"temperature": 6}, "hi")["responses"]
    assert (good["success"], bad["success"], worse["success"]) == (True, False, False)
    assert bad["errors"][0]["code"] == 5006
    assert "'/temperature' must be <= 5" in bad["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"requests": "x"}, 400, 5006),
        ({"messages": []}, 400, 5006),
        ({"request_id": "nobody's"}, 404, 7003),
        ({"requests": [{"prompt": "x" * 2_000}]}, 413, 3006),
    ],
)
def test_what_is_refused(small: httpx.Client, body: dict[str, Any], status: int, code: int) -> None:
    response = queue(small, body)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (status, code)


def test_faults_happen_to_batches_too(client: httpx.Client) -> None:
    client.put("/faults", json=[{"kind": "status", "status": 429, "requests": [1]}])
    refused = queue(client, {"requests": [QUESTION]})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (429, 3040)
    assert queue(client, {"requests": [QUESTION]}).status_code == 200
