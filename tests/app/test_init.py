"""`harness init`: a suite guessed from a file of rows loads and asks what was meant; every template
runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.app.init import TEMPLATES, write_template
from harness.app.prepare import prepare
from harness.app.suite_from_table import write_suite_for
from harness.errors import ExitCode, UsageError
from harness.suite import Overrides, load_suite
from tests.support import Command


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


MMLU = {"question": "A fruit?", "choices": ["stone", "apple"], "answer": 1}
LONG = "A long answer that goes on for quite a while, " * 3

GUESSED: list[tuple[str, str, str, Any, str]] = [
    # file, content, the first question as it is sent, what is expected, the grader
    (
        "qa.csv",
        "Question Text;Answer;Level\nWhat is 1+1?;2;easy\nAnd 17+25?;42;easy\nAnd 3*17?;51;hard\n",
        "What is 1+1?\n\nAnswer with the number only.\n",
        "2",
        "number",
    ),
    (
        "labels.tsv",
        "id\ttext\tlabel\n1\tcharged twice\tbilling\n2\tno parcel\tshipping\n3\ta refund\tbilling\n"
        "4\twhere is it\tshipping\n",
        "charged twice\n\nAnswer with exactly one of: billing, shipping.\n",
        "billing",
        "equals",
    ),
    (
        "gsm8k.jsonl",
        lines({"question": "2 and 3?", "answer": "2+3=5\n#### 5"}),
        "2 and 3?\n\nThink step by step. Give the number on the last line.\n",
        "5",
        "number",
    ),
    (
        "mmlu.json",
        json.dumps({"data": [MMLU, {**MMLU, "question": "Food?"}]}),
        "A fruit?\n\nA. stone\nB. apple\n\nAnswer with the letter only.\n",
        "B",
        "equals",
    ),
    (
        "squad.jsonl",
        lines({"context": "It is red.", "question": "Colour?", "answers": ["red", "Red"]}),
        "It is red.\n\nColour?\n\nAnswer as briefly as possible.\n",
        ["red", "Red"],
        "one_of",
    ),
    (
        "orders.csv",
        'email,Expected\n"2 lamps","{""item"": ""lamp""}"\n',
        "2 lamps\n\nAnswer with a JSON object only.\n",
        '{"item": "lamp"}',
        "json",
    ),
    (
        "own.jsonl",
        lines({"vars": {"q": "1+1"}, "expected": 2}, {"vars": {"q": "2+1"}, "expected": 3}),
        "1+1\n\nAnswer with the number only.\n",
        2,
        "number",
    ),
    (
        "chat.jsonl",
        lines({"input": [{"role": "user", "content": "1 + 1?"}], "ideal": "2"}),
        "1 + 1?",
        "2",
        "number",
    ),
    (
        "prices.csv",
        "question;answer\nA lamp?;3,5\nA desk?;120\nA pen?;0,75\n",
        "A lamp?\n\nAnswer with the number only.\n",
        "3.5",
        "number",
    ),
    (
        "inexact.csv",
        "question;answer\nA half?;1/2\nA lamp?;3.5\nA day?;2025-03-04\n",
        "A half?\n\nAnswer as briefly as possible.\n",
        "1/2",
        "icontains",
    ),
    ("jokes.csv", "prompt\nTell me a joke\n", "Tell me a joke\n", None, "length"),
    ("essays.jsonl", lines({"prompt": "Why?", "reference": LONG}), "Why?\n", LONG, "judge"),
    (
        "odd names.csv",
        'class,"in\nput"\nx,What?\n',
        "What?\n\nAnswer as briefly as possible.\n",
        "x",
        "icontains",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "asked", "expected", "grader"),
    GUESSED,
    ids=[each[0] for each in GUESSED],
)
def test_a_suite_guessed_from_a_file_asks_what_was_meant(
    tmp_path: Path, name: str, content: str, asked: str, expected: Any, grader: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    path = write_suite_for(tmp_path / name, None)
    with prepare(load_suite(path), {}, live=False) as ready:
        trials = list(ready.plan.trials(ready.targets[0]))
    (trial,) = [each for each in trials if each.request.messages[0].content == asked]
    assert trial.expected == expected
    assert [spec.type for spec in trial.graders] == [grader]
    assert "# Guessed: " in path.read_text("utf-8")


def test_a_large_file_is_sampled_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "big.jsonl"
    file.write_text(lines(*({"question": f"{n}+1", "answer": str(n)} for n in range(2_000))))
    path = write_suite_for(file, tmp_path / "suites")
    assert path == tmp_path / "suites" / "big.yaml"
    assert len(load_suite(path).evals[0].cases) == 50
    with pytest.raises(UsageError, match="overwrites nothing"):
        write_suite_for(file, tmp_path / "suites")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "holds no rows to look at"),
        ("a.csv", b"question\n\xff\n", "a.csv: "),
        ("a.txt", b"x", "rows are in .csv"),
        ("none.csv", None, "is not a regular file"),
        ("a.jsonl", b"[1, 2]\n", "holds no rows to look at"),
        ("a.csv", b"id,expected\n1,2\n", "no column that a prompt could ask about"),
    ],
)
def test_a_file_that_no_suite_can_be_guessed_from_says_why(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        write_suite_for(tmp_path / name, None)
    assert said in str(caught.value)
    assert not list(tmp_path.glob("*.yaml"))


def test_the_command_writes_a_suite_that_runs(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "sums.csv").write_text("question,answer\n1 + 1,2\n2 + 2,4\n3 + 4,7\n", "utf-8")
    ended = cli("init", "--from", "sums.csv")
    assert ended.code == ExitCode.OK, ended.err
    assert ended.out.endswith(f"next: harness run {tmp_path / 'sums.yaml'}\n")
    assert len(cli.record("sums.yaml")) == 3
    (tmp_path / "ragged.csv").write_text("question,answer\n1 + 1,2\n2,3,4\n", "utf-8")
    ended = cli("init", "--from", "ragged.csv")
    assert ended.code == ExitCode.USAGE
    assert "ragged.csv:3: " in ended.err
    assert not ended.out
    assert cli("init", "--from", "ragged.csv", "new/suites").code == ExitCode.USAGE
    assert not list(tmp_path.rglob("ragged.yaml"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_every_template_runs_by_itself(cli: Command, tmp_path: Path, template: Any) -> None:
    assert template.name in cli("init", "--list").out
    ended = cli("init", "--template", template.name, "new")
    assert ended.code == ExitCode.OK, ended.err
    assert f"next: harness run new/{template.suite}" in ended.out
    records = cli.record(Path("new") / template.suite, overrides=Overrides(limit=1))
    assert records
    assert [record.error for record in records] == [None] * len(records)
    assert cli("init", "--template", template.name, "new").code == ExitCode.USAGE


def test_a_template_goes_into_a_workspace_beside_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "targets.yaml").write_text("mine: {provider: openai, model: m}\n")
    list(write_template("rag", tmp_path))
    assert "mine" in (tmp_path / "suites" / "targets.yaml").read_text()
    with pytest.raises(UsageError, match="did you mean `rag`"):
        list(write_template("raag", tmp_path))
