"""A function's signature as a JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest

from harness.suite.code_references import describe_function, parse_functions


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        ("str", {"type": "string"}),
        ("float", {"type": "number"}),
        ("'bool'", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("str | None", {"type": ["string", "null"]}),
        ("Optional[int]", {"type": ["integer", "null"]}),
        ("typing.Union[int, str]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (
            "int | list[str]",
            {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
        ),
        ("Literal['a', 2]", {"enum": ["a", 2]}),
        ("Annotated[int, 'how many']", {"type": "integer", "description": "how many"}),
        ("Any", {}),
    ],
)
def test_a_hint_has_its_schema(hint: str, schema: dict[str, Any]) -> None:
    function = parse_functions(f"def f(a: {hint}): ...")["f"]
    assert describe_function(function).parameters["properties"] == {"a": schema}


def test_what_has_a_default_is_not_required() -> None:
    function = parse_functions("async def f(a, b=1, *, c, d=None): ...")["f"]
    assert describe_function(function).parameters["required"] == ["a", "c"]


def test_sphinx_docstrings_describe_parameters_too() -> None:
    lines = [
        "Do it.",
        "",
        ":param a: The first,",
        "    really.",
        ":param int b: The second.",
        ":return: x",
    ]
    docstring = "\n    ".join(lines)
    text = f'def f(a: str, b: int):\n    """{docstring}\n    """'
    said = describe_function(parse_functions(text)["f"])
    assert said.description == "Do it."
    described = {name: each["description"] for name, each in said.parameters["properties"].items()}
    assert described == {"a": "The first, really.", "b": "The second."}
