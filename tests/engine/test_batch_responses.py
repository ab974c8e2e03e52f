"""From a batch's report to the answer of each of its requests."""

from __future__ import annotations

import json
from math import isnan
from typing import Any

import pytest

from harness import registry
from harness.engine.batch import batch_responses, lost_response
from harness.metrics.definitions import Timing
from harness.metrics.table import RESPONSE_METRICS
from harness.model import Attempt, Error, Marks, Message, Request, Response, Target, Usage
from harness.pricing.cost import exchange_cost
from harness.providers.base import BatchStatus
from harness.runs.records import BatchLine, decode_line, encode_line

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"
TARGET = Target("t", "cloudflare", SCOUT, "https://api.test", "https://api.test")
BATCHES = registry.load_plugin("providers", "cloudflare").batch_api
LINE = BatchLine(
    "b", "s", "t", "uuid-1", trials=("k0", "k1", "k2"), inputs=(10, 20, 30), most=0.001
)
FETCHED = Response(attempts=(Attempt(Marks(sent=5, done=9), 200),), headers={"cf-ray": "r"})
HI = Request(messages=(Message("user", "Hi"),), stream=False)


def entry(text: str, **more: Any) -> dict[str, Any]:
    return {"result": {"response": text, **more.pop("result", {})}, "success": True, **more}


def report(*entries: dict[str, Any], usage: dict[str, int] | None = None) -> BatchStatus:
    found = BATCHES.decode_status(json.dumps({"responses": entries, "usage": usage}))
    assert isinstance(found, BatchStatus)
    return found


def answered(*entries: dict[str, Any], usage: dict[str, int] | None = None) -> dict[str, Response]:
    return batch_responses(
        BATCHES, TARGET, LINE, {"k0": HI}, report(*entries, usage=usage), FETCHED
    )


def texts(found: dict[str, Response]) -> dict[str, str | None]:
    return {
        key: response.text if response.error is None else None for key, response in found.items()
    }


def test_answers_are_matched_by_reference_whatever_their_order() -> None:
    found = answered(
        entry("c", id=0, external_reference="k2"), entry("a", id=1, external_reference="k0")
    )
    assert texts(found) == {"k0": "a", "k1": None, "k2": "c"}


def test_without_references_by_place_and_else_by_order() -> None:
    assert texts(answered(entry("b", id=1), entry("a", id=0), entry("c", id=2))) == {
        "k0": "a",
        "k1": "b",
        "k2": "c",
    }
    assert texts(answered(entry("a"), entry("b"), entry("c"))) == {"k0": "a", "k1": "b", "k2": "c"}


def test_an_answer_too_many_is_nobodys() -> None:
    found = answered(
        entry("a", external_reference="k0"),
        entry("x", external_reference="other"),
        entry("y", id=17),
    )
    assert texts(found) == {"k0": "a", "k1": None, "k2": None}
    again = answered(entry("a", external_reference="k0"), entry("b", external_reference="k0"))
    assert again["k0"].text == "a"


def test_a_request_without_an_answer_may_have_one_when_it_is_asked_again() -> None:
    error = answered(entry("a"))["k2"].error
    assert error is not None
    assert (error.kind, error.retryable) == ("missing", True)
    assert error.message == "the batch uuid-1 came back without an answer to this request"


def test_tokens_of_the_whole_are_divided_and_add_up() -> None:
    found = answered(
        entry("yes"),
        entry("no"),
        entry("perhaps, some day"),
        usage={"prompt_tokens": 61, "completion_tokens": 11},
    )
    usages = [found[key].usage for key in LINE.trials]
    assert [usage and usage.source for usage in usages] == ["estimated"] * 3
    assert [usage and usage.input for usage in usages] == [10, 20, 31]
    assert sum(usage.output or 0 for usage in usages if usage) == 11
    assert found["k0"].attempts[0].usage == found["k0"].usage


def test_what_an_answer_tells_of_itself_is_its_own() -> None:
    told = {"usage": {"prompt_tokens": 12, "completion_tokens": 2}}
    found = answered(
        entry("a", result=told),
        entry("b"),
        entry("c"),
        usage={"prompt_tokens": 62, "completion_tokens": 6},
    )
    assert found["k0"].usage == Usage(12, 2)
    assert [found[key].usage for key in ("k1", "k2")] == [
        Usage(20, 2, source="estimated"),
        Usage(30, 2, source="estimated"),
    ]


def test_tokens_nobody_told_are_estimated_and_their_cost_is_unknown() -> None:
    response = answered(entry("yes"))["k0"]
    assert response.usage == Usage(10, 1, source="estimated")
    assert exchange_cost(response.attempts, None).usd is None
    assert response.attempts[0].usage is None


def test_an_answer_has_no_latency_of_any_kind() -> None:
    response = answered(entry("a"))["k0"]
    marks = response.marks
    assert (marks.done, response.headers) == (9, {"cf-ray": "r"})
    assert all(isnan(metric.read(Timing(response))) for metric in RESPONSE_METRICS if metric.read)


def test_a_lost_batch_may_have_been_billed_and_is_owed() -> None:
    response = lost_response(
        LINE, Error("provider", "not_found", "HTTP 404: gone", status=404), FETCHED
    )
    assert response.error is not None
    assert (response.error.kind, response.error.retryable) == ("batch_lost", True)
    assert (
        response.error.message
        == "the batch uuid-1 cannot be fetched: HTTP 404: gone; `harness resume` sends its requests again"
    )
    assert exchange_cost(response.attempts, None).usd is None


@pytest.mark.parametrize("most", [None, 0.25])
def test_a_batchs_line_survives_the_journal(most: float | None) -> None:
    line = BatchLine("b", "s", "t", "uuid-1", ("k0",), (3,), most)
    assert decode_line(encode_line(line)) == line
