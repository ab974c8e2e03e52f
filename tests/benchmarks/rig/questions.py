"""The questions: all different, all answered with the number they ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODEL = "mock"
SAMPLING: dict[str, Any] = {"temperature": 0.2, "max_tokens": 64, "seed": 7}
SYSTEM = "You are a careful assistant. Think the question through, then give the number that it asks for, and nothing after it."

_SUITE = """\
suite: benchmark
prompts: [{{system: {system}, user: "{{{{ question }}}}"}}]
cases: [cases.jsonl]
graders: [number]
targets: [{{name: mock, provider: openai, base_url: {url}, model: {model}, price: {{input: 0.27, output: 0.85}}}}]
sampling: {sampling}
run: {{concurrency: {concurrency}, stream: {stream}, budget: $1000}}
"""


def digits(number: int) -> str:
    """What tells one question from another."""
    return f"{number:08d}"


def question(asked: str) -> str:
    """About as long as a short prompt is."""
    return f"A ledger lists its entries by number, and one of them was copied out twice. Which number is on entry #{asked}?"


def write_suite(folder: Path, url: str, count: int, concurrency: int, *, stream: bool) -> Path:
    """A suite in `folder` that asks `count` questions of the server at `url`, grades and prices
    them."""
    with (folder / "cases.jsonl").open("w") as cases:
        for number in range(count):
            case = {
                "id": digits(number),
                "vars": {"question": question(digits(number))},
                "expected": number,
            }
            cases.write(json.dumps(case) + "\n")
    suite = folder / "suite.yaml"
    text = _SUITE.format(
        system=json.dumps(SYSTEM),
        url=json.dumps(url),
        model=MODEL,
        sampling=json.dumps(SAMPLING),
        concurrency=concurrency,
        stream=json.dumps(stream),
    )
    suite.write_text(text)
    return suite
