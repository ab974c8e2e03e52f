"""The ledger, authentication, and what an answer depends on."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from harness.simulator import Config, start
from harness.simulator.server.ledger import hash_secret

RUN = "/client/v4/accounts/a/ai/run/@cf/meta/llama-4-scout-17b-16e-instruct"
CHAT = "/v1/chat/completions"


def story(client: httpx.Client, **sampling: Any) -> str:
    body = {
        "messages": [{"role": "user", "content": "Tell me something."}],
        "temperature": 1.2,
        **sampling,
    }
    return str(client.post(RUN, json=body).json()["result"]["response"])


def test_the_ledger_has_what_was_sent_and_what_was_answered(client: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    response = client.post(
        RUN,
        json=body,
        headers={"x-client-request-id": "trial-7", "authorization": "Bearer s3cret-key"},
    )
    ledger = client.get("/ledger").json()
    entry = ledger["entries"][0]
    headers = dict(entry["headers"])
    assert entry["body"] == body
    assert entry["client_request_id"] == "trial-7"
    assert entry["outcome"] == "completed"
    assert len(entry["events_ns"]) == response.text.count("data: ")
    assert [entry["arrived_ns"], *entry["events_ns"]] == sorted(
        [entry["arrived_ns"], *entry["events_ns"]]
    )
    assert headers["authorization"] == hash_secret(b"Bearer s3cret-key").decode()
    assert "s3cret" not in client.get("/ledger").text
    assert ledger["totals"]["completion_tokens"] == entry["completion_tokens"]


def test_bodies_can_be_left_out(client: httpx.Client) -> None:
    story(client)
    assert "body" not in client.get("/ledger?bodies=0").json()["entries"][0]


def test_invalid_requests_are_entered_too(client: httpx.Client) -> None:
    client.post(RUN, content=b"\xff not json")
    entry = client.get("/ledger").json()["entries"][0]
    assert (entry["outcome"], entry["status"], entry["body"]) == ("refused", 400, "\ufffd not json")


def test_a_seed_decides_the_answer(client: httpx.Client) -> None:
    assert story(client, seed=3) == story(client, seed=3)
    assert story(client, seed=3) != story(client, seed=4)


def test_without_a_seed_the_nth_answer_is_the_same_in_every_session(client: httpx.Client) -> None:
    first = [story(client) for _ in range(3)]
    client.delete("/ledger")
    assert [story(client) for _ in range(3)] == first
    assert len(set(first)) == 3


def test_another_server_seed_gives_other_answers(client: httpx.Client) -> None:
    with (
        start(Config(seed=1, ttft_s=0, inter_token_s=0)) as other,
        httpx.Client(base_url=other.base_url, trust_env=False) as its,
    ):
        assert story(its) != story(client)
        assert story(its, seed=5) == story(client, seed=5)


def test_a_required_key_is_required(client: httpx.Client) -> None:
    assert client.post(RUN, json={"prompt": "Hi"}).status_code == 200
    with (
        start(Config(ttft_s=0, inter_token_s=0, api_key="the-right-key")) as guarded,
        httpx.Client(base_url=guarded.base_url, trust_env=False) as its,
    ):
        wrong = {"authorization": "Bearer wrong"}
        native = its.post(RUN, json={"prompt": "Hi"}, headers=wrong)
        chat = its.post(CHAT, json={"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        right = its.post(
            RUN, json={"prompt": "Hi"}, headers={"authorization": "Bearer the-right-key"}
        )
    assert native.status_code == chat.status_code == 401
    assert native.json() == {
        "errors": [{"message": "Authentication error", "code": 10000}],
        "success": False,
        "result": None,
        "messages": [],
    }
    assert "cf-ai-req-id" not in native.headers
    assert chat.json()["error"]["code"] == "invalid_api_key"
    assert right.status_code == 200


def test_a_small_ledger_forgets_the_oldest_and_keeps_the_totals() -> None:
    with (
        start(Config(ttft_s=0, inter_token_s=0, ledger=2)) as small,
        httpx.Client(base_url=small.base_url, trust_env=False) as its,
    ):
        for _ in range(5):
            story(its)
        ledger = its.get("/ledger").json()
    assert [entry["number"] for entry in ledger["entries"]] == [4, 5]
    assert ledger["totals"]["received"] == 5
    assert ledger["totals"]["outcomes"] == {"completed": 5}


def test_a_client_that_leaves_early_is_entered_as_such() -> None:
    slow = Config(ttft_s=0, inter_token_s=0.05, jitter=0)
    with start(slow) as running, httpx.Client(base_url=running.base_url, trust_env=False) as its:
        body = {"messages": [{"role": "user", "content": "Write a long story."}], "stream": True}
        with its.stream("POST", RUN, json=body) as response:
            next(response.iter_raw())
        while its.get("/ledger").json()["totals"]["open"]:
            pass
        assert its.get("/ledger").json()["entries"][0]["outcome"] == "disconnected"


def test_many_at_once_are_each_answered_once(client: httpx.Client, simulator: Any) -> None:
    def worker(name: int) -> None:
        with httpx.Client(base_url=simulator.base_url, trust_env=False, timeout=60) as own:
            for number in range(20):
                own.post(
                    RUN,
                    json={"prompt": "Hi", "seed": 1},
                    headers={"x-client-request-id": f"{name}-{number}"},
                )

    threads = [threading.Thread(target=worker, args=(name,)) for name in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [entry["client_request_id"] for entry in client.get("/ledger?bodies=0").json()["entries"]]
    assert sorted(ids) == sorted(f"{name}-{number}" for name in range(10) for number in range(20))


def test_invalid_rules_are_refused_and_change_nothing(client: httpx.Client) -> None:
    refused = client.put("/faults", json=[{"kind": "hang"}, {"status": 500}])
    assert refused.status_code == 400
    assert refused.json()["error"].startswith(
        "a fault has a `kind`, which {'status': 500} lacks; the kinds are status, html"
    )
    assert client.get("/faults").json() == []
