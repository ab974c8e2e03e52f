"""The cost of a request, an upper bound of it, and estimates of its tokens.

Pure: price lists and overrides are read by `harness.app` and handed in.
"""
