"""Targets as a suite writes them, targets.yaml, and the user's own capability table."""
