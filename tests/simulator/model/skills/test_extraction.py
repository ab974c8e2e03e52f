from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.simulator.model.rng import RandomStream
from harness.simulator.model.skills import entities, generate_text
from harness.simulator.model.types import Prompt, Sampling, Turn
from tests.properties import scale_examples

ORDER = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "email": {"type": ["string", "null"]},
        "order_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "date": {"type": "string", "format": "date"},
        "amount": {"type": "number"},
        "currency": {"enum": ["USD", "EUR", "GBP"]},
        "product": {"type": "string"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
    },
    "required": ["name", "email", "order_id", "date", "amount", "currency", "product", "items"],
    "additionalProperties": False,
    "$defs": {
        "item": {
            "type": "object",
            "properties": {"quantity": {"type": "integer"}},
            "required": ["quantity"],
        }
    },
}
LETTER = """Dear shop,

on 3 May 2025 I ordered the Fennel garden lamp (order QX-4417) and paid £48.50.

Regards,
Nadia Osei
nadia@osei.example"""


def filled(text: str, schema: dict[str, Any], temperature: float = 0, key: object = 0) -> Any:
    prompt = Prompt("70b", (Turn("user", text),), Sampling(temperature), schema)
    return json.loads(generate_text(prompt, RandomStream(key)))


def test_an_order_is_extracted_from_a_letter() -> None:
    read = filled(LETTER, ORDER)
    assert {key: read[key] for key in ("email", "order_id", "date", "amount", "currency")} == {
        "email": "nadia@osei.example",
        "order_id": "QX-4417",
        "date": "2025-05-03",
        "amount": 48.5,
        "currency": "GBP",
    }


def test_a_missing_value_is_null_where_allowed() -> None:
    read = filled("Nothing of the kind.", ORDER)
    assert (read["email"], read["order_id"]) == (None, None)


@given(text=st.text(max_size=300), temperature=st.sampled_from([0, 1, 5]), key=st.integers())
@settings(max_examples=scale_examples(100))
def test_the_answer_fits_the_schema_whatever_the_text(
    text: str, temperature: float, key: int
) -> None:
    jsonschema.validate(filled(text, ORDER, temperature, key), ORDER)


WORDS = [
    "type",
    "properties",
    "items",
    "enum",
    "anyOf",
    "$ref",
    "const",
    "name",
    "date",
    "object",
    "format",
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(schema=st.dictionaries(st.sampled_from(WORDS), anything, max_size=5))
@settings(max_examples=scale_examples(300))
def test_nonsense_for_a_schema_is_still_answered_with_json(schema: dict[str, Any]) -> None:
    filled(LETTER, schema)


def test_a_schema_that_refers_to_itself_ends() -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "left": {"$ref": "#"}, "right": {"$ref": "#"}},
    }
    assert "name" in filled(LETTER, tree)["left"]["right"]


def test_any_object_has_the_keys_the_prompt_names() -> None:
    assert set(filled("Reply in JSON with the keys name, email and amount.\n\n" + LETTER, {})) == {
        "name",
        "email",
        "amount",
    }
    assert set(filled("Hello", {})) == {"answer"}


def test_dates_of_many_forms_become_one() -> None:
    for written in (
        "2025-05-03",
        "03.05.2025",
        "3 May 2025",
        "May 3rd, 2025",
        "2025/5/3",
        "the 3rd of May 2025",
    ):
        assert entities.find_dates(f"I ordered it on {written}.") == ["2025-05-03"], written
    assert entities.find_dates("32 May 2025, 2025-13-01") == []


def test_amounts_of_both_conventions_become_decimals() -> None:
    assert entities.find_amounts("Total: 1.349,50 €") == ["1349.5"]
    assert entities.find_amounts("Total: $1,349.50") == ["1349.5"]
    assert entities.find_amounts("I paid ¥12,800.") == ["12800"]


def test_a_total_beats_its_parts() -> None:
    assert (
        entities.find_amounts("Shipping 6.50 EUR\nTotal 148.50 EUR\nGift card 20.00 EUR")[0]
        == "148.5"
    )
