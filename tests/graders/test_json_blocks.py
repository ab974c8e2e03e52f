"""Which JSON of an answer is read, and what a failing reason says of it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.graders.values.json_blocks import NotJSONError, parse_json_answer
from tests.graders.grading import grade

OBJECT = '{"a": 1}'
FENCED = f"```json\n{OBJECT}\n```\n"

MEANT: list[tuple[str, Any]] = [
    (OBJECT, {"a": 1}),
    ("\ufeff" + OBJECT, {"a": 1}),
    (f" \n\ufeff{OBJECT}\n", {"a": 1}),
    (FENCED + "Then run\n```bash\ncat x | jq .\n```\n", {"a": 1}),
    (FENCED + "In Python:\n```python\nprint([1])\n```\n", {"a": 1}),
    (FENCED + "```\n[2]\n```\n", {"a": 1}),
    ("```json\n{}\n```\nor rather\n" + FENCED, {"a": 1}),
    (FENCED + "```json\n{broken\n```", {"a": 1}),
    ("```\n[2]\n```\nrun it\n```bash\nls\n```", [2]),
    ("```js\n[3]\n```", [3]),
    (f"~~~json\n{OBJECT}\n~~~", {"a": 1}),
    (f"````md\n{FENCED}````\n", {"a": 1}),
    (f'````json\n{{"code": "```"}}\n````\n{FENCED}', {"a": 1}),
    ('````json\n{"code":\n"```"}\n````', {"code": "```"}),
    ('Here:\n```json\n{"code": "use ```x``` here"}\n```', {"code": "use ```x``` here"}),
    (f"It is ```json {OBJECT}``` here", {"a": 1}),
    ('It is ```json {"a": "`x`"}``` here', {"a": "`x`"}),
    (f"```json {OBJECT}\n```", {"a": 1}),
    (f"```json\n{OBJECT}", {"a": 1}),
    (f"```json\n\ufeff{OBJECT}\n```", {"a": 1}),
    (f"1. Result:\n\n       ```json\n       {OBJECT}\n       ```", {"a": 1}),
    (f"The result is {OBJECT}.", {"a": 1}),
    (f"As [1] says, with $\\frac{{1}}{{2}}$: {OBJECT} [2]", {"a": 1}),
    ("The list is [1, 2].", [1, 2]),
    ("- [x] done\n- [ ] open\n" + OBJECT, {"a": 1}),
    ('Either {"a": 1} or {"a": 2}.', None),
    ('{"a": {"b": 1},}', None),
    ('[{"a": 1},]', None),
    ('{"a": "}", "b": {"c": 1},}', None),
    ('{"a": {"b": 1}, "c": ', None),
    ("{'a': 1}", None),
    ("It is 3.", None),
    ("", None),
]


@pytest.mark.parametrize(("answer", "meant"), MEANT)
def test_the_json_that_is_meant_is_read(answer: str, meant: Any) -> None:
    if meant is None:
        with pytest.raises(NotJSONError):
            parse_json_answer(answer)
    else:
        assert parse_json_answer(answer) == meant


@pytest.mark.parametrize(
    ("kind", "arguments", "answer", "reason"),
    [
        (
            "json",
            {"expected": {"a": 2}},
            FENCED + "```bash\nls\n```",
            "$.a: expected 2, got 1, in '{\"a\": 1}'",
        ),
        ("json", {"expected": {"a": 2}}, OBJECT, "$.a: expected 2, got 1"),
        (
            "json_schema",
            {"schema": {"required": ["b"]}},
            f"So: {OBJECT}",
            '$: "b" is a required property, in \'{"a": 1}\'',
        ),
        (
            "json",
            {},
            "```json\n{'a': 1}\n```\n```bash\nls\n```",
            "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
            " in \"{'a': 1}\"",
        ),
        (
            "json",
            {},
            "{} or {}",
            "which of 2 JSON values is meant is not marked in '{} or {}'",
        ),
    ],
)
def test_the_reason_shows_the_block_that_was_read(
    kind: str, arguments: dict[str, Any], answer: str, reason: str
) -> None:
    assert grade(kind, arguments, answer).reason == reason


@pytest.mark.parametrize(
    "answer", ["[" * 49_999, '{"' * 24_000, "{}" * 24_000, '{"}' * 16_000, "[]{" * 16_000]
)
def test_looking_for_json_in_prose_is_bounded(answer: str) -> None:
    with pytest.raises(NotJSONError):
        parse_json_answer(answer)
