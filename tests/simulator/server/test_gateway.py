"""The gateway in front of the simulated Workers AI: its headers and its cache."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
GATEWAY = "/v1/account/mine/workers-ai"
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Tell me about the harbour."}]}


def ask(
    client: httpx.Client, path: str = f"{GATEWAY}/{SCOUT}", skip: bool = False, **extra: Any
) -> httpx.Response:
    return client.post(
        path, json=BODY | extra, headers={"cf-aig-skip-cache": "true"} if skip else {}
    )


def test_an_answer_is_marked_a_miss_and_names_the_model(client: httpx.Client) -> None:
    response = ask(client)
    marks = {
        name: response.headers[f"cf-aig-{name}"]
        for name in ("cache-status", "step", "model", "provider")
    }
    assert marks == {"cache-status": "MISS", "step": "0", "model": SCOUT, "provider": "workers-ai"}
    assert response.json()["success"] is True


@pytest.mark.parametrize("stream", [False, True])
def test_an_equal_body_is_answered_from_the_cache_word_for_word(
    client: httpx.Client, stream: bool
) -> None:
    first, second = ask(client, stream=stream), ask(client, stream=stream)
    assert [each.headers["cf-aig-cache-status"] for each in (first, second)] == ["MISS", "HIT"]
    assert second.content == first.content
    assert second.headers["cf-ai-req-id"] == first.headers["cf-ai-req-id"]
    assert second.headers["cf-aig-log-id"] != first.headers["cf-aig-log-id"]


def test_another_body_is_not(client: httpx.Client) -> None:
    ask(client)
    assert ask(client, max_tokens=20).headers["cf-aig-cache-status"] == "MISS"


def test_a_request_that_skips_the_cache_neither_reads_nor_fills_it(client: httpx.Client) -> None:
    first, second = ask(client, skip=True, temperature=2), ask(client, skip=True, temperature=2)
    assert second.headers["cf-aig-cache-status"] == "MISS"
    assert second.json()["result"]["response"] != first.json()["result"]["response"]
    assert ask(client, temperature=2).headers["cf-aig-cache-status"] == "MISS"


def test_openais_format_behind_it(client: httpx.Client) -> None:
    response = ask(client, f"{GATEWAY}/v1/chat/completions", model=SCOUT)
    assert response.json()["object"] == "chat.completion"
    assert response.headers["cf-aig-model"] == SCOUT


def test_an_error_is_not_kept(client: httpx.Client) -> None:
    client.put("/faults", json=[{"kind": "status", "status": 500, "requests": [1]}])
    assert ask(client).status_code == 500
    assert ask(client).headers["cf-aig-cache-status"] == "MISS"
