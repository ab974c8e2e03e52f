"""Graders of the value in an answer: a number, a JSON value."""
