"""A server that kills its client at an event it is told, and remembers what it was asked and what
it answered."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Killer(ThreadingHTTPServer):
    """Speaks OpenAI's chat completions, streamed; subclass `Handler` to say what it answers.

    `received` are the ids of the requests in the order they came, `answered` those whose answer
    left whole with its usage.
    """

    daemon_threads = True

    def __init__(self, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.received: list[str] = []
        self.answered: list[tuple[str, int, int]] = []
        self._guard = threading.Lock()
        self._left = 0
        self._victim: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def arm(self, victim: subprocess.Popen[str], events: int) -> None:
        """Kill `victim` at the `events`-th event from now: a request received, or a piece of an
        answer sent."""
        with self._guard:
            self._victim, self._left = victim, events

    def handle_error(self, *_: object) -> None:
        """Clients that were killed leave broken connections: expected here, and said by the test
        itself where not."""

    def event(self) -> None:
        """Count one event, and kill if it is the one."""
        with self._guard:
            self._left -= 1
            if self._left == 0 and self._victim is not None:
                self._victim.kill()


class Handler(BaseHTTPRequestHandler):
    """One connection; `deltas` says what the answer to a request is made of."""

    protocol_version = "HTTP/1.1"
    server: Killer

    def deltas(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        raise NotImplementedError

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        identifier = self.headers["x-client-request-id"]
        self.server.received.append(identifier)
        self.server.event()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        deltas = self.deltas(body)
        for delta in deltas:
            self._send({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            self.server.event()
        finish = "tool_calls" if "tool_calls" in deltas[-1] else "stop"
        asked = len(body["messages"][-1]["content"] or "")
        usage = {"prompt_tokens": asked, "completion_tokens": len(deltas)}
        self._send(
            {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage}
        )
        self.server.answered.append((identifier, asked, len(deltas)))
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _send(self, event: dict[str, object]) -> None:
        self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        try:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        except ConnectionError:
            self.close_connection = True  # the client was killed

    def log_message(self, *_: object) -> None:
        """Quiet."""
