"""What a grader sees of a trial: its answer, taken from the exchanges, and what was expected.

In a conversation of several exchanges the answer is the last one's: its text, usage, latency and TTFT. The cost is that of all,
and the tool calls are all that were made. Each turn of the user, the opening too, has an answer of its own for its graders.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.flows.base import TARGET
from harness.graders.base import Answer
from harness.metrics import definitions
from harness.model import Exchange, Message, ToolCall, Trial


def build_answer(trial: Trial, exchanges: Sequence[Exchange]) -> Answer:
    """The Answer to `trial`. Raises ValueError where the target was never asked."""
    asked = [exchange for exchange in exchanges if exchange.role == TARGET]
    if not asked:
        raise ValueError("there is no answer to grade: the target was not asked")
    last = asked[-1]
    response = last.response
    return Answer(
        text=response.text,
        expected=trial.expected,
        variables=trial.variables,
        messages=last.request.messages,
        tool_calls=_tool_calls(asked),
        finish_reason=response.finish_reason,
        usage=response.usage,
        latency=definitions.latency(response),
        ttft=definitions.time_to_first_token(response),
        cost=definitions.total_dollars(asked),
        failed_calls=sum(message.failed for message in last.request.messages[len(asked[0].request.messages) :]),
        turns=len(asked),
    )


def build_turn_answers(trial: Trial, exchanges: Sequence[Exchange]) -> list[Answer | None]:
    """The Answer to the opening and to each turn written after it; None where the conversation ended before it."""
    turns = len(trial.conversation.turns) if trial.conversation else 0
    opening = _count_user_turns(trial.request.messages)
    asked = [exchange for exchange in exchanges if exchange.role == TARGET]
    of_turn = [
        [each for each in asked if _count_user_turns(each.request.messages) - opening == turn] for turn in range(turns + 1)
    ]
    return [build_answer(trial, of_one) if of_one else None for of_one in of_turn]


def _count_user_turns(messages: Sequence[Message]) -> int:
    """How often the user has spoken."""
    return sum(message.role == "user" for message in messages)


def _tool_calls(asked: Sequence[Exchange]) -> tuple[ToolCall, ...]:
    answers = [exchange.response.message for exchange in asked]
    return tuple(call for answer in answers if answer is not None for call in answer.tool_calls)
