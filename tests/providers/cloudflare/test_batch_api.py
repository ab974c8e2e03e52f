"""Workers AI's batches, on the bytes its documentation shows."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from harness import registry
from harness.model import Message, Request, Target, Usage
from harness.providers.base import BatchEntry, BatchStatus, DecodedResponse, SupportsBatches

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
TARGET = Target(
    "scout",
    "cloudflare",
    SCOUT,
    "https://api.test",
    "https://api.test",
    api_key_env="CLOUDFLARE_AUTH_TOKEN",
)
HI = Request(messages=(Message("user", "Hi"),), sampling={"max_tokens": 64}, stream=False)
PROVIDER = registry.load_plugin("providers", "cloudflare")
BATCHES = PROVIDER.batch_api

QUEUED = b'{"result":{"status":"queued","request_id":"0b8a-uuid","model":"m"},"success":true,"errors":[],"messages":[]}'
RUNNING = b'{"result":{"status":"running"},"success":true,"errors":[],"messages":[]}'
DONE = (
    b'{"result":{"responses":[{"id":0,"result":{"response":"Hello"},"success":true,"external_reference":"row-17"}],'
    b'"usage":{"prompt_tokens":12,"completion_tokens":4,"total_tokens":16}},"success":true,"errors":[],"messages":[]}'
)


def decoded(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> DecodedResponse:
    decoder = BATCHES.make_decoder(TARGET, HI)
    if status == 200:
        decoder.feed_body(body)
    else:
        decoder.feed_error(status, headers or {}, body)
    return decoder.finish({})


def report(body: bytes) -> BatchStatus:
    found = decoded(body)
    assert found.message is not None
    return BATCHES.decode_status(found.message.text)


def test_the_provider_says_that_it_has_batches() -> None:
    assert isinstance(PROVIDER, SupportsBatches)
    assert not isinstance(registry.load_plugin("providers", "cloudflare-chat"), SupportsBatches)
    assert BATCHES.max_bytes < 10_000_000


def test_a_submission_carries_each_request_with_its_reference() -> None:
    second = Request(prompt="Once upon", stream=False)
    wires = [PROVIDER.encode(TARGET, each) for each in (HI, second)]
    wire = BATCHES.encode_submission([("row-17", wires[0]), ("row-18", wires[1])])
    assert (wire.method, wire.path) == ("POST", f"/ai/run/{SCOUT}?queueRequest=true")
    assert wire.auth == wires[0].auth
    assert json.loads(wire.body) == {
        "requests": [
            {
                "messages": [{"role": "user", "content": "Hi"}],
                "max_tokens": 64,
                "external_reference": "row-17",
            },
            {"prompt": "Once upon", "max_tokens": 256, "external_reference": "row-18"},
        ]
    }


def test_a_poll_is_a_post_to_the_same_address() -> None:
    wire = BATCHES.encode_poll(PROVIDER.encode(TARGET, HI), "0b8a-uuid")
    assert (wire.method, wire.path) == ("POST", f"/ai/run/{SCOUT}?queueRequest=true")
    assert json.loads(wire.body) == {"request_id": "0b8a-uuid"}


def test_what_a_batch_is_told() -> None:
    assert report(QUEUED) == BatchStatus(id="0b8a-uuid")
    assert report(RUNNING) == BatchStatus()
    done = report(DONE)
    assert done.usage == Usage(12, 4)
    assert done.entries == (
        BatchEntry("row-17", 0, b'{"result":{"response":"Hello"},"success":true}'),
    )


def test_an_answer_whose_tokens_are_not_told_may_have_been_cut() -> None:
    (entry,) = report(DONE).entries or ()
    answer = BATCHES.decode_entry(TARGET, HI, entry)
    assert answer.message is not None
    assert (answer.message.text, answer.finish_reason, answer.flags) == (
        "Hello",
        "unknown",
        ("unknown_stop",),
    )


@pytest.mark.parametrize(("tokens", "reason"), [(3, "stop"), (64, "length")])
def test_one_that_tells_its_own_is_read_as_ever(tokens: int, reason: str) -> None:
    body = f'{{"result":{{"response":"Hi","usage":{{"prompt_tokens":9,"completion_tokens":{tokens}}}}},"success":true}}'
    answer = BATCHES.decode_entry(TARGET, HI, BatchEntry(None, 0, body.encode()))
    assert (answer.finish_reason, answer.usage) == (reason, Usage(9, tokens))


def test_an_entry_that_failed_is_an_error_of_its_own() -> None:
    body = (
        b'{"result":null,"success":false,"errors":[{"code":5006,"message":"AiError: Bad input"}]}'
    )
    error = BATCHES.decode_entry(TARGET, HI, BatchEntry("a", 0, body)).error
    assert error is not None
    assert (error.kind, error.code) == ("bad_request", "5006")


def test_an_entry_without_reference_or_number_has_its_place() -> None:
    done = report(
        b'{"result":{"responses":[{"result":{"response":"a"},"success":true},{"id":7,"result":{}}]},"success":true}'
    )
    assert [(entry.reference, entry.place) for entry in done.entries or ()] == [
        (None, 0),
        (None, 7),
    ]


def test_what_is_no_batch_is_told_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="a response that is not a batch response"):
        report(b'{"result":{"response":"Hello"},"success":true}')


def test_errors_are_read_as_everywhere() -> None:
    too_large = b'{"errors":[{"message":"AiError: Request is too large","code":3006}],"success":false,"result":{},"messages":[]}'
    error = decoded(too_large, 413).error
    assert error is not None
    assert (error.kind, error.retryable) == ("too_large", False)
    empty = decoded(b'{"result":null,"success":true,"errors":[]}').error
    assert empty is not None
    assert empty.kind == "empty"
