"""Arithmetic: finds the expression in a question (written out or in words), evaluates it exactly,
and knows the usual mistakes.

Wrong candidates are the mistakes people and models make: precedence ignored, a carry lost, digits
swapped, a sign dropped. Longer expressions and larger numbers are harder. The parser is a
recursive-descent one, because `eval` would run what a stranger sent.
"""

from __future__ import annotations

import re
from fractions import Fraction

from harness.simulator.model.sampler import Candidate
from harness.simulator.model.skills.difficulty import (
    TextGenerator,
    answer_margin,
    competing_candidates,
)
from harness.simulator.model.skills.prompt_features import PromptFeatures, find_features
from harness.simulator.model.skills.word_problems import parse_word_problem
from harness.simulator.model.types import Prompt

SYMBOL = re.compile(r"\d+(?:\.\d+)?%?|\.\d+|[-+*/()]")
MAX_DEPTH = 50
"""Brackets nested deeper than this are not an expression that a person wrote."""
MAX_CHARACTERS = 2_000
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
SPOKEN = (
    (re.compile(r"(?<=\d) (?:times|multiplied by|x) (?=[\d(-])", re.IGNORECASE), " * "),
    (re.compile(r"(?<=\d) plus (?=[\d(-])", re.IGNORECASE), " + "),
    (re.compile(r"(?<=\d) minus (?=[\d(-])", re.IGNORECASE), " - "),
    (re.compile(r"(?<=\d) (?:divided by|over) (?=[\d(-])", re.IGNORECASE), " / "),
)
EXPRESSION = re.compile(r"[-(\s]*\d[\d.%]*(?:[\s()]*[-+*/][\s()-]*\d[\d.%]*)+[\s)]*")
DATE_OR_PHONE = re.compile(r"\s*\d+(?:[-/]\d+){2,}\s*")
"""Digits joined twice or more without blanks: 2024-03-01, 555-0100-22."""
ASKS = re.compile(
    r"\bhow (?:many|much|far|long|old)\b|\bwhat"
    r" (?:is|was|are|percentage|will)\b|\b(?:calculate|compute|evaluate|add|subtract"
    r"|take|multiply|divide|increase|decrease|work out|find|solve|sum)\b|=|% of\b",
    re.IGNORECASE,
)


class NotAnExpression(Exception):
    """Not an expression this model can evaluate: unbalanced, divided by
    zero, or nested too deeply."""


def propose_answer(prompt: Prompt) -> TextGenerator | None:
    """Answer the question with the value of its expression; None where it has none."""
    question = normalize_question(prompt.question)
    expression = find_expression(question)
    if expression is None:
        return None
    try:
        value = evaluate_expression(expression)
    except NotAnExpression:
        return None
    return _answer_sum(prompt, expression, value)


def normalize_question(text: str) -> str:
    """The question with one sign for each operation and without thousands separators."""
    text = THOUSANDS.sub("", text[:MAX_CHARACTERS]).translate(SIGNS)
    for pattern, sign in SPOKEN:
        text = pattern.sub(sign, text)
    return text


def find_expression(question: str) -> str | None:
    """The longest written expression, else the one that the words describe."""
    found = [
        match[0] for match in EXPRESSION.finditer(question) if not DATE_OR_PHONE.fullmatch(match[0])
    ]
    if found:
        return _balance_brackets(max(found, key=len).strip())
    return parse_word_problem(question) if ASKS.search(question) else None


def _balance_brackets(expression: str) -> str:
    """The expression without brackets that belong to the sentence around it."""
    while expression.count("(") > expression.count(")") and expression.startswith("("):
        expression = expression[1:]
    while expression.count(")") > expression.count("(") and expression.endswith(")"):
        expression = expression[:-1]
    return expression


def _answer_sum(prompt: Prompt, expression: str, value: Fraction) -> TextGenerator:
    logit = answer_margin(prompt, expression, penalty=sum_difficulty(expression))
    result = yield competing_candidates(
        format_number(value), logit, likely_mistakes(expression, value)
    )
    return (yield phrase_result(result, expression, find_features(prompt)))


