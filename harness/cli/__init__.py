"""The command line: words in, exit code out.

Parses options, calls `harness.app`, and shows progress and results. Nothing imports it but
`harness.__main__`.
"""
