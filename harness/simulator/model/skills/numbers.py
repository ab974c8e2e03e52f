"""Exact arithmetic on written expressions: text to a rational number and back.

A recursive-descent parser, because the usual shortcut would evaluate what a stranger sent.
"""

from __future__ import annotations

import re
from fractions import Fraction

SYMBOL = re.compile(r"\d+(?:\.\d+)?%?|\.\d+|[-+*/()]")

MAX_DEPTH = 50
"""Brackets nested deeper than this are not an expression a person wrote."""


class NotAnExpression(Exception):
    """The text is no arithmetic this model can do: unbalanced, divided by zero, or nested past reason."""


def evaluate_expression(expression: str) -> Fraction:
    """The value of an expression in + - * / ( ) and %, with the usual precedence; raises `NotAnExpression`."""
    tokens = SYMBOL.findall(expression)
    parser = _Parser(tokens)
    value = parser.sum(0)
    if parser.position != len(tokens):
        raise NotAnExpression
    return value


def evaluate_left_to_right(expression: str) -> Fraction:
    """What one gets who forgets precedence and brackets: a plausible wrong answer."""
    tokens = [symbol for symbol in SYMBOL.findall(expression) if symbol not in "()"]
    value = _parse_number(tokens[0]) if tokens else Fraction(0)
    for operator, operand in zip(tokens[1::2], tokens[2::2], strict=False):
        value = _apply_operator(operator, value, _parse_number(operand))
    return value


def format_number(value: Fraction) -> str:
    """Decimal notation, exact where it ends within six decimals, else rounded to four."""
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
