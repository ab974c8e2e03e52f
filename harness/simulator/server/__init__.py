"""The simulator as a process: ASGI application, delivery with latency, faults, ledger."""
