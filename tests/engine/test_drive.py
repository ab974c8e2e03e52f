"""Flows are performed in order, journalled before they go on, and told of what failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from harness.engine.drive import Journal, drive
from harness.flows.base import Ask, AskFailed, Flow
from harness.model import Error, Exchange, Message, Request, Response, ToolCall, ToolResult
from harness.runs.records import ExchangeLine, Line, ToolLine


def request(text: str) -> Request:
    return Request((Message("user", text),))


def single_turn(asked: Request) -> Flow[Response]:
    response: Response = yield Ask("target", asked)
    return response


class Model:
    """Answers every request with its own text, upper-cased, notes what it was asked, and refuses
    one text."""

    def __init__(self, refuse: str = "") -> None:
        self.asked: list[tuple[str, str, str]] = []
        self._refuse = refuse

    async def ask(
        self, role: str, request: Request, position: str, helper: str | None = None
    ) -> Exchange:
        text = request.messages[-1].text
        self.asked.append((role, position, text))
        await asyncio.sleep(0)
        error = Error("provider", "bad_request", "no") if text == self._refuse else None
        return Exchange(
            position, role, "m", request, Response(Message("assistant", text.upper()), error=error)
        )


async def count_calls(call: ToolCall) -> ToolResult:
    return ToolResult(call.id, call.arguments)


def driven(
    flow: Flow[object],
    model: Model,
    lines: list[Line],
    known: Mapping[str, ToolResult] | None = None,
) -> object:
    return asyncio.run(
        drive(flow, model.ask, count_calls, Journal("k" * 32, 0, "s1", lines.append, known))
    )


def test_a_single_turn_returns_the_answer_and_leaves_the_exchange_to_the_record() -> None:
    model, lines = Model(), []
    response = driven(single_turn(request("hi")), model, lines)
    assert isinstance(response, Response)
    assert response.text == "HI"
    assert lines == []


def test_each_step_is_journalled_before_the_next_begins() -> None:
    lines: list[Line] = []
    seen: list[int] = []

    def conversation() -> Flow[str]:
        first = yield Ask("target", request("a"))
        seen.append(len(lines))
        result = yield ToolCall("call00001", "count", "3")
        seen.append(len(lines))
        last = yield Ask("judge", request(first.text + result.content))
        return last.text

    model = Model()
    assert driven(conversation(), model, lines) == "A3"
    assert seen == [0, 1]
    assert [type(line) for line in lines] == [ExchangeLine, ToolLine]
    assert model.asked == [("target", "t0", "a"), ("judge", "t2", "A3")]


def test_a_tuple_is_asked_at_once_and_answered_in_order() -> None:
    def votes() -> Flow[list[str]]:
        answers = yield tuple(Ask("target", request(text)) for text in ("x", "y", "z"))
        return [answer.text for answer in answers]

    model = Model()
    assert driven(votes(), model, []) == ["X", "Y", "Z"]
    assert [position for _, position, _ in model.asked] == ["t0", "t1", "t2"]


def test_a_failed_ask_is_thrown_in_and_can_be_caught() -> None:
    def careful() -> Flow[str]:
        try:
            yield Ask("target", request("bad"))
        except AskFailed as failed:
            assert failed.response.error is not None
            return failed.response.error.kind
        return "answered"

    assert driven(careful(), Model(refuse="bad"), []) == "bad_request"


def test_a_failed_ask_that_nobody_catches_leaves_the_flow() -> None:
    with pytest.raises(AskFailed):
        driven(single_turn(request("bad")), Model(refuse="bad"), [])


def test_in_a_tuple_a_failure_does_not_discard_its_neighbours() -> None:
    def votes() -> Flow[list[bool]]:
        answers = yield (Ask("target", request("good")), Ask("target", request("bad")))
        return [answer.error is None for answer in answers]

    assert driven(votes(), Model(refuse="bad"), []) == [True, False]


def test_a_tool_result_of_an_earlier_session_is_not_performed_again() -> None:
    def tool() -> Flow[str]:
        result = yield ToolCall("call00001", "count", "3")
        return result.content

    assert (
        driven(tool(), Model(), [], {"t0": ToolResult("call00001", "from before")}) == "from before"
    )
