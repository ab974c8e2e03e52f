"""Targets that are the user's own code: a Python function or a program."""
