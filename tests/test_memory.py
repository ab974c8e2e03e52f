"""Planning takes no memory to speak of: ten times the trials, the same process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, sys
from pathlib import Path
from harness.model import Target
from harness.plan import Plan
from harness.suite import load_suite

target = Target("m", "openai", "tiny", "http://host/v1", "http://host/v1")
plan = Plan(load_suite(Path(sys.argv[1])), (target,))
keys = sum(1 for trial in plan.trials(target))
assert keys == len(plan)
print(keys, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
SUITE = """
suite: many
prompts: [{{user: "{{{{ question }}}}"}}]
cases: [{cases}]
graders: [json]
targets: [{{name: m, provider: openai, base_url: "http://host/v1", model: tiny}}]
sweep: {{temperature: {temperatures}}}
"""


def memory(folder: Path, cases: int, settings: int) -> tuple[int, int]:
    """How many trials were planned, rendered and keyed, and the most bytes the process held."""
    lines = (
        json.dumps({"id": f"c{number}", "vars": {"question": f"How much is {number} + {number}?"}})
        for number in range(cases)
    )
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")
    temperatures = [round(number / 1000, 3) for number in range(settings)]
    (folder / "suite.yaml").write_text(SUITE.format(cases="cases.jsonl", temperatures=temperatures))
    # A process's peak begins with that of whoever forked it: a small shell, and not the process of
    # these tests.
    words = [
        "sh",
        "-c",
        '"$0" "$@"; exit $?',
        sys.executable,
        "-c",
        PROGRAM,
        str(folder / "suite.yaml"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    trials, bytes_held = done.stdout.split()
    return int(trials), int(bytes_held)


def test_distinct_cases_take_bytes_and_settings_none(tmp_path: Path) -> None:
    few, little = memory(tmp_path, 10_000, 1)
    many, much = memory(tmp_path, 60_000, 1)
    assert (few, many) == (10_000, 60_000)
    assert (much - little) / (many - few) < 150, "a million would not fit into 250 MB"
    swept, held = memory(tmp_path, 300, 100)
    assert swept == 30_000
    assert held < little + 4 * 2**20
