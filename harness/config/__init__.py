"""What the suite language is written in: YAML with positions, diagnostics, units, templates,
sampling parameters.

Below graders and suite, which both use it; imports only `registry`, `model` and `errors`.
"""
