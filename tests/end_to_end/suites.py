"""Suites the end-to-end tests run."""

from __future__ import annotations

from pathlib import Path

SUMS = """
suite: sums
prompts:
  - {{id: terse, user: "{{{{ question }}}}"}}
  - {{id: strict, system: Answer with the number only., user: "What is {{{{ question }}}}?"}}
cases: [cases.csv]
graders:
  - number
  - {{length: {{max: 40}}, weight: 0}}
targets:
  - {{name: local, provider: openai, base_url: "{address}", model: tiny, price: {{input: 1, output: 2}}}}
sampling: {{max_tokens: 32, seed: 7}}
sweep: {{temperature: [0, 1]}}
{more}
"""


def write_sums(folder: Path, address: str, more: str = "", cases: int = 10) -> Path:
    """A suite of `cases` × 2 prompts × 2 temperatures, in a workspace of its own; returns
    its path."""
    suites = folder / "suites"
    suites.mkdir(exist_ok=True)
    rows = [
        f"c{number},{number} + {number * 3},{number * 4},{'even' if number % 2 == 0 else 'odd'}"
        for number in range(cases)
    ]
    (suites / "cases.csv").write_text("\n".join(["id,question,expected,tags", *rows]) + "\n")
    (suites / "sums.yaml").write_text(SUMS.format(address=address, more=more))
    return suites / "sums.yaml"
