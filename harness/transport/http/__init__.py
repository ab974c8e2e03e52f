"""One attempt over HTTP: keep-alive connections, server-sent events, deadlines, clock marks,
errors."""
