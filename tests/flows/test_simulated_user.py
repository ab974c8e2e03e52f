"""The simulated user as a flow: what it is shown, when it is done, and whose failure its failure
is."""

from __future__ import annotations

import pytest

from harness.flows.base import Ask, AskFailed
from harness.flows.simulated_user import next_message, user_request
from harness.model import Error, Message, Response, SimulatedUser, Text, ToolCall

CUSTOMER = SimulatedUser("actor", "A customer {with} a lamp.\n", sampling={"temperature": 0.0})
TALK = (
    Message("system", "Never give refunds."),
    Message("user", (Text("My lamp is "), Text("broken."))),
    Message("assistant", "", tool_calls=(ToolCall("1", "look_up", "{}"),)),
    Message("tool", "secret stock", tool_call_id="1"),
    Message("assistant", "Which order?"),
)


def answered(reply: Response) -> str | None:
    flow = next_message(CUSTOMER, TALK)
    next(flow)
    with pytest.raises(StopIteration) as ended:
        flow.send(reply)
    said: str | None = ended.value.value
    return said


def test_it_asks_the_named_target_in_the_role_of_the_user() -> None:
    ask = next(next_message(CUSTOMER, TALK))
    assert isinstance(ask, Ask)
    assert (ask.role, ask.target, ask.request.sampling) == ("user", "actor", {"temperature": 0.0})


def test_it_sees_what_was_said_and_neither_the_instructions_nor_the_tools() -> None:
    system, shown = user_request(CUSTOMER, TALK).messages
    assert "A customer {with} a lamp.\n\nThe conversation" in system.text
    assert "reply with DONE alone" in system.text
    assert (
        "\n[user]\nMy lamp is broken.\n\n[assistant]\nWhich order?\n</conversation-" in shown.text
    )
    assert not [
        word for word in ("refund", "look_up", "secret") if word in system.text + shown.text
    ]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Order A-12.", "Order A-12."),
        ("  Order A-12. \n", "Order A-12."),
        ("DONE", None),
        ("Thanks!\nDONE", None),
        ("", None),
        ("**DONE.**", None),
        ("I am not DONE with you!", "I am not DONE with you!"),
    ],
)
def test_it_speaks_until_it_says_that_it_is_done(reply: str, said: str | None) -> None:
    assert answered(Response(Message("assistant", reply))) == said


def test_its_failure_is_the_trials_and_names_it() -> None:
    flow = next_message(CUSTOMER, TALK)
    next(flow)
    error = Error("provider", "rate_limited", "HTTP 429", retryable=True)
    with pytest.raises(AskFailed) as failed:
        flow.throw(AskFailed(Response(error=error)))
    found = failed.value.response.error
    assert found is not None
    assert (found.kind, found.retryable, found.message) == (
        "rate_limited",
        True,
        "the simulated user 'actor': HTTP 429",
    )
