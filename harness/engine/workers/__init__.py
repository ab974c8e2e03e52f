"""Runs untrusted Python (graders, tools, regular expressions) in child processes that can be
killed."""
