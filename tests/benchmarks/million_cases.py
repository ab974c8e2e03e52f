"""What a million cases take to load and to plan, by the format of their file: `python
tests/benchmarks/million_cases.py`.

Each format in a process of its own; the figures are its CPU seconds and the most memory it held.
`--rows N` is the number of cases.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from rig.tables import table

PROGRAM = """
import resource, sys
from pathlib import Path
from harness.model import Target
from harness.plan import Plan
from harness.suite import load_suite

def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime, now.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

target = Target("m", "openai", "tiny", "http://host/v1", "http://host/v1")
suite = load_suite(Path(sys.argv[1]))
loaded, _ = used()
trials = sum(1 for _ in Plan(suite, (target,)).trials(target))
planned, memory = used()
print(trials, loaded, planned - loaded, memory)
"""
SUITE = """\
suite: many
prompts: ["{{ question }}"]
cases: %s
graders: [json]
targets: [{name: m, provider: openai, base_url: "http://host/v1", model: tiny}]
"""
QUESTION = "'How much is ' || i || ' + ' || i || '?'"
FORMATS = {
    "own.jsonl": (f"'c' || i AS id, {{question: {QUESTION}}} AS vars, 2 * i AS expected", "own.jsonl"),
    "flat.jsonl": (f"i AS n, {QUESTION} AS question, 2 * i AS answer",
                   '{file: flat.jsonl, id: "{{ n }}", expected: "{{ answer }}"}'),
    "c.csv": (f"'c' || i AS id, {QUESTION} AS question, 2 * i AS expected", "c.csv"),
    "c.parquet": (f"'c' || i AS id, {QUESTION} AS question, 2 * i AS expected", "c.parquet"),
}  # fmt: skip


def measure_format(folder: Path, name: str, rows: int) -> list[str]:
    """The table's row for one format."""
    columns, cases = FORMATS[name]
    form = "(FORMAT json)" if name.endswith("jsonl") else ""
    duckdb.sql(f"COPY (SELECT {columns} FROM range({rows}) AS t(i)) TO '{folder / name}' {form}")
    (folder / "suite.yaml").write_text(SUITE % cases)
    words = [sys.executable, "-c", PROGRAM, str(folder / "suite.yaml")]
    words = ["sh", "-c", '"$0" "$@"; exit $?', *words]  # a peak begins with that of whoever forked
    trials, loaded, planned, memory = subprocess.check_output(words, text=True).split()
    if int(trials) != rows:
        raise AssertionError(f"{name}: {trials} of {rows} planned")
    return [name, f"{float(loaded):.1f}", f"{float(planned):.1f}", f"{int(memory) / 2**20:.0f}"]


def main() -> None:
    """Measure every format and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tiny", action="store_true", help="for the test that it still works")
    given = parser.parse_args()
    rows = 1_000 if given.tiny else given.rows
    with TemporaryDirectory() as folder:
        found = [measure_format(Path(folder), name, rows) for name in FORMATS]
    print(table([f"{rows:,} cases", "load, CPU s", "plan, CPU s", "peak MB"], found))


if __name__ == "__main__":
    main()
