"""The judge: what it is asked, what it may not be told, which of its words are a verdict, and that
no answer grades itself."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.flows.base import Ask
from harness.graders import Answer, build_graders, grade_answer
from harness.graders.judges.judge import SEARCHED_CHARACTERS, find_last_object
from harness.model import (
    Error,
    FinishReason,
    Grade,
    Image,
    Message,
    Request,
    Response,
    Text,
    ToolCall,
)
from tests.graders.attacks import ATTACKS
from tests.graders.grading import error_of, spec

RUBRIC = "The answer names the capital of France."
QUESTION = (Message("user", "What is the capital of France?"),)
ANSWER = Answer("Paris", expected="Paris", variables={"country": "France"}, messages=QUESTION)
ARGUMENTS = {"rubric": RUBRIC, "target": "referee"}


def judged(reply: Response | str, answer: Answer = ANSWER, **arguments: Any) -> tuple[Ask, Grade]:
    """What the judge is asked about `answer`, and the grade that its reply makes."""
    flow = grade_answer(build_graders([spec("judge", {**ARGUMENTS, **arguments})]), answer)
    ask = next(flow)
    assert isinstance(ask, Ask)
    if isinstance(reply, str):
        reply = Response(Message("assistant", reply), finish_reason="stop")
    try:
        flow.send(reply)
    except StopIteration as ended:
        return ask, ended.value[0]
    raise AssertionError("a judge asks once")


def asked(answer: Answer = ANSWER, **arguments: Any) -> Request:
    return judged('{"pass": true}', answer, **arguments)[0].request


def failed(error: Error) -> Grade:
    """The grade where the ask itself fails, as the engine throws it in."""
    from harness.flows.base import AskFailed

    flow = grade_answer(build_graders([spec("judge", ARGUMENTS)]), ANSWER)
    next(flow)
    with pytest.raises(StopIteration) as ended:
        flow.throw(AskFailed(Response(error=error)))
    grade: Grade = ended.value.value[0]
    return grade


# What it is asked


def test_the_target_it_names_is_asked_greedily_and_for_an_object_that_fits_a_schema() -> None:
    ask, _ = judged('{"pass": true}')
    assert (ask.role, ask.target) == ("judge", "referee")
    assert ask.request.sampling == {"temperature": 0.0, "max_tokens": 1024}
    form = ask.request.response_format
    assert form is not None and form.schema is not None
    assert form.schema["required"] == ["reason", "pass"]
    assert form.schema["properties"]["pass"] == {"type": "boolean"}


def test_its_sampling_can_be_set() -> None:
    assert asked(sampling={"max_tokens": 9, "seed": {"fixed": 3}}).sampling == {
        "temperature": 0.0,
        "max_tokens": 9,
        "seed": 3,
    }


def test_a_scale_is_in_the_schema_and_in_the_instructions() -> None:
    request = asked(scale="1-5")
    assert request.response_format is not None and request.response_format.schema is not None
    assert request.response_format.schema["properties"]["score"] == {
        "type": "integer",
        "enum": [1, 2, 3, 4, 5],
    }
    assert "from 1 (worst) to 5 (best)" in request.messages[0].text


@pytest.mark.parametrize("scale", ["5-1", "1-1", "0-200", "good", "1..5", ""])
def test_what_is_no_scale_is_refused(scale: str) -> None:
    with pytest.raises(ValueError, match="two whole numbers such as 1-5"):
        build_graders([spec("judge", {**ARGUMENTS, "scale": scale})])


def test_it_sees_the_rubric_the_question_and_the_answer_and_nothing_else() -> None:
    secretive = Answer(
        "Lyon",
        expected="the-expected-answer",
        variables={"country": "the-variable"},
        messages=QUESTION,
        finish_reason="stop",
        latency=1.25,
        cost=0.5,
    )
    system, user = asked(secretive).messages
    (mark,) = set(re.findall(r"<answer-(\w+)>", user.text))
    assert user.text == (
        f"<rubric-{mark}>\n{RUBRIC}\n</rubric-{mark}>\n\n"
        f"<conversation-{mark}>\nWhat is the capital of France?\n</conversation-{mark}>\n\n"
        f"<answer-{mark}>\nLyon\n</answer-{mark}>"
    )
    assert system.text == asked().messages[0].text, "the instructions are the same for every answer"


def test_what_is_expected_is_shown_where_the_rubric_names_it() -> None:
    rubric = "Is {{ country }}'s capital, {{ expected }}, named?"
    assert "Is France's capital, Paris, named?" in asked(rubric=rubric).messages[1].text


def test_a_conversation_is_shown_by_who_said_what() -> None:
    pictured = Message("user", (Text("What is "), Image("image/png", "AAAA"), Text("?")))
    turns = (Message("system", "Be brief."), pictured)
    answer = Answer("", messages=turns, tool_calls=(ToolCall("1", "look", '{"at": 1}'),))
    text = asked(answer).messages[1].text
    assert "[system]\nBe brief.\n\n[user]\nWhat is [an image]?\n</conversation" in text
    assert '>\nlook({"at": 1})\n</answer' in text
    assert "AAAA" not in text


# The verdict


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ('{"reason": "r", "pass": true}', True),
        ('{"pass": false}', False),
        ('Let me see.\n\n```json\n{"reason": "r", "pass": false}\n```', False),
        ('The answer says {"pass": true}, which is bait. {"reason": "r", "pass": false}', False),
        ('{"pass": false, "of": {"pass": true}}', False),
        ('{"pass": true, "unknown": 1} Good day.', True),
    ],
)
def test_the_last_object_is_the_verdict(reply: str, value: bool) -> None:
    assert judged(reply)[1].value is value


@pytest.mark.parametrize(
    ("score", "value"), [(1, 0.0), (2, 0.25), (4, 0.75), (4.5, 0.875), (5, 1.0)]
)
def test_a_score_becomes_a_share_of_the_scale(score: float, value: float) -> None:
    assert judged(json.dumps({"score": score}), scale="1-5")[1].value == value


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "PASS",
        "GRADE: PASS",
        "true",
        "[true]",
        "The answer passes.",
        '{"pass": "true"}',
        '{"pass": 1}',
        '{"pass": null}',
        '{"verdict": true}',
        '{"pass": true',
        '{"reason": "it says {"pass": true}", "pass": false}',
        '{"pass": true} but on second thought {"pass": fal',
        '{"pass": true} {}',
        "{" * 5_000,
        '{"a":' * 5_000,
        '{"pass": true}' + " }" * 3,
    ],
)
def test_what_is_no_verdict_is_ungraded(reply: str) -> None:
    error = error_of(judged(reply)[1])
    assert (error.kind, error.retryable) == ("unparseable", False)


@pytest.mark.parametrize(
    "score", ["0", "6", "true", '"5"', "NaN", "Infinity", "1e999", "9" * 5_000]
)
def test_a_score_off_the_scale_is_ungraded(score: str) -> None:
    assert error_of(judged(f'{{"score": {score}}}', scale="1-5")[1]).kind == "unparseable"


@pytest.mark.parametrize(
    ("finish", "kind"), [("length", "truncated"), ("content_filter", "refused")]
)
def test_a_reply_that_was_cut_or_withheld_is_ungraded_whatever_it_holds(
    finish: FinishReason, kind: str
) -> None:
    reply = Response(Message("assistant", '{"pass": true}'), finish_reason=finish)
    assert error_of(judged(reply)[1]).kind == kind


def test_a_judge_that_could_not_be_asked_is_the_graders_error_and_stays_retryable() -> None:
    error = error_of(
        failed(Error("provider", "rate_limited", "HTTP 429", retryable=True, status=429))
    )
    assert (error.kind, error.retryable) == ("rate_limited", True)


def test_the_reason_is_the_judges() -> None:
    assert judged('{"reason": "Lyon is none", "pass": false}')[1].reason == "Lyon is none"
    assert judged('{"reason": ["no", "text"], "pass": false}')[1].reason == ""


@given(st.text(max_size=300))
def test_reading_any_text_ends_and_finds_an_object_or_none(text: str) -> None:
    found = find_last_object(text)
    assert not found or json.dumps(found)[0] == "{"


# An answer does not grade itself


def test_the_attacks_are_thirty_different_ones() -> None:
    assert len(set(ATTACKS)) == len(ATTACKS) == 30


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_judge_that_quotes_an_attack_before_its_verdict_is_understood(attack: str) -> None:
    reply = f"The answer reads: {attack}\n\n" + json.dumps(
        {"reason": f"It only says {attack}", "pass": False}
    )
    assert judged(reply)[1].value is False


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_judge_that_quotes_an_attack_badly_inside_its_verdict_passes_nothing(attack: str) -> None:
    reply = f'{{"reason": "It says {attack}", "pass": false}}'
    assert judged(reply)[1].value in (False, None)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_judge_that_obeys_the_last_grade_it_reads_in_words_passes_nothing(attack: str) -> None:
    ask, _ = judged('{"pass": true}', Answer(attack, messages=QUESTION))
    obeyed = re.findall(r"GRADE: (\w+)", ask.request.messages[1].text)
    assert (
        judged(f"GRADE: {obeyed[-1] if obeyed else 'FAIL'}", Answer(attack, messages=QUESTION))[
            1
        ].value
        is None
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_answer_is_never_a_template(attack: str) -> None:
    rubric = "Is it {{ expected }}?"
    text = (
        asked(Answer(attack, expected="Paris", messages=QUESTION), rubric=rubric).messages[1].text
    )
    assert f"\n{attack}\n</answer-" in text
    assert text.count("Paris") == 1


@pytest.mark.parametrize("piece", ["{", '{"a":', '{"a":[', "{}}", '{"a":1,'])
def test_a_reply_of_nothing_but_braces_takes_milliseconds(piece: str) -> None:
    reply = piece * (SEARCHED_CHARACTERS // len(piece))
    began = time.process_time()
    assert find_last_object(reply) == {}
    assert time.process_time() - began < 0.5
    assert find_last_object(piece * 50 + ' then: {"pass": true}') == {"pass": True}
