"""Tool calling: the right functions, in the right order, with arguments from the question and the
results."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.simulator.model.rng import RandomStream
from harness.simulator.model.simulated_model import SimulatedModel
from harness.simulator.model.skills import generate_calls, generate_text
from harness.simulator.model.types import Call, Function, Prompt, Sampling, Turn

SCOUT = "@cf/meta/llama-4-scout-17b-16e-instruct"


def function(
    name: str, description: str, /, optional: tuple[str, ...] = (), **properties: dict[str, Any]
) -> Function:
    required = [each for each in properties if each not in optional]
    return Function(
        name, description, {"type": "object", "properties": properties, "required": required}
    )


def text(description: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


FUNCTIONS = (
    function(
        "get_weather",
        "The current weather in a city.",
        optional=("unit",),
        city=text("The city"),
        unit=text(enum=["celsius", "fahrenheit"]),
    ),
    function(
        "find_customer",
        "Look a customer up by name; returns the customer's id.",
        name=text("The full name"),
    ),
    function(
        "list_orders",
        "The orders of a customer, the latest last.",
        customer_id=text("The customer's id"),
    ),
    function(
        "order_status",
        "Where an order is: its status and carrier.",
        order_id=text("The order's number"),
    ),
    function("get_price", "The price of a product.", product=text("The product's name")),
    function(
        "convert_currency",
        "Convert an amount of money into another currency.",
        amount={"type": "number", "description": "The amount"},
        from_currency=text("ISO code"),
        to_currency=text("ISO code"),
    ),
)
RETURNS: dict[str, Any] = {
    "get_weather": {"temperature": 14, "conditions": "rain"},
    "find_customer": {"id": "C-17", "name": "Ada Lovelace"},
    "list_orders": [{"order_id": "A-100"}, {"order_id": "A-205"}],
    "order_status": {"status": "shipped", "carrier": "DHL"},
    "get_price": {"price": 40, "currency": "USD"},
    "convert_currency": {"amount": 36.5, "currency": "EUR"},
}


def step(turns: list[Turn], **settings: Any) -> tuple[str, tuple[Call, ...]]:
    prompt = Prompt(SCOUT, tuple(turns), Sampling(0), functions=FUNCTIONS, **settings)
    return generate_text(prompt, RandomStream("text", len(turns))), generate_calls(
        prompt, RandomStream("calls", len(turns))
    )


def conversation(
    question: str, **settings: Any
) -> tuple[list[list[tuple[str, dict[str, Any]]]], str]:
    """Every step's calls, and the text at the end."""
    turns, steps = [Turn("user", question)], []
    for number in range(9):
        said, calls = step(turns, **settings)
        if not calls:
            return steps, said
        steps.append([(call.name, json.loads(call.arguments)) for call in calls])
        numbered = tuple(call._replace(id=f"{number}.{index}") for index, call in enumerate(calls))
        turns.append(Turn("assistant", "", calls=numbered))
        turns += [
            Turn("tool", json.dumps(RETURNS[call.name]), call_id=call.id) for call in numbered
        ]
    raise AssertionError(f"it never stopped calling: {steps}")


def test_a_question_that_needs_one_call_is_answered_from_its_result() -> None:
    steps, said = conversation("What is the weather in Paris?")
    assert steps == [[("get_weather", {"city": "Paris"})]]
    assert "14" in said and "rain" in said


def test_two_things_asked_for_are_two_calls_at_once() -> None:
    steps, _ = conversation("What is the weather in Oslo, and what is the status of order A-100?")
    assert steps == [[("get_weather", {"city": "Oslo"}), ("order_status", {"order_id": "A-100"})]]
    steps, _ = conversation("What's the weather in Paris and London?")
    assert steps == [[("get_weather", {"city": "Paris"}), ("get_weather", {"city": "London"})]]


def test_without_parallel_calls_they_come_one_after_the_other() -> None:
    steps, _ = conversation("What's the weather in Paris and London?", parallel=False)
    assert steps == [[("get_weather", {"city": "Paris"})], [("get_weather", {"city": "London"})]]


def test_a_missing_argument_is_fetched_by_another_call_first() -> None:
    steps, said = conversation("What is the status of the last order of Ada Lovelace?")
    assert steps == [
        [("find_customer", {"name": "Ada Lovelace"})],
        [("list_orders", {"customer_id": "C-17"})],
        [("order_status", {"order_id": "A-205"})],
    ]
    assert "shipped" in said


