"""Tools and later turns from a suite to its records, on the simulated model, over sockets; and
through a kill."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from harness.errors import ExitCode
from harness.model import Record
from harness.runs.folder import RECORDS, read_lines, read_records
from harness.runs.records import ToolLine
from harness.suite.targets.target_reader import SimulatorSpec
from tests.support import Command

TARGET = "{name: openai, provider: simulator, model: llama-4-scout, simulator: {api: openai, ttft: 0s, inter_token: 0s}}"
SUITE = f"""
suite: tools
prompts: [{{user: "{{{{ q }}}}"}}]
cases: [cases.jsonl]
tools: [TOOLS]
graders: [{{contains: "{{{{ expected }}}}"}}]
targets: [{TARGET}]
sampling: {{temperature: 0, max_tokens: 300}}
"""
WEATHER = (
    "{name: get_weather, description: The weather in a city., "
    "parameters: {type: object, properties: {city: {type: string}}, required: [city]}, OUTCOME}"
)
FORM = """
response_format:
  type: json_schema
  name: weather
  schema: {type: object, properties: {temperature: {type: integer}}, required: [temperature], additionalProperties: false}
"""
# Each value differs from call to call: a result that was lost would show.
SHOP = '''
import os, random, signal, time
from pathlib import Path

HERE = Path(__file__).parent

def note(text):
    with open(HERE / "calls.log", "a") as log:
        log.write(text + "\\n")

def get_price(product: str) -> dict:
    """The price of a product.

    Args:
        product: The product's name
    """
    note("get_price")
    return {"price": random.randint(10**8, 10**9)}

def get_weather(city: str) -> dict:
    """The weather in a city.

    Args:
        city: The city
    """
    note("get_weather")
    try:
        (HERE / "kill").unlink()
    except FileNotFoundError:
        return {"temperature": 7}
    while b'"kind":"tool"' not in (HERE / "run" / "records.jsonl").read_bytes():
        time.sleep(0.01)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
'''


APIS = get_args(SimulatorSpec.model_fields["api"].annotation)


def targets(apis: Sequence[str]) -> str:
    """One of each API, called as it is."""
    return ", ".join(TARGET.replace("openai", api) for api in apis)


def write(folder: Path, suite: str, *cases: dict[str, object]) -> Path:
    (folder / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)) + "\n")
    (folder / "suite.yaml").write_text(suite)
    return folder / "suite.yaml"


def ran(cli: Command, suite: Path) -> list[Record]:
    return sorted(cli.record(suite), key=lambda record: record.case)


def said(record: Record) -> Sequence[tuple[str, str]]:
    return [(message.role, message.text) for message in record.exchanges[-1].request.messages]


def test_a_canned_tool_is_called_and_its_result_used_behind_every_api(
    cli: Command, tmp_path: Path
) -> None:
    tool = WEATHER.replace("OUTCOME", 'returns: {temperature: "{{ t[arguments.city] }}"}')
    suite = write(
        tmp_path,
        SUITE.replace("TOOLS", tool).replace(TARGET, targets(APIS)),
        {
            "id": "both",
            "vars": {
                "q": "What's the weather in Paris and London?",
                "t": {"Paris": 21, "London": 9},
            },
            "expected": "9",
        },
    )
    assert cli("run", suite, "--out", "run").code == ExitCode.OK
    for record in read_records(tmp_path / "run"):
        assert said(record)[2:] == [
            ("tool", '{"temperature": 21}'),
            ("tool", '{"temperature": 9}'),
        ], record.target
        assert (record.passed, record.flags, len(record.exchanges)) == (True, (), 2), record.target
    _, *shown = cli("show", tmp_path / "run", "both").out.split("━━ tools/both")
    assert len(shown) == len(APIS)
    for conversation in shown:
        assert 'get_weather({"city":"London"})' in conversation.replace(": ", ":")
        assert conversation.count("What's the weather") == 1
        assert "── get_weather returned" in conversation
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("→ get_weather({&#34;city&#34;:") == 2 * len(APIS)


@pytest.mark.parametrize("stream", [True, False])
def test_a_schema_is_for_the_answer_after_the_calls_behind_every_api(
    cli: Command, tmp_path: Path, stream: bool
) -> None:
    text = SUITE.replace("TOOLS", WEATHER.replace("OUTCOME", "returns: {temperature: 21}")) + FORM
    suite = write(
        tmp_path,
        text.replace(TARGET, targets(APIS)) + f"run: {{stream: {str(stream).lower()}}}\n",
        {"id": "paris", "vars": {"q": "What's the weather in Paris?"}, "expected": '"temperature"'},
    )
    records = ran(cli, suite)
    assert {record.target for record in records} == {*APIS}
    for record in records:
        first, last = (record.exchanges[place].request for place in (0, -1))
        assert [dict(json.loads(call.arguments)) for call in last.messages[1].tool_calls] == [
            {"city": "Paris"}
        ], record.target
        assert first.response_format == last.response_format
        assert (record.parsed, record.flags, record.passed, len(record.exchanges)) == (
            {"temperature": 21},
            (),
            True,
            2,
        ), record.target


def test_a_failing_tool_is_told_to_the_model_and_flagged(cli: Command, tmp_path: Path) -> None:
    suite = write(
        tmp_path,
        SUITE.replace("TOOLS", WEATHER.replace("OUTCOME", "raises: the station is down")),
        {
            "id": "down",
            "vars": {"q": "What is the weather in Paris?"},
            "expected": "the station is down",
        },
        {
            "id": "up",
            "vars": {"q": "What is the weather in Paris?!"},
            "expected": "7",
            "tools": {"get_weather": 7},
        },
    )
    assert cli("run", suite, "--out", "run").code == ExitCode.OK
    down, up = sorted(read_records(tmp_path / "run"), key=lambda record: record.case)
    assert (down.passed, down.error, down.flags) == (True, None, ("failed_tool_calls",))
    assert (up.passed, up.flags) == (True, ())
    assert (
        "1 conversation had a tool call that failed" in (tmp_path / "run" / "report.md").read_text()
    )


def test_later_turns_are_asked_and_graded_each(cli: Command, tmp_path: Path) -> None:
    suite = write(
        tmp_path,
        SUITE.replace("tools: [TOOLS]\n", ""),
        {
            "id": "sums",
            "vars": {"q": "What is 2 + 3? Answer with the number only."},
            "expected": "42",
            "turns": [
                {"graders": [{"equals": "5"}, {"equals": "10"}]},
                {
                    "user": "What is 2 + 8? Answer with the number only.",
                    "graders": [{"equals": "10"}, {"equals": "5"}],
                },
                "What is 7 * 6? Answer with the number only.",
            ],
        },
    )
    (record,) = ran(cli, suite)
    assert [text for role, text in said(record) if role == "assistant"] == ["5", "10"]
    graded = {grade.name: grade.value for grade in record.grades}
    assert graded == {
        "turn-1: equals": True,
        "turn-1: equals-2": False,
        "turn-2: equals": True,
        "turn-2: equals-2": False,
        "contains": True,
    }
    assert len(record.exchanges) == 3
    validated = cli("validate", suite, "--references")
    assert (validated.code, "1 expected answer passes all graders" in validated.out) == (
        ExitCode.OK,
        True,
    ), validated.err


def test_a_turn_that_is_not_reached_has_failed(cli: Command, tmp_path: Path) -> None:
    text = SUITE.replace("TOOLS", WEATHER.replace("OUTCOME", "returns: 7")) + "max_turns: 1\n"
    later = [{"user": "And now?", "graders": [{"contains": "7"}]}]
    (record,) = ran(
        cli,
        write(
            tmp_path,
            text,
            {
                "id": "c",
                "vars": {"q": "What is the weather in Oslo?"},
                "expected": "7",
                "turns": later,
            },
        ),
    )
    assert (record.flags, len(record.exchanges)) == (("max_turns",), 1)
    assert (record.grades[0].name, record.grades[0].value) == ("turn-2: contains", False)
    assert record.grades[0].reason == "the conversation ended before this turn"


def test_a_kill_between_two_parallel_calls_repeats_only_the_one_under_way(
    cli: Command, tmp_path: Path
) -> None:
    (tmp_path / "tools.py").write_text(SHOP)
    (tmp_path / "kill").touch()
    question = "What is the price of the desk lamp, and what is the weather in Oslo?"
    suite = write(
        tmp_path,
        SUITE.replace(
            "TOOLS", "tools.py:get_price, {function: tools.py:get_weather, timeout: 60s}"
        ),
        {"id": "both", "vars": {"q": question}, "expected": "7"},
    )
    process = cli.begin("run", suite, "--out", tmp_path / "run")
    _, err = process.communicate(timeout=90)
    assert process.returncode == -signal.SIGKILL, err
    (kept,) = [
        line.result for line in read_lines(tmp_path / "run" / RECORDS) if isinstance(line, ToolLine)
    ]

    ended = cli("resume", tmp_path / "run")
    assert ended.code == ExitCode.OK, ended.err
    (record,) = read_records(tmp_path / "run")
    assert said(record)[2:] == [("tool", kept.content), ("tool", '{"temperature": 7}')]
    assert sorted((tmp_path / "calls.log").read_text().split()) == [
        "get_price",
        "get_weather",
        "get_weather",
    ]
    assert record.passed


def test_a_tool_that_was_changed_makes_other_trials(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(SHOP)
    suite = write(
        tmp_path,
        SUITE.replace("TOOLS", "tools.py:get_price"),
        {"id": "price", "vars": {"q": "What is the price of the desk lamp?"}, "expected": "7"},
    )
    (before,) = ran(cli, suite)
    (tmp_path / "tools.py").write_text(SHOP + "\n# changed\n")
    refused = cli("resume", tmp_path / "run")
    assert refused.code == ExitCode.USAGE
    assert ": the tools changed. Undo" in refused.err
    (after,) = cli.record(suite, "again")
    assert before.error is after.error is None
    assert before.key != after.key


def test_one_call_at_a_time_where_that_is_asked_for(cli: Command, tmp_path: Path) -> None:
    tool = WEATHER.replace("OUTCOME", "returns: 7")
    apis = ("anthropic", "openai", "openai-responses")
    text = (
        SUITE.replace("TOOLS", tool).replace(TARGET, targets(apis)) + "parallel_tool_calls: false\n"
    )
    question = {"q": "What's the weather in Paris and London?"}
    records = ran(cli, write(tmp_path, text, {"id": "both", "vars": question, "expected": "7"}))
    assert {
        record.target: [
            len(message.tool_calls)
            for message in record.exchanges[-1].request.messages
            if message.tool_calls
        ]
        for record in records
    } == {api: [1, 1] for api in apis}


def test_a_provider_without_a_word_for_it_is_told_before_the_run(
    cli: Command, tmp_path: Path
) -> None:
    tool = WEATHER.replace("OUTCOME", "returns: 7")
    strict = WEATHER.replace("OUTCOME", "returns: 7, strict: true")
    for key, text in {
        "parallel_tool_calls": SUITE.replace("TOOLS", tool) + "parallel_tool_calls: false\n",
        "strict": SUITE.replace("TOOLS", strict),
    }.items():
        case = {"id": "c", "vars": {"q": "hi"}, "expected": ""}
        suite = write(tmp_path, text.replace("api: openai", "api: gemini"), case)
        refused = cli("run", suite)
        assert refused.code == ExitCode.USAGE
        assert f"suite.yaml:5:1: target 'openai': gemini has no `{key}`" in refused.err
