"""One attempt over HTTP/1.1: connections, streams, deadlines, clock marks, errors."""
