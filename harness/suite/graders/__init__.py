"""Reads what a suite says of grading: graders, and the extraction before them."""
