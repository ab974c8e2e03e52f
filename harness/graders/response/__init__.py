"""Graders of the response beside its text: length, latency, cost, finish reason, tools, turns."""
