"""Turns a report into bytes: console, HTML, Markdown, CSV, JUnit XML, JSON. Someone else writes the
files.

Imports `harness.analysis` and below; never engine or transport.
"""
