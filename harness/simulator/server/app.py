"""The simulator as an ASGI application: which address means what, and one request from arrival to ledger.

Control has its own addresses, without a key: `GET /health`, `GET` and `DELETE /ledger`, `GET` and `PUT /faults`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import orjson

from harness.errors import UsageError
from harness.simulator.apis.adapters import DOORS, Asked, Chat, CloudflareChat, Dialect, Gemini, Headed, Native
from harness.simulator.apis.cloudflare import neurons
from harness.simulator.apis.cloudflare.batch import Batches
from harness.simulator.apis.cloudflare.gateway import Gateway, behind
from harness.simulator.apis.openai import requests
from harness.simulator.model.answering import Model
from harness.simulator.model.chance import Stream, digest
from harness.simulator.model.requests import Body, Prompt, Refusal, Reply
from harness.simulator.model.tokens import count_prompt
from harness.simulator.server import fault_injection
from harness.simulator.server.config import Config, faults_from_data
from harness.simulator.server.delivery import deliver
from harness.simulator.server.fault_rules import Fault, pick
from harness.simulator.server.latency import Latency
from harness.simulator.server.ledger import Entry, Ledger
from harness.simulator.server.response_stream import MARK, Line, Receive, Scope, Send

ACCOUNTS = "/client/v4/accounts/"
MODELS = tuple(neurons.NEURONS_PER_MTOK) + tuple(neurons.USD_PER_MTOK)

Answerer = Callable[[Scope, bytes], tuple[int, bytes]]


class App:
    """One simulator: its model, its faults, its ledger."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._model = Model(config.seed)
        self._latency = Latency(config.ttft_s, config.inter_token_s, config.jitter)
        self._ledger = Ledger(config.ledger)
        self._gateway = Gateway()
        self._batches = Batches(config.batch_polls, config.batch_bytes)
        self._faults = config.faults
        self._faults_from = 0
        self._control: dict[tuple[str, str], Answerer] = {
            ("GET", "/health"): self._health,
            ("GET", "/ledger"): self._show_ledger,
            ("DELETE", "/ledger"): self._reset,
            ("GET", "/faults"): self._show_faults,
            ("PUT", "/faults"): self._set_faults,
            ("GET", "/v1/models"): lambda scope, content: (200, requests.models(MODELS)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path: str = scope["path"]
        answerer = self._control.get((scope["method"], path))
        if answerer is not None:
            await _send(send, *answerer(scope, await _content(receive)))
            return
        entry = self._ledger.open(scope["method"], path, scope["headers"], scope["query_string"].decode("latin-1"))
        entry.body = await _content(receive)
        line = Line(scope, receive, send, entry)
        try:
            outcome = await self._answer(line, entry)
        except Refusal as refusal:
            outcome = "refused"
            await self._refuse(line, entry, dialect_for(path, entry.query), refusal)
        self._ledger.close(entry, outcome)

    async def _answer(self, line: Line, entry: Entry) -> str:
        """Read, draw, render and deliver; returns the outcome, raises `Refusal`."""
        dialect = routed(entry.method, entry.path, entry.query)
        self._authenticate(entry, dialect)
        if "queueRequest=true" in entry.query and isinstance(dialect, Native):
            return await self._batch(line, entry, dialect)
        if (held := self._gateway.held(entry)) is not None:
            entry.model, entry.usage = held.model, held.usage
            await deliver(line, held.body, (0.0,) * (1 + len(held.body.frames or ())))
            return _outcome(line, entry, None)
        if isinstance(dialect, Headed):
            dialect.head(entry.header)
        asked = dialect.read(entry.body)
        entry.model = asked.prompt.model
        key = self._model.key(asked.prompt)
        reply = self._reply(asked, key, entry)
        fault = pick(self._faults, self._config.seed, entry.number - self._faults_from, entry.model)
        body = self._gateway.passed(entry, asked.render(reply), keep=fault is None)
        offsets = self._latency.offsets(reply.steps, Stream("latency", key))
        await self._deliver(line, dialect, reply, body, offsets, fault)
        return _outcome(line, entry, fault)

    async def _batch(self, line: Line, entry: Entry, dialect: Native) -> str:
        """A batch's submission or poll; faults count these like other requests."""

        def answer(prompt: Prompt) -> Reply:
            key = self._model.key(prompt)
            answers = self._model.answers(prompt, key, 1)
            return Reply(request_id, int(entry.arrived_unix), count_prompt(prompt.turns, prompt.functions), answers)

        request_id, entry.model = self._request_id(entry), dialect.model
        fault = pick(self._faults, self._config.seed, entry.number - self._faults_from, entry.model)
        if fault is None:
            taken = self._batches.take(entry.body, entry.model, request_id, answer)
            entry.usage = taken.usage
            await deliver(line, taken.body, (0.0,))
        else:
            await fault_injection.perform(
                line, fault, fault_injection.Words(dialect, request_id), Body(200, (), dialect.empty()), (0.0,)
            )
        return _outcome(line, entry, fault)

    async def _deliver(
        self, line: Line, dialect: Dialect, reply: Reply, body: Body, offsets: tuple[float, ...], fault: Fault | None
    ) -> None:
        if fault is None:
            await deliver(line, body, offsets)
        else:
            await fault_injection.perform(line, fault, fault_injection.Words(dialect, reply.request_id), body, offsets)

    def _reply(self, asked: Asked, key: bytes, entry: Entry) -> Reply:
        reply = Reply(
            request_id=self._request_id(entry),
            created=int(entry.arrived_unix),
            prompt_tokens=count_prompt(asked.prompt.turns, asked.prompt.functions),
            answers=self._model.answers(asked.prompt, key, asked.choices),
        )
        entry.usage = (reply.prompt_tokens, reply.completion_tokens)
        return reply

    def _authenticate(self, entry: Entry, dialect: Dialect) -> None:
        if self._config.api_key is not None and not entry.bears(self._config.api_key):
            raise dialect.failure(401)

    async def _refuse(self, line: Line, entry: Entry, dialect: Dialect, refusal: Refusal) -> None:
        await deliver(line, dialect.refused(refusal, self._request_id(entry)), (0.0,))

    def _request_id(self, entry: Entry) -> str:
        return str(uuid.UUID(bytes=digest(self._config.seed, entry.number, entry.arrived_ns), version=4))

    def _health(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, orjson.dumps({"status": "ok", "simulated": True, "now_ns": time.perf_counter_ns()})

    def _show_ledger(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, self._ledger.to_json(bodies=b"bodies=0" not in scope["query_string"])

    def _reset(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        """As freshly started, but for the fault rules, which count from one again."""
        self._ledger.reset()
        self._model.forget()
        self._gateway.forget()
        self._batches.forget()
        self._faults_from = 0
        return 200, b'{"reset":true}'

    def _show_faults(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, orjson.dumps([fault.to_data() for fault in self._faults])

    def _set_faults(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        try:
            self._faults = faults_from_data(orjson.loads(content))
        except (orjson.JSONDecodeError, UsageError) as error:
            return 400, orjson.dumps({"error": str(error)})
        self._faults_from = self._ledger.received
        return self._show_faults(scope, content)


def routed(method: str, path: str, query: str = "") -> Dialect:
    """The dialect spoken at an address; raises `Refusal` where nobody answers."""
    dialect = dialect_for(path, query)
    known = path in DOORS or _workers_ai(path) is not None or Gemini.at(path, query) is not None
    if not known:
        raise dialect.failure(404)
    if method != "POST":
        raise dialect.failure(405, message=f"Method {method} is not allowed here; use POST.")
    return dialect


def dialect_for(path: str, query: str = "") -> Dialect:
    """The dialect errors at an address are worded in, whether or not there is anything."""
    if path.startswith("/v1beta/") or Gemini.at(path, query):
        return Gemini.at(path, query) or Gemini()
    inside = _workers_ai(path)
    if inside is None and not path.startswith("/client/v4/"):
        return DOORS.get(path, Chat)()
    return CloudflareChat() if inside == "v1/chat/completions" else Native((inside or "").removeprefix("run/"))


def _workers_ai(path: str) -> str | None:
    """What follows `…/{account}/ai/`, or is behind a gateway, if it is something that is served."""
    if not path.startswith(ACCOUNTS):
        return behind(path)
    account, _, inside = path.removeprefix(ACCOUNTS).partition("/ai/")
    served = inside == "v1/chat/completions" or (inside.startswith("run/") and len(inside) > len("run/"))
    return inside if account and "/" not in account and served else None


def _outcome(line: Line, entry: Entry, fault: Fault | None) -> str:
    if fault is not None and fault.kind != "slow":
        entry.fault = fault.kind
        return "fault"
    return "disconnected" if line.left_early else "completed"


async def _content(receive: Receive) -> bytes:
    """The whole request body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, status: int, content: bytes) -> None:
    headers = [("content-type", "application/json"), ("content-length", str(len(content))), MARK]
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content, "more_body": False})
