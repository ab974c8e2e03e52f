"""Each fault as a client sees it on the wire."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

RUN = "/client/v4/accounts/a/ai/run/@cf/meta/llama-4-scout-17b-16e-instruct"
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Tell me about the harbour."}]


def set_fault(client: httpx.Client, **rule: Any) -> None:
    client.put("/faults", json=[rule]).raise_for_status()


def ask(client: httpx.Client, stream: bool = False, path: str = RUN) -> httpx.Response:
    return client.post(
        path, json={"model": "m", "messages": MESSAGES, "temperature": 0, "stream": stream}
    )


def received(client: httpx.Client, stream: bool) -> tuple[bytes, type[Exception] | None]:
    """What arrives of an answer, and how it ends."""
    got = b""
    try:
        with client.stream(
            "POST", RUN, json={"messages": MESSAGES, "temperature": 0, "stream": stream}
        ) as response:
            for part in response.iter_raw():
                got += part
    except httpx.HTTPError as error:
        return got, type(error)
    return got, None


def outcome(client: httpx.Client) -> str:
    return str(client.get("/ledger").json()["entries"][-1]["outcome"])


@pytest.mark.parametrize("value", ["7", "0.5", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"])
def test_a_429_carries_any_retry_after(client: httpx.Client, value: str) -> None:
    set_fault(client, kind="status", status=429, headers={"retry-after": value})
    response = ask(client)
    assert (response.status_code, response.headers["retry-after"]) == (429, value)


def test_errors_are_worded_by_the_format(client: httpx.Client) -> None:
    set_fault(client, kind="status", status=429)
    native, chat = ask(client).json(), ask(client, path=CHAT).json()
    assert native["errors"][0]["code"] == native["internalCode"] == 3040
    assert native["errors"][0]["message"].startswith(
        "AiError: Capacity temporarily exceeded, please try again."
    )
    assert chat["error"]["code"] == "rate_limit_exceeded"


def test_a_code_and_a_message_can_be_chosen(client: httpx.Client) -> None:
    set_fault(
        client,
        kind="status",
        status=429,
        code="insufficient_quota",
        message="You exceeded your current quota.",
    )
    assert ask(client, path=CHAT).json()["error"] == {
        "message": "You exceeded your current quota.",
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
    set_fault(client, kind="status", status=429, code="3036")
    assert ask(client).json()["errors"][0]["code"] == 3036


def test_a_redirect_points_where_it_is_told(client: httpx.Client) -> None:
    set_fault(
        client, kind="status", status=307, headers={"location": "http://127.0.0.1:9/elsewhere"}
    )
    assert ask(client).headers["location"] == "http://127.0.0.1:9/elsewhere"


def test_a_proxys_page_is_html(client: httpx.Client) -> None:
    set_fault(client, kind="html", status=502)
    response = ask(client)
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html")
    assert "<h1>502</h1>" in response.text


def test_an_empty_success(client: httpx.Client) -> None:
    set_fault(client, kind="empty")
    assert ask(client).json() == {"result": {}, "success": True, "errors": [], "messages": []}
    assert ask(client, path=CHAT).json()["choices"] == []
    assert ask(client, stream=True).text == ""


def test_a_slow_answer_is_still_the_answer(client: httpx.Client) -> None:
    usual = ask(client).json()["result"]
    set_fault(client, kind="slow", seconds=0.05)
    assert ask(client).json()["result"] == usual
    assert outcome(client) == "completed"


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("clean", None),
        ("half_event", None),
        ("short_length", httpx.RemoteProtocolError),
        ("in_chunk", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_keeps_what_came_before(
    client: httpx.Client, how: str, error: type[Exception] | None, stream: bool
) -> None:
    set_fault(client, kind="cut", how=how, after=3)
    got, ended = received(client, stream)
    assert ended == error
    assert b"[DONE]" not in got
    if stream:
        assert got.count(b"\n\n") == 3
        assert got.endswith(b"\n\n") is (how in ("clean", "short_length", "reset"))
    assert outcome(client) == "fault"


@pytest.mark.parametrize(("after", "events"), [(None, 0), (2, 2)])
def test_a_hang_ends_when_the_client_leaves(
    client: httpx.Client, after: int | None, events: int
) -> None:
    set_fault(client, kind="hang", after=after)
    client.timeout = httpx.Timeout(0.3)
    got, ended = received(client, stream=True)
    client.timeout = httpx.Timeout(20)
    assert ended == httpx.ReadTimeout
    assert got.count(b"\n\n") == events
    ask_until(client, "fault")


def ask_until(client: httpx.Client, wanted: str) -> None:
    """The server notices a client that left a moment after it did."""
    for _ in range(200):
        if outcome(client) == wanted:
            return
    pytest.fail(f"the ledger never said {wanted}")


def test_a_drip_comes_byte_by_byte_and_is_whole_in_the_end(client: httpx.Client) -> None:
    usual = ask(client, stream=True).text
    set_fault(client, kind="drip", seconds=0)
    with client.stream(
        "POST", RUN, json={"messages": MESSAGES, "temperature": 0, "stream": True}
    ) as response:
        got = "".join(response.iter_text())
    assert got.count("data:") == usual.count("data:")


def test_pings_are_comments_without_end(client: httpx.Client) -> None:
    set_fault(client, kind="ping", after=1, seconds=0.01)
    with client.stream("POST", RUN, json={"messages": MESSAGES, "stream": True}) as response:
        parts = response.iter_text()
        got = ""
        while got.count(": ping\n\n") < 3:
            got += next(parts)
    assert got.startswith('data: {"response":""')


def test_an_error_event_comes_inside_the_success(client: httpx.Client) -> None:
    set_fault(client, kind="error_event", after=2, status=500)
    response = client.post(CHAT, json={"model": "m", "messages": MESSAGES, "stream": True})
    assert response.status_code == 200
    assert response.text.split("\n\n")[2].startswith('data: {"error":')
    assert "[DONE]" not in response.text


def test_numbers_count_from_when_the_rules_were_set(client: httpx.Client) -> None:
    ask(client)
    set_fault(client, kind="status", status=503, requests=[1, 3])
    assert [ask(client).status_code for _ in range(4)] == [503, 200, 503, 200]


def test_a_refused_request_is_refused_whatever_the_rules_say(client: httpx.Client) -> None:
    set_fault(client, kind="status", status=503)
    assert client.post(RUN, json={"messages": [], "temperature": 9}).status_code == 400


def test_wrong_rules_are_answered_with_what_is_wrong(client: httpx.Client) -> None:
    response = client.put("/faults", json=[{"kind": "explode"}])
    assert response.status_code == 400
    assert response.json()["error"].startswith("there is no fault 'explode'")
    assert client.get("/faults").json() == []
