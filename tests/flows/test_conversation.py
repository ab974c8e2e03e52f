"""The tool loop and later turns, driven with `next()` and `.send()`: what is asked, what is called,
and what goes back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from harness.flows.base import TARGET, Ask, Flow, FunctionCall
from harness.flows.conversation import (
    FAILED_CALLS,
    MAX_TURNS,
    USER_NOT_DONE,
    conversation_flags,
    converse,
)
from harness.model import (
    Action,
    Conversation,
    Error,
    Exchange,
    Identity,
    Message,
    Request,
    Response,
    SimulatedUser,
    Tool,
    ToolCall,
    ToolResult,
    Trial,
)
from tests.graders.grading import call_own

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = (Tool("get_weather", "", CITY), Tool("roll", "", {"type": "object"}))
WEATHER = Action(returns={"temperature": 7})
ROLL = Action(function="/suite/tools.py:roll", source="tools.py:roll@0", timeout=2.5)


def trial(
    conversation: Conversation,
    choice: str | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Trial:
    request = Request((Message("user", "hi"),), tools=TOOLS, tool_choice=choice)
    return Trial(
        Identity("e", "c", "p", "t", {}, 0),
        "k",
        request,
        variables=variables or {},
        conversation=conversation,
    )


def said(text: str = "", *calls: ToolCall, **more: Any) -> Response:
    return Response(Message("assistant", text, tool_calls=calls, **more))


def call(
    name: str = "get_weather", arguments: str = '{"city": "Oslo"}', number: int = 1
) -> ToolCall:
    return ToolCall(f"call_{number}", name, arguments)


class Played:
    """A conversation played to its end: the model says `answers` in turn, a function returns how
    often one was called."""

    def __init__(
        self, trial: Trial, *answers: Response, results: Sequence[ToolResult] = ()
    ) -> None:
        self.asked: list[Request] = []
        self.called: list[tuple[FunctionCall, ...]] = []
        assert trial.conversation is not None
        flow, coming, told = converse(trial, trial.conversation), iter(answers), iter(results)
        self.value = self._play(flow, coming, told)
        exchanges = [
            Exchange(f"t{index}", TARGET, "t", request, answer)
            for index, (request, answer) in enumerate(zip(self.asked, answers, strict=False))
        ]
        self.flags = conversation_flags(exchanges)

    def _play(self, flow: Flow[Response], answers: Any, results: Any) -> Response:
        answer: Any = None
        while True:
            try:
                need = flow.send(answer)
            except StopIteration as ended:
                value: Response = ended.value
                return value
            if isinstance(need, Ask):
                self.asked.append(need.request)
                answer = next(answers)
            elif isinstance(need, ToolCall):
                answer = call_own(need)
            else:
                assert isinstance(need, tuple)
                needs = tuple(each for each in need if isinstance(each, FunctionCall))
                self.called.append(needs)
                answer = tuple(
                    next(results, ToolResult(each.id, json.dumps(len(self.called))))
                    for each in needs
                )

    @property
    def last(self) -> Sequence[Message]:
        """What the model was told last, beyond the first question."""
        return self.asked[-1].messages[1:]


def test_a_call_is_performed_and_the_model_asked_again_with_its_result() -> None:
    echo = [{"signature": "kept"}]
    played = Played(
        trial(Conversation(actions={"get_weather": WEATHER})),
        said("Let me see", call(), echo=echo),
        said("7"),
    )
    assert played.last == (
        Message("assistant", "Let me see", tool_calls=(call(),), echo=echo),
        Message("tool", '{"temperature": 7}', tool_call_id="call_1", name="get_weather"),
    )
    assert (played.value.text, played.flags, played.called) == ("7", (), [])


def test_parallel_calls_run_side_by_side_and_are_answered_in_order() -> None:
    conversation = Conversation(actions={"get_weather": WEATHER, "roll": ROLL})
    first = said("", call("roll", '{"n": 1}', 1), call(number=2), call("roll", '{"n": 2}', 3))
    played = Played(
        trial(conversation),
        first,
        said("done"),
        results=[ToolResult("call_1", '"six"'), ToolResult("call_3", "2")],
    )
    (together,) = played.called
    assert together == (
        FunctionCall("call_1", "/suite/tools.py:roll", '{"n": 1}', 2.5),
        FunctionCall("call_3", "/suite/tools.py:roll", '{"n": 2}', 2.5),
    )
    assert [(each.tool_call_id, each.text) for each in played.last[1:]] == [
        ("call_1", "six"),
        ("call_2", '{"temperature": 7}'),
        ("call_3", "2"),
    ]


def test_the_same_call_twice_in_one_answer_is_performed_once_and_answered_twice() -> None:
    twice = said("", call("roll", "{}", 1), call("roll", "{}", 1))
    played = Played(trial(Conversation(actions={"roll": ROLL})), twice, said("done"))
    assert [len(together) for together in played.called] == [1]
    answered = played.last[1:]
    assert [each.text for each in answered] == ["1", "1"]
    assert [each.tool_call_id for each in answered] == [
        each.id for each in played.last[0].tool_calls
    ]
    assert len({each.tool_call_id for each in answered}) == 2


def test_the_same_call_in_a_later_answer_is_performed_again() -> None:
    played = Played(
        trial(Conversation(actions={"roll": ROLL})),
        said("", call("roll", "{}")),
        said("", call("roll", "{}")),
        said("done"),
    )
    assert [each.text for each in played.last if each.role == "tool"] == ["1", "2"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (call("get_wether"), "there is no tool 'get_wether'; there are: get_weather, roll"),
        (call(arguments="{"), "the arguments are not JSON"),
        (call(arguments="[" * 100_000), "the arguments are not JSON"),
        (call(arguments="[1]"), "the arguments are not a JSON object"),
        (call(arguments="{}"), 'the arguments do not fit: $: "city" is a required property'),
        (
            call(arguments='{"city": 3}'),
            "the arguments do not fit: $.city: 3 is not of type 'string'",
        ),
        (call("roll", "{}"), "out of dice"),
    ],
)
def test_what_goes_wrong_with_a_call_goes_back_to_the_model(wrong: ToolCall, reason: str) -> None:
    conversation = Conversation(
        actions={"get_weather": WEATHER, "roll": Action(raises="out of dice")}
    )
    played = Played(trial(conversation), said("", wrong), said("sorry"))
    result = played.last[-1]
    assert (result.role, result.failed, result.tool_call_id) == ("tool", True, wrong.id)
    assert result.text.startswith(f"Error: {reason}")
    assert (played.value.text, played.flags) == ("sorry", (FAILED_CALLS,))


def test_arguments_nested_beyond_reason_go_back_too() -> None:
    lists_of_lists = {"n": {"items": {"$ref": "#/$defs/n"}}}
    nested = Tool(
        "f",
        "",
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": lists_of_lists},
    )
    asked = trial(Conversation(actions={"f": WEATHER}))
    request = replace(asked.request, tools=(nested,))
    deep = call("f", '{"a": ' + "[" * 900 + "]" * 900 + "}")
    played = Played(replace(asked, request=request), said("", deep), said("sorry"))
    assert played.last[-1].text == "Error: the arguments do not fit: $: nested too deeply"


def test_a_number_beyond_reason_goes_back_too() -> None:
    """1e999 is read as infinity, which no arithmetic of a schema must trip over."""
    price = Tool("pay", "", {"type": "object", "properties": {"usd": {"multipleOf": 0.01}}})
    asked = trial(Conversation(actions={"pay": WEATHER}))
    asked = replace(asked, request=replace(asked.request, tools=(price,)))
    played = Played(asked, said("", call("pay", '{"usd": 1e999}')), said("sorry"))
    assert (
        played.last[-1].text
        == "Error: the arguments do not fit: $.usd: 'inf' is not a multiple of 0.01"
    )


def test_what_does_not_fit_is_quoted_in_part_only() -> None:
    long = call(arguments=json.dumps({"city": list(range(999))}))
    played = Played(trial(Conversation(actions={"get_weather": WEATHER})), said("", long), said(""))
    assert len(played.last[-1].text) < 600


def test_a_function_that_fails_is_told_of_in_its_own_words() -> None:
    failed = ToolResult(
        "call_1", "", Error("tool", "timeout", "it took longer than 2.5 s and was stopped")
    )
    played = Played(
        trial(Conversation(actions={"roll": ROLL})),
        said("", call("roll", "{}")),
        said("ok"),
        results=[failed],
    )
    assert played.last[-1] == Message(
        "tool",
        "Error: it took longer than 2.5 s and was stopped",
        tool_call_id="call_1",
        name="roll",
        failed=True,
    )


def test_a_result_nested_beyond_reason_is_a_failed_one() -> None:
    deep = ToolResult("call_1", "[" * 5_000 + "]" * 5_000)
    played = Played(
        trial(Conversation(actions={"roll": ROLL})),
        said("", call("roll", "{}")),
        said("ok"),
        results=[deep],
    )
    assert (played.last[-1].failed, played.last[-1].text) == (
        True,
        "Error: what it returned is nested too deeply",
    )


def test_a_model_that_never_stops_is_asked_so_often_and_no_more() -> None:
    played = Played(
        trial(Conversation(actions={"roll": ROLL}, max_turns=3)),
        *[said("", call("roll", "{}"))] * 9,
    )
    assert (len(played.asked), len(played.called), played.flags) == (3, 2, (MAX_TURNS,))


@pytest.mark.parametrize(
    ("choice", "then"),
    [("required", "auto"), ("roll", "auto"), ("none", "none"), ("auto", "auto"), (None, None)],
)
def test_a_choice_that_forces_a_call_holds_for_the_first_request(
    choice: str | None, then: str | None
) -> None:
    played = Played(
        trial(Conversation(actions={"roll": ROLL}), choice),
        said("", call("roll", "{}")),
        said("done"),
    )
    assert [request.tool_choice for request in played.asked] == [choice, then]


def test_a_canned_result_is_filled_in_from_the_case_and_the_call() -> None:
    action = Action(
        returns={"temperature": "{{ temperatures[arguments.city] }}", "unit": "C"}, templated=True
    )
    asked = trial(
        Conversation(actions={"get_weather": action}), variables={"temperatures": {"Oslo": 7}}
    )
    assert (
        Played(asked, said("", call()), said("7")).last[-1].text
        == '{"temperature": 7, "unit": "C"}'
    )
    unknown = Played(asked, said("", call(arguments='{"city": "Rome"}')), said("?")).last[-1]
    assert unknown.failed and "Rome" in unknown.text


def test_what_a_call_says_is_never_a_template() -> None:
    action = Action(returns="{{ arguments.city }}", templated=True)
    played = Played(
        trial(Conversation(actions={"get_weather": action})),
        said("", call(arguments='{"city": "{{ 7 * 7 }}"}')),
        said(""),
    )
    assert played.last[-1].text == "{{ 7 * 7 }}"


def test_later_turns_are_asked_with_all_that_was_said() -> None:
    conversation = Conversation(turns=("And now?", "And then?"), actions={"get_weather": WEATHER})
    played = Played(trial(conversation), said("one"), said("", call()), said("two"), said("three"))
    assert [(each.role, each.text) for each in played.last] == [
        ("assistant", "one"),
        ("user", "And now?"),
        ("assistant", ""),
        ("tool", '{"temperature": 7}'),
        ("assistant", "two"),
        ("user", "And then?"),
    ]
    assert (played.value.text, len(played.asked)) == ("three", 4)


def test_a_turn_that_ends_in_open_calls_is_the_last() -> None:
    conversation = Conversation(turns=("And now?",), actions={"roll": ROLL}, max_turns=1)
    played = Played(trial(conversation), said("", call("roll", "{}")))
    assert (len(played.asked), played.flags) == (1, (MAX_TURNS,))


def test_the_same_answers_lead_to_the_same_conversation() -> None:
    answers = [
        said("", call("roll", "{}", 1), call(number=2)),
        said("", call(number=3)),
        said("done"),
    ]
    conversation = Conversation(turns=("Again?",), actions={"get_weather": WEATHER, "roll": ROLL})
    once, again = (Played(trial(conversation), *answers, said("bye")) for _ in range(2))
    assert (once.asked, once.called) == (again.asked, again.called)


# A simulated user


class Visited:
    """A conversation of a desk and a customer, each saying the next of its lines; `roles` is who
    was asked, in order."""

    def __init__(
        self, conversation: Conversation, desk: Sequence[Response], customer: Sequence[str]
    ) -> None:
        lines = {TARGET: iter(desk), "user": iter([said(text) for text in customer])}
        whole = trial(conversation)
        flow, answer = converse(whole, conversation), None
        exchanges: list[Exchange] = []
        try:
            while True:
                need = flow.send(answer)  # type: ignore[arg-type]
                assert isinstance(need, Ask)
                answer = next(lines[need.role])
                exchanges.append(
                    Exchange(
                        f"t{len(exchanges)}", need.role, need.target or "t", need.request, answer
                    )
                )
        except StopIteration as ended:
            self.value: Response = ended.value
        self.roles = [each.role for each in exchanges]
        self.flags = conversation_flags(exchanges)
        self.last = [each for each in exchanges if each.role == TARGET][-1].request


def test_a_simulated_user_speaks_after_the_written_turns_and_until_it_is_done() -> None:
    conversation = Conversation(turns=("And?",), user=SimulatedUser("actor", "A customer."))
    visited = Visited(conversation, [said("a"), said("b"), said("c")], ["So?", "DONE"])
    assert visited.roles == [TARGET, TARGET, "user", TARGET, "user"]
    assert [message.text for message in visited.last.messages] == ["hi", "a", "And?", "b", "So?"]
    assert (visited.value.text, visited.flags) == ("c", ())


def test_a_simulated_user_speaks_no_more_often_than_it_may() -> None:
    conversation = Conversation(user=SimulatedUser("actor", "A customer.", max_turns=2))
    visited = Visited(conversation, [said("a"), said("b"), said("c")], ["So?", "And?", "More?"])
    assert visited.roles == [TARGET, "user", TARGET, "user", TARGET]
    assert visited.flags == (USER_NOT_DONE,)


def test_nobody_speaks_to_an_answer_that_is_still_calling() -> None:
    conversation = Conversation(max_turns=1, user=SimulatedUser("actor", "A customer."))
    visited = Visited(conversation, [said("", call())], ["So?"])
    assert visited.roles == [TARGET]
    assert visited.flags == (MAX_TURNS,)
