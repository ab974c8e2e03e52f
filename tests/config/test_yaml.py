"""YAML without its traps: what a plain scalar means, where everything stands, and what is refused
before it costs anything."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.diagnostics import Place, Problems
from harness.config.yaml import MAX_BYTES, Document, parse_yaml


def read(text: str) -> Any:
    problems = Problems()
    document = parse_yaml(text, "a.yaml", problems)
    problems.raise_any()
    assert document is not None
    return document.value


def refused(text: str) -> list[str]:
    problems = Problems()
    parse_yaml(text, "a.yaml", problems)
    return [f"{each.line}:{each.column}: {each.message}" for each in problems._found]


def document_of(text: str) -> Document:
    document = parse_yaml(text, "a.yaml", Problems())
    assert document is not None
    return document


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "012",
        "0o14",
        "0x1F",
        "12:30:45",
        "2024-01-01",
        "1_000",
        "+1",
    ],
)
def test_what_yaml_1_1_would_convert_stays_text(text: str) -> None:
    assert read(f"key: {text}") == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("0.5", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_json_words_and_numbers_are_values(text: str, value: Any) -> None:
    found = read(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_always_text() -> None:
    assert read("1: a\ntrue: b\nno: c") == {"1": "a", "true": "b", "no": "c"}


def test_quoted_text_is_never_converted() -> None:
    assert read("""['1', "true", 'null', |-\n  5\n]""".replace("|-\n  5\n", '"5"')) == [
        "1",
        "true",
        "null",
        "5",
    ]


texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], max_codepoint=0xFFFD)
)  # what JSON and YAML escape alike
keys = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], max_codepoint=0xFFFD), max_size=160
)  # YAML's end at 1,024 signs
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_is_yaml(value: Any) -> None:
    assert read(json.dumps(value)) == value


def test_every_value_and_key_knows_its_line_and_column() -> None:
    document = document_of("a: 1\nlist:\n  - x\n  - {b: [2, 3]}\n")
    assert document.place_of(("list",), key=True) == Place("a.yaml", 2, 1)
    assert document.place_of(("list", 1, "b", 1)) == Place("a.yaml", 4, 13)
    assert document.place_of(("list", 1, "b", 9)) == Place("a.yaml", 4, 9), (
        "what is not there stands where its parent does"
    )


def test_a_block_text_begins_on_the_line_below_its_mark() -> None:
    document = document_of("text: |\n  first\n  second\nplain: first\n")
    assert document.text_place_of(("text",)).line == 2
    assert document.text_place_of(("plain",)).line == 4


def test_aliases_are_values() -> None:
    assert read("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: 1\nb: 2\na: 3", "3:1", "the key `a` is already on line 1"),
        ("a: !!python/object/apply:os.system [id]", "1:4", "tag"),
        ("a: !!str 5", "1:4", "tag"),
        ("a: {x: 1}\nb:\n  <<: {y: 2}", "3:3", "merge keys"),
        ("a: 1\n---\nb: 2", "2:1", "second document"),
        ("a: *nowhere", "1:4", "`*nowhere` has no complete anchor"),
        ("a: &a [*a]", "1:8", "has no complete anchor"),
        ("a: [1, 2", "2:1", "not YAML"),
        ("? [a]\n: 1", "1:3", "a key must be text"),
        ("a: 1e999", "1:4", "too large"),
        ("a: \x07", "None:None", "not YAML"),
    ],
)
def test_traps_are_refused_where_they_stand(text: str, place: str, said: str) -> None:
    (problem,) = refused(text)
    assert problem.startswith(f"{place}: ")
    assert said in problem


def test_an_alias_bomb_is_counted_not_expanded() -> None:
    levels = ["l0: &l0 [" + ", ".join(["x"] * 10) + "]"]
    levels += [f"l{n}: &l{n} [" + ", ".join([f"*l{n - 1}"] * 10) + "]" for n in range(1, 12)]
    (problem,) = refused("\n".join(levels))
    assert "aliases repeat more than 10,000 values" in problem


def test_a_merge_bomb_is_refused_at_its_first_key() -> None:
    levels = ["l0: &l0 {a: 1}"] + [
        f"l{n}: &l{n}\n  <<: [*l{n - 1}, *l{n - 1}]" for n in range(1, 9)
    ]
    assert all("merge keys" in problem for problem in refused("\n".join(levels)))


def test_five_thousand_brackets_are_a_problem_not_a_crash() -> None:
    (problem,) = refused("[" * 5000 + "]" * 5000)
    assert "deep" in problem or "depth" in problem


def test_a_file_past_the_size_limit_is_not_even_parsed() -> None:
    (problem,) = refused("# " + "x" * MAX_BYTES)
    assert "larger than 16 MiB" in problem


def test_a_file_of_very_many_values_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.config.yaml.MAX_VALUES", 1_000)
    (problem,) = refused(f"- [{'1, ' * 1_000}1]")
    assert "more than 1,000 values; put the cases in a .jsonl file" in problem


def test_a_five_thousand_digit_number_is_a_problem() -> None:
    (problem,) = refused("a: " + "9" * 5000)
    assert "too large" in problem
