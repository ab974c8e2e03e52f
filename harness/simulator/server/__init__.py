"""The simulator as a server: ASGI application, delivery with latency, fault injection, ledger,
child process."""
