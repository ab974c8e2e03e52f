"""Grading a transcript: the Answer a grader sees, from exchanges as the engine records them, and
the grades of a whole one."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from harness.engine.grading import (
    GraderSets,
    Transcript,
    build_answer,
    build_record,
    build_turn_answers,
    grade_transcript,
)
from harness.flows.base import Ask, Flow
from harness.graders import GraderSpec
from harness.model import (
    Attempt,
    Conversation,
    Cost,
    Error,
    Exchange,
    Grade,
    Identity,
    Marks,
    Message,
    Request,
    Response,
    ToolCall,
    Trial,
    Usage,
)

QUESTION = Request(messages=(Message("user", "6 × 7?"),))
TRIAL = Trial(
    Identity("e", "c", "p", "t", {}, 0), "k", QUESTION, expected=42, variables={"q": "6 × 7"}
)
MS = 1_000_000
PAID = Cost(priced=0.001)


def exchange(
    response: Response, cost: Cost = PAID, role: str = "target", request: Request = QUESTION
) -> Exchange:
    return Exchange("t0", role, "t", request, response, cost)


def answered(*marks: Marks) -> Response:
    call = ToolCall("1", "add", "{}")
    message = Message("assistant", "42", tool_calls=(call,))
    return Response(
        message, Usage(input=5, output=1), "stop", tuple(Attempt(each) for each in marks)
    )


def test_a_streamed_answer_is_timed_to_its_last_token_in_the_final_attempt() -> None:
    first = Marks(sent=0, first_token=9 * MS, last_token=90 * MS, done=95 * MS)
    final = Marks(due=0, sent=100 * MS, first_token=150 * MS, last_token=400 * MS, done=450 * MS)
    answer = build_answer(TRIAL, [exchange(answered(first, final))])
    assert (answer.latency, answer.ttft) == (0.3, 0.05)
    assert (answer.text, answer.expected, answer.variables) == ("42", 42, {"q": "6 × 7"})
    assert answer.messages == QUESTION.messages
    assert answer.tool_calls == (ToolCall("1", "add", "{}"),)
    assert (answer.finish_reason, answer.cost) == ("stop", 0.001)
    assert answer.usage is not None
    assert answer.usage.output == 1


def test_an_answer_that_was_not_streamed_is_timed_to_its_end_and_has_no_ttft() -> None:
    answer = build_answer(
        TRIAL, [exchange(answered(Marks(sent=100 * MS, first_byte=120 * MS, done=450 * MS)))]
    )
    assert (answer.latency, answer.ttft) == (0.35, None)


def test_marks_nobody_stamped_are_unknown() -> None:
    answer = build_answer(TRIAL, [exchange(answered())])
    assert (answer.latency, answer.ttft) == (None, None)


def test_of_a_conversation_the_last_answer_counts_and_the_cost_of_all() -> None:
    first = exchange(Response(Message("assistant", "Let me think.")), Cost(priced=0.002))
    longer = Request(
        messages=(
            *QUESTION.messages,
            Message("assistant", "Let me think."),
            Message("user", "Go on."),
        )
    )
    judge = exchange(Response(Message("assistant", "fine")), Cost(priced=5.0), role="judge")
    answer = build_answer(TRIAL, [first, exchange(answered(), request=longer), judge])
    assert answer.text == "42"
    assert len(answer.messages) == 3
    assert answer.cost == pytest.approx(0.003)


def test_a_cost_that_is_unknown_in_part_is_unknown() -> None:
    assert build_answer(TRIAL, [exchange(answered()), exchange(answered(), Cost())]).cost is None


def test_without_an_answer_there_is_nothing_to_grade() -> None:
    with pytest.raises(ValueError, match="no request was sent to the target"):
        build_answer(TRIAL, [])


def conversation(*texts: str) -> list[Exchange]:
    """Exchanges in which the user says each text, and the model first calls a tool that fails, then
    answers."""
    exchanges, messages = [], ()
    for number, text in enumerate(texts):
        messages = (*messages, Message("user", text))
        call = ToolCall(f"c{number}", "look", "{}")
        asking = Message("assistant", tool_calls=(call,))
        exchanges.append(exchange(Response(asking), request=Request(messages)))
        messages = (
            *messages,
            asking,
            Message("tool", "Error: no", tool_call_id=call.id, failed=True),
        )
        exchanges.append(
            exchange(Response(Message("assistant", text.upper())), request=Request(messages))
        )
        messages = (*messages, Message("assistant", text.upper()))
    return exchanges


def test_of_a_conversation_all_calls_are_seen() -> None:
    answer = build_answer(TRIAL, conversation("a", "b"))
    assert [call.id for call in answer.tool_calls] == ["c0", "c1"]
    assert (answer.text, answer.turns, answer.failed_calls) == ("B", 4, 2)


def test_each_turn_has_an_answer_of_its_own() -> None:
    trial = replace(
        TRIAL, request=Request((Message("user", "a"),)), conversation=Conversation(turns=("b", "c"))
    )
    first, second, third = build_turn_answers(trial, conversation("a", "b"))
    assert first is not None
    assert (first.text, first.turns, [call.id for call in first.tool_calls]) == ("A", 2, ["c0"])
    assert second is not None
    assert (second.text, second.turns, [call.id for call in second.tool_calls]) == ("B", 2, ["c1"])
    assert second.failed_calls == 1
    assert third is None


def test_without_a_conversation_the_first_answer_is_the_only_one() -> None:
    (first,) = build_turn_answers(TRIAL, [exchange(answered())])
    assert first == build_answer(TRIAL, [exchange(answered())])


# ── Grading without asking ────────────────────────────────────────────────────────────────────────

EQUALS = GraderSpec(type="equals", arguments={"value": "{{ expected }}"}, id="equals")
JUDGE = GraderSpec(
    type="judge", arguments={"target": "other", "rubric": "Is it right?"}, id="judge"
)


async def judge_approves(flow: Flow[Grade], prefix: str) -> tuple[Grade, tuple[Exchange, ...]]:
    """Drives a judge's flow without an engine: it is answered as it wishes."""
    ask = next(flow)
    assert isinstance(ask, Ask)
    response = Response(
        Message("assistant", '{"reason": "it is", "pass": true}'), finish_reason="stop"
    )
    own = Exchange(f"{prefix}0", ask.role, "other", ask.request, response, PAID)
    try:
        flow.send(response)
    except StopIteration as ended:
        return ended.value, (own,)
    raise AssertionError("a judge asks once")


def test_a_transcript_is_graded_from_its_exchanges_alone() -> None:
    """As records of an earlier run are, against other graders than they had."""
    trial = replace(TRIAL, graders=(EQUALS, JUDGE))
    transcript = Transcript((exchange(answered(Marks(sent=0, done=MS))),))
    grades = asyncio.run(grade_transcript(trial, transcript, GraderSets(), judge_approves))
    assert [(grade.name, grade.value) for grade in grades] == [("equals", True), ("judge", True)]
    assert [each.position for each in grades[1].exchanges] == ["g1.0"]
    record = build_record(trial, "s", transcript, grades)
    assert (record.score, record.passed, record.cost, record.grading_cost) == (
        1.0,
        True,
        0.001,
        0.001,
    )
    assert record.exchanges == transcript.exchanges


def test_what_was_not_answered_has_no_grades() -> None:
    refused = Error("provider", "bad_request", "no")
    transcript = Transcript((exchange(Response(error=refused)),), refused)
    trial = replace(TRIAL, graders=(EQUALS,))
    assert asyncio.run(grade_transcript(trial, transcript, GraderSets(), judge_approves)) == ()
    record = build_record(trial, "s", transcript, ())
    assert (record.error, record.score, record.passed) == (refused, None, None)
