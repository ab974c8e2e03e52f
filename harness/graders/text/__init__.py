"""Graders of the answer's text: compared with another, or searched by a pattern."""