def sum_difficulty(expression: str) -> float:
    """The logits an expression costs: 0.25 for each operation after the first, 0.125 for each digit
    after the second."""
    operations = len(re.findall(r"(?<=[\d)%])\s*[-+*/]", expression))
    digits = max(len(number.replace(".", "")) for number in re.findall(r"[\d.]+", expression))
    return 0.25 * max(operations - 1, 0) + 0.125 * max(digits - 2, 0)


def likely_mistakes(expression: str, value: Fraction) -> list[str]:
    """Plausible wrong results, the likeliest first; may repeat or equal the right one."""
    wrong = [value + 1, value - 10, value - 1, value + 10, -value if value < 0 else value + 2]
    try:
        wrong.insert(0, evaluate_left_to_right(expression))
    except NotAnExpression:
        wrong.append(value - 2)
    right = format_number(value)
    swapped = right[:-2] + right[-1] + right[-2] if re.search(r"\d\d$", right) else right
    return [*(format_number(number) for number in wrong), swapped]


def phrase_result(result: str, expression: str, asked: PromptFeatures) -> list[Candidate]:
    """The bare number where the prompt asks for it (now and then it forgets), else a sentence with
    it."""
    sentence = f"The answer is {result}."
    if asked.marker:
        return [
            Candidate(f"{expression} = {result}.\n\n{asked.marker}: {result}", 3.0),
            Candidate(sentence, 0.0),
        ]
    if asked.steps:
        return [Candidate(f"{expression} = {result}. {sentence}", 2.0), Candidate(sentence, 0.5)]
    if asked.terse:
        return [
            Candidate(result, 4.5),
            Candidate(sentence, 0.0),
            Candidate(f"Answer: {result}", -0.5),
        ]
    return [
        Candidate(sentence, 2.0),
        Candidate(f"It is {result}.", 0.8),
        Candidate(f"That makes {result}.", 0.5),
    ]


def evaluate_expression(expression: str) -> Fraction:
    """The value of an expression in + - * / ( ) and %, with the usual precedence; raises
    `NotAnExpression`."""
    tokens = SYMBOL.findall(expression)
    parser = _Parser(tokens)
    value = parser.sum(0)
    if parser.position != len(tokens):
        raise NotAnExpression
    return value


def evaluate_left_to_right(expression: str) -> Fraction:
    """The value without precedence and brackets: a plausible wrong answer."""
    tokens = [symbol for symbol in SYMBOL.findall(expression) if symbol not in "()"]
    value = _parse_number(tokens[0]) if tokens else Fraction(0)
    for operator, operand in zip(tokens[1::2], tokens[2::2], strict=False):
        value = _apply_operator(operator, value, _parse_number(operand))
    return value


def format_number(value: Fraction) -> str:
    """Decimal notation: exact if it ends within six decimals, else rounded to four."""
    if value.denominator == 1:
        return str(value.numerator)
    exact = value * 10**6
    places = 6 if exact.denominator == 1 else 4
    return f"{float(value):.{places}f}".rstrip("0").rstrip(".")


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self.position = 0

    def sum(self, depth: int) -> Fraction:
        value = self._product(depth)
        while self._peek() in ("+", "-"):
            value = _apply_operator(self._take(), value, self._product(depth))
        return value

    def _product(self, depth: int) -> Fraction:
        value = self._factor(depth)
        while self._peek() in ("*", "/"):
            value = _apply_operator(self._take(), value, self._factor(depth))
        return value

    def _factor(self, depth: int) -> Fraction:
        if depth > MAX_DEPTH:
            raise NotAnExpression
        symbol = self._take()
        if symbol == "-":
            return -self._factor(depth + 1)
        if symbol == "(":
            value = self.sum(depth + 1)
            if self._take() != ")":
                raise NotAnExpression
            return value
        return _parse_number(symbol)

    def _peek(self) -> str | None:
        return self._tokens[self.position] if self.position < len(self._tokens) else None

    def _take(self) -> str:
        symbol = self._peek()
        if symbol is None:
            raise NotAnExpression
        self.position += 1
        return symbol


def _parse_number(symbol: str) -> Fraction:
    try:
        return Fraction(symbol[:-1]) / 100 if symbol.endswith("%") else Fraction(symbol)
    except ValueError as error:
        raise NotAnExpression from error


def _apply_operator(operator: str, left: Fraction, right: Fraction) -> Fraction:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/" and right != 0:
        return left / right
    raise NotAnExpression
