"""`extract:` in a suite: where it may stand, which one counts, and what is said of wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.suite import Suite
from harness.suite.suite import Eval

STRIP, LOWER, LINE = ({"strip": {}},), ({"lower": {}},), ({"line": {"which": "last"}},)


def extracts(evaluation: Eval) -> dict[str, object]:
    """The steps of each grader: the eval's, its turns', and those of the cases' own."""
    found: dict[str, object] = {spec.id: spec.extract for spec in evaluation.graders}
    for prompt in evaluation.prompts:
        found |= {spec.id: spec.extract for turn in prompt.later_turns for spec in turn.graders}
    for case in evaluation.cases:
        for spec in case.graders or ():
            found[f"{case.id}: {spec.id}"] = spec.extract
    return found


def test_the_closest_extract_counts(suite: Callable[..., Suite]) -> None:
    (evaluation,) = suite(
        """
suite: small
prompts:
  - user: "{{ q }}"
    turns:
      - {user: again, graders: [equals: x]}
      - {user: again, graders: [equals: y], extract: lower}
cases:
  - {id: usual, vars: {q: a}, expected: a}
  - {id: own, vars: {q: a}, expected: a, extract: lower}
  - {id: added, vars: {q: a}, expected: a, graders: {add: [contains: a]}}
  - {id: replaced, vars: {q: a}, expected: a, graders: [contains: a]}
extract: strip
graders:
  - equals
  - {starts_with: a, extract: [line]}
  - {ends_with: a, extract: []}
targets: scout-sim
"""
    ).evals
    assert extracts(evaluation) == {
        "equals": STRIP,
        "starts_with": LINE_DEFAULT,
        "ends_with": (),
        "turn-2: equals": STRIP,
        "turn-3: equals": LOWER,
        "own: equals": LOWER,
        "own: starts_with": LINE_DEFAULT,
        "own: ends_with": (),
        "added: equals": STRIP,
        "added: starts_with": LINE_DEFAULT,
        "added: ends_with": (),
        "added: contains": STRIP,
        "replaced: contains": STRIP,
    }


LINE_DEFAULT = ({"line": {}},)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{aftr: x}", "there is no extraction step `aftr`; did you mean `after`"),
        ("stripp", "there is no extraction step `stripp`; did you mean `strip`"),
        ("[{after: x, before: y}]", "a step is its name, or its name and arguments"),
        ("[3]", "a step is its name"),
        ("{line: 0}", "must be first, last, or a number such as 1 or -1"),
        ("{regex: '(?<=a)b'}", "which has no lookaround"),
        ("{regex: {pattern: a, group: 1}}", "the pattern has no group 1"),
        ("{json: '$..['}", "is not a JSON path"),
        ("{template: '{{ answer'}", "in the template"),
        ("{after: {mark: x}}", "`mark`"),
        ("{map: {}}", "`values`"),
        ("{python: gone.py:take}", "gone.py"),
        ("{after: '{{ missing }}'}", "`missing`"),
    ],
)
def test_wrong_steps_are_named_with_their_line(
    problems: Callable[..., list[str]], small: str, written: str, said: str
) -> None:
    for text in (
        f"{small}extract: {written}\n",
        small.replace('equals: "{{ expected }}"', f"{{equals: x, extract: {written}}}"),
    ):
        assert said in " ".join(problems(text))
