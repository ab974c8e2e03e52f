"""Which option an answer chooses: the shapes of MMLU, ARC, HellaSwag, GPQA, lm-evaluation-harness and
simple-evals, and of chat models' own habits."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.graders import Answer, build_graders
from harness.graders.values.choice import make_reader
from tests.graders.grading import error_of, grade, spec

ABCD = ["A", "B", "C", "D"]
CITIES = ["Paris", "Rome", "New York", "York"]
USE = ["applicable", "not applicable"]
ROWS: list[tuple[str, list[str], str | None]] = [
    # letters
    *(
        (text, ABCD, "B")
        for text in (
            "B",
            "b",
            "B.",
            "b)",
            "(B)",
            "(b)",
            "**B**",
            "**B.**",
            "`B`",
            "B\n",
            " B ",
            '"B"',
            "[B]",
            "Answer: B",
            "Answer: b",
            "Answer: (B)",
            "Answer: **B**",
            "**Answer: B**",
            "**Answer:** B",
            "ANSWER: B",
            "Answer:B",
            "answer = B",
            "Answer: $B",
            "Answer: B) Mitosis",
            "Answer: B. It is",
            r"\boxed{B}",
            r"$\boxed{\text{B}}$",
            r"\boxed{(B)}",
            r"The answer is $\boxed{B}$.",
            r"\boxed{\mathbf{B}}",
            "The answer is B",
            "The correct answer is B.",
            "The correct answer is (B).",
            "The answer is (B)",
            "So the answer is (B).",
            "The best answer is B.",
            "Therefore, the answer is B: mitosis.",
            "The correct option is B.",
            "The correct choice is **B**.",
            "The answer is option B.",
            "Option B is correct.",
            "I choose B.",
            "Final Answer: The final answer is (B). I hope it is correct.",
            "The answer is not A. The answer is B.",
            "(A) is wrong, so the answer is B.",
            "A and C are wrong.\n\nAnswer: B",
            "Choice A fails.\n#### B",
            "#### B",
            "B because mitosis needs it",
            "It is B, clearly.",
            "A cell divides by B.",
            "I think B.",
            "I would go with (B).",
            "B) Mitosis",
            "B. Mitosis",
            "B: Mitosis",
            "(B) Mitosis",
            "**B) Mitosis**",
            "**B.** Mitosis",
            "Let's think step by step. A is too small, C too large. **B** fits.",
            "答案是B。",
            "答案：B",
            "Answer: B\n\nA is wrong since it is too small.",
            "I'd pick answer: B",
            "Not A but rather (B)",
            "The answer: B",
            "My answer is B",
            "Correct Answer: B",
            '{"answer": "B"}',
            "<answer>B</answer>",
        )
    ),
    ("A", ABCD, "A"),
    ("Answer: A", ABCD, "A"),
    ("The answer is A.", ABCD, "A"),
    ("A because it is small", ABCD, "A"),
    ("a)", ABCD, "A"),
    # none
    *(
        (text, ABCD, None)
        for text in (
            "",
            "A cat sat on a mat.",
            "I do not know.",
            "I",
            "A or B",
            "B and C",
            "(A) or (B)",
            "**A** or **B**",
            "Answer: A\nAnswer: B",
            r"\boxed{A} or \boxed{B}",
            "A) one\nB) two\nC) three\nD) four",
            "Answer: E",
            "E",
            "The answer is a cell.",
            "The answer is unclear.",
            "Neither",
            "H2O",
            "The answer is not B.",
            "Answer: none of the above",
        )
    ),
    # texts
    ("Paris", CITIES, "Paris"),
    ("paris.", CITIES, "Paris"),
    ("A", CITIES, "Paris"),
    ("Answer: B", CITIES, "Rome"),
    ("It is PARIS!", CITIES, "Paris"),
    ("The answer is Paris, not Rome.", CITIES, None),
    ("New York", CITIES, "New York"),
    ("I live in new  york", CITIES, "New York"),
    ("York", CITIES, "York"),
    ("Parisian", CITIES, None),
    ("Paris or Rome", CITIES, None),
    ("B) Rome", CITIES, "Rome"),
    ("**Rome**, though Paris is close", CITIES, "Rome"),
    ("Rome is old. The answer is Paris", CITIES, "Paris"),
    (r"\boxed{\text{Rome}}", CITIES, "Rome"),
    ("A city such as Rome", CITIES, "Rome"),
    ("(C) New York", CITIES, "New York"),
    ("The rule is not applicable here.", USE, "not applicable"),
    ("Applicable", USE, "applicable"),
    ("B", USE, "not applicable"),
    ("Answer: Rome", CITIES, "Rome"),
    ("Answer: the city of Rome", CITIES, "Rome"),
    ("yes", ["yes", "no"], "yes"),
    ("Yes.", ["yes", "no"], "yes"),
    ("No, it is not.", ["yes", "no"], "no"),
    ("Yes and no", ["yes", "no"], None),
    ("The answer is no.", ["yes", "no"], "no"),
    ("2", ["1", "2", "10"], "2"),
    ("10", ["1", "2", "10"], "10"),
]


@pytest.mark.parametrize(("text", "options", "chosen"), ROWS)
def test_the_option_that_a_person_reads(text: str, options: list[str], chosen: str | None) -> None:
    assert make_reader(tuple(options)).read(text) == chosen


@pytest.mark.parametrize(
    ("arguments", "answer", "value", "unparsed"),
    [
        ({"options": ABCD, "expected": "B"}, "Answer: B", True, False),
        ({"options": ABCD, "expected": "b"}, "Answer: C", False, False),
        ({"options": ABCD, "expected": "B"}, "B or C", False, True),
        ({"options": CITIES, "expected": "B"}, "Rome", True, False),
        ({"options": CITIES, "expected": "rome"}, "(B)", True, False),
        ({"options": CITIES}, Answer("It is Rome.", expected="Rome"), True, False),
        ({"options": "{{ cities }}"}, Answer("B", "B", {"cities": CITIES}), True, False),
        ({"options": [1, 2, 10], "expected": 10}, "C", True, False),
    ],
)
def test_verdicts(
    arguments: dict[str, Any], answer: Answer | str, value: bool, unparsed: bool
) -> None:
    graded = grade("choice", arguments, answer)
    assert (graded.value, graded.unparsed, graded.error) == (value, unparsed, None)


def test_a_reason_says_what_was_expected_and_chosen() -> None:
    failed = grade("choice", {"options": CITIES, "expected": "B"}, "Answer: A")
    assert failed.reason == "expected 'Rome', chose 'Paris'"
    assert grade("choice", {"options": ABCD, "expected": "B"}, "A or B").reason == (
        "no single choice in 'A or B'"
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"options": ABCD, "expected": "E"}, "must be one of the options, 'A', 'B', 'C', 'D'"),
        ({"options": ["yes", "Yes"], "expected": "yes"}, "must be different texts"),
        ({"options": ["yes"], "expected": "yes"}, "must be 2 to 26 options, not 1"),
        (
            {"options": [str(each) for each in range(27)], "expected": "1"},
            "must be 2 to 26 options, not 27",
        ),
    ],
)
def test_wrong_options_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        build_graders([spec("choice", arguments)])
    without = {"options": arguments["options"]}
    graded = grade("choice", without, Answer("A", expected=arguments["expected"]))
    assert error_of(graded).kind == "invalid_arguments"


@pytest.mark.parametrize("piece", ["A ", "Answer: ", "**", "(A) ", "answer ", "Rome ", "a\n", " "])
def test_a_long_answer_is_read_in_linear_time(piece: str) -> None:
    began = time.process_time()
    make_reader(tuple(CITIES)).read(piece * (2**18 // len(piece)))
    assert time.process_time() - began < 2
