"""Targets: as a suite declares them, by name from targets.yaml, and the user's own capability
table.
"""
