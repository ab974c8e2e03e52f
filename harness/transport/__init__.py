"""Sends requests: the `Send` stack and everything below it.

`middleware/` wraps one Send in another, `http/` makes one attempt over HTTP, `local/` runs the
user's own code as a target.
"""
