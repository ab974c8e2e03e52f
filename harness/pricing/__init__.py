"""What a request costs, what it can cost at most, and how many tokens it has.

Pure: the catalogue is read by `harness.app` and handed in.
"""
