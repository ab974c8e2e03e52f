"""What a record says of an answer that was asked to have a form, from literal answers and from a
run over sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import harness
from harness.engine.structured_output import parse_structured_output
from harness.flows.base import TARGET
from harness.model import (
    Error,
    Exchange,
    Message,
    Record,
    Request,
    Response,
    ResponseFormat,
    ToolCall,
)
from harness.runs.folder import read_records
from harness.runs.records import decode_line, encode_line
from harness.runs.redaction import Redactor
from tests.graders.grading import call_own, finish
from tests.support import Command, Simulated

OBJECT = ResponseFormat("json_object")
LISTS = ResponseFormat(
    "json_schema", {"items": {"allOf": [{"anyOf": [{"oneOf": [{"$ref": "#"}]}]}]}}
)
PRICE = ResponseFormat("json_schema", {"multipleOf": 0.01})
ORDER = ResponseFormat(
    "json_schema", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
)


def answered(text: str, wanted: ResponseFormat | None = ORDER, **response: Any) -> Exchange:
    said = Message("assistant", text, tool_calls=response.pop("calls", ()))
    return Exchange(
        "t0", TARGET, "tiny", Request(response_format=wanted), Response(message=said, **response)
    )


def parsed_of(exchanges: list[Exchange]) -> Any:
    return finish(parse_structured_output(exchanges), call_own)


@pytest.mark.parametrize(
    ("text", "wanted", "value", "flags"),
    [
        ('{"n": 3}', ORDER, {"n": 3}, ()),
        (
            '{"n": 121932631112635269121932631112635269}',
            ORDER,
            {"n": 121932631112635269121932631112635269},
            (),
        ),
        ('{"n": "3"}', ORDER, {"n": "3"}, ("schema_mismatch",)),
        ("[1, 2]", ORDER, [1, 2], ("schema_mismatch",)),
        ("[1, 2]", OBJECT, [1, 2], ()),
        ("null", OBJECT, None, ()),
        ('```json\n{"n": 3}\n```', ORDER, None, ("invalid_json",)),
        ('{"n": 3', ORDER, None, ("invalid_json",)),
        ('{"n": NaN}', ORDER, None, ("invalid_json",)),
        ("", ORDER, None, ("invalid_json",)),
        ("[" * 100 + "]" * 100, OBJECT, json.loads("[" * 100 + "]" * 100), ()),
        ("[" * 102 + "]" * 102, OBJECT, None, ("invalid_json",)),
        ("[" * 100_000, OBJECT, None, ("invalid_json",)),
        ("[" * 20 + "]" * 20, LISTS, json.loads("[" * 20 + "]" * 20), ()),
        ("1e999", PRICE, float("inf"), ("schema_mismatch",)),
        ('{"n": 3}', None, None, ()),
    ],
)
def test_the_value_and_what_is_wrong_with_it(
    text: str, wanted: ResponseFormat | None, value: Any, flags: tuple[str, ...]
) -> None:
    assert parsed_of([answered(text, wanted)]) == (value, flags)


def test_the_last_answer_of_the_target_counts() -> None:
    judge = Exchange(
        "g0.0", "judge", "other", Request(), Response(message=Message("assistant", "fine"))
    )
    assert parsed_of([answered('{"n": 1}'), answered('{"n": 2}'), judge]) == (
        {"n": 2},
        (),
    )


def test_tool_calls_and_errors_were_not_asked_to_have_a_form() -> None:
    broken = Error("provider", "truncated", "cut")
    assert parsed_of([answered("", calls=(ToolCall("1", "f", "{}"),))]) == (None, ())
    assert parsed_of([answered('{"n"', error=broken)]) == (None, ())
    assert parsed_of([]) == (None, ())


SUITE = """
suite: orders
prompts: [{{user: "Extract the order number as JSON with the key order_number: {{{{ text }}}}"}}]
cases:
  - {{id: good, vars: {{text: "Order number A-1001 arrived."}}}}
{form}
targets: [{{name: local, provider: openai, base_url: "{address}", model: tiny, price: {{input: 0, output: 0}}}}]
sampling: {{max_tokens: 64, temperature: 0}}
"""


@pytest.mark.parametrize("form", ["", "response_format: json_object"])
def test_the_value_stands_on_the_record_the_frame_and_in_show(
    cli: Command, simulator: Simulated, tmp_path: Path, form: str
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "orders.yaml").write_text(
        SUITE.format(address=simulator.openai, form=form)
    )
    ended = cli("run", "suites/orders.yaml", "--out", "run")
    assert ended.code == 0, ended.err
    (record,) = read_records(tmp_path / "run")
    (parsed,) = harness.load_run(tmp_path / "run").trials["parsed"].tolist()
    shown = cli("show", "run", "good").out
    if form:
        assert record.response is not None
        assert record.parsed == json.loads(record.response.text) == json.loads(parsed)
        assert f"parsed {json.dumps(record.parsed)}" in shown
    else:
        assert record.parsed is None
        assert str(parsed) == "<NA>"
        assert "parsed" not in shown


def test_an_answer_that_is_no_json_is_data(
    cli: Command, simulator: Simulated, tmp_path: Path
) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "orders.yaml").write_text(
        SUITE.format(address=simulator.openai, form="response_format: json_object")
    )
    ended = cli("run", "suites/orders.yaml", "--out", "run", "--set", "sampling.max_tokens=3")
    assert ended.code == 0, ended.err
    (record,) = read_records(tmp_path / "run")
    assert record.response is not None
    assert (record.parsed, record.flags, record.error) == (None, ("invalid_json",), None)
    assert record.response.text
    assert (
        "1 answer is not JSON, although JSON was requested"
        in (tmp_path / "run" / "report.md").read_text()
    )


@pytest.mark.parametrize("said", ["plain", "\ud800", 'the key sk-"0123456789'])
def test_the_value_of_a_long_answer_goes_into_the_record_as_it_is(said: str) -> None:
    wanted = {"n": 12345678901234567890123, "said": said, "more": ["x" * 400] * 100}
    text = json.dumps(wanted, indent=1, ensure_ascii=False).replace("\n", "\r\n")
    value, flags = parsed_of([answered(text)])
    assert flags == ()
    record = Record("k", "e", "c", "p", "t", {}, 0, "s", parsed=value)
    encoded = encode_line(record)
    assert encoded.count(b"\n") == 1
    assert decode_line(encoded) == replace(record, parsed=wanted)
    redacted = Redactor({"KEY": 'sk-"0123456789'}).redact_value(record)
    assert decode_line(encode_line(redacted)) == replace(
        record, parsed={**wanted, "said": said.replace('sk-"0123456789', "[redacted KEY]")}
    )


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("[" * 50_000, ("invalid_json",)),
        ("[" * 101 + " " * 40_000 + "]" * 101, ("invalid_json",)),
        (json.dumps({"n": "x" * 40_000}), ("schema_mismatch",)),
    ],
)
def test_a_long_answer_that_does_not_fit_is_flagged(text: str, flags: tuple[str, ...]) -> None:
    assert parsed_of([answered(text)])[1] == flags