def test_a_result_becomes_the_next_calls_argument() -> None:
    steps, said = conversation("What is the price of the desk lamp, converted to EUR?")
    assert steps == [
        [("get_price", {"product": "desk lamp"})],
        [("convert_currency", {"amount": 40, "from_currency": "USD", "to_currency": "EUR"})],
    ]
    assert "36.5" in said


@pytest.mark.parametrize(
    ("question", "name", "arguments"),
    [
        (
            "Convert 100 USD to EUR.",
            "convert_currency",
            {"amount": 100, "from_currency": "USD", "to_currency": "EUR"},
        ),
        (
            "Tell me the weather in Rome in fahrenheit.",
            "get_weather",
            {"city": "Rome", "unit": "fahrenheit"},
        ),
        ("List the orders of customer C-17.", "list_orders", {"customer_id": "C-17"}),
    ],
)
def test_arguments_have_the_schemas_types(
    question: str, name: str, arguments: dict[str, Any]
) -> None:
    assert conversation(question)[0] == [[(name, arguments)]]


@pytest.mark.parametrize("question", ["Hello, how are you?", "What is 12 * 14?"])
def test_a_question_that_needs_no_function_is_answered_in_words(question: str) -> None:
    assert step([Turn("user", question)])[1] == ()


def test_the_choice_of_tools_is_honoured() -> None:
    weather, hello = [Turn("user", "What is the weather in Paris?")], [Turn("user", "Hello there")]
    assert step(weather, tool_choice="none")[1] == ()
    assert [call.name for call in step(weather, tool_choice="find_customer")[1]] == [
        "find_customer"
    ]
    assert len(step(hello, tool_choice="required")[1]) == 1


def test_a_failed_call_is_reported_and_not_repeated() -> None:
    call = Call("order_status", ('{"order_id": "A-1"}',), "c1")
    turns = [
        Turn("user", "What is the status of order A-1?"),
        Turn("assistant", "", calls=(call,)),
        Turn("tool", "Error: there is no order A-1", call_id="c1"),
    ]
    said, calls = step(turns)
    assert calls == () and "there is no order A-1" in said


def test_a_later_question_uses_an_earlier_result() -> None:
    call = Call("find_customer", ('{"name": "Ada Lovelace"}',), "c1")
    turns = [
        Turn("user", "What is the id of the customer Ada Lovelace?"),
        Turn("assistant", "", calls=(call,)),
        Turn("tool", json.dumps(RETURNS["find_customer"]), call_id="c1"),
        Turn("assistant", "The id is C-17."),
        Turn("user", "Which orders has she placed?"),
    ]
    assert [(each.name, json.loads(each.arguments)) for each in step(turns)[1]] == [
        ("list_orders", {"customer_id": "C-17"})
    ]


def test_the_token_limit_cuts_the_arguments() -> None:
    prompt = Prompt(
        SCOUT,
        (Turn("user", "What is the weather in Paris?"),),
        Sampling(0, max_tokens=3),
        functions=FUNCTIONS,
    )
    model = SimulatedModel(7)
    (cut,) = model.generate_completions(prompt, model.random_key(prompt), 1)
    assert cut.finish == "length" and cut.tokens == 3
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.calls[0].arguments)


def test_the_ids_of_calls_do_not_change_the_answer() -> None:
    def key(call_id: str) -> bytes:
        turns = (
            Turn("user", "What is the weather in Paris?"),
            Turn("assistant", "", calls=(Call("get_weather", ('{"city": "Paris"}',), call_id),)),
            Turn("tool", "14", call_id=call_id),
        )
        return SimulatedModel(7).random_key(
            Prompt(SCOUT, turns, Sampling(1, seed=3), functions=FUNCTIONS)
        )

    assert key("call_1") == key("call_2")


def test_wrong_calls_increase_with_temperature() -> None:
    def right(temperature: float) -> int:
        prompt = Prompt(
            SCOUT,
            (Turn("user", "What is the weather in Oslo?"),),
            Sampling(temperature),
            functions=FUNCTIONS,
        )
        drawn = [generate_calls(prompt, RandomStream("draw", number)) for number in range(200)]
        return sum(bool(calls) and calls[0].name == "get_weather" for calls in drawn)

    assert right(0) == 200 > right(1.5) > right(5)
