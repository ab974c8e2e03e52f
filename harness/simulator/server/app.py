"""The simulator as an ASGI application: which address means what, and one request from arrival to ledger.

Control has its own addresses, without a key: `GET /health`, `GET` and `DELETE /ledger`, `GET` and `PUT /faults`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import orjson

from harness.errors import UsageError
from harness.simulator.apis.adapters import (
    FIXED_PATHS,
    ApiAdapter,
    CloudflareChat,
    Gemini,
    HeaderAwareAdapter,
    OpenAiChat,
    ParsedRequest,
    WorkersAi,
)
from harness.simulator.apis.cloudflare import native
from harness.simulator.apis.cloudflare.batch import Batches
from harness.simulator.apis.cloudflare.gateway import Gateway, gateway_target
from harness.simulator.apis.http import ApiError, ApiResponse
from harness.simulator.apis.openai import requests
from harness.simulator.model.rng import RandomStream, stable_digest
from harness.simulator.model.simulated_model import SimulatedModel
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Prompt, Reply
from harness.simulator.server import fault_injection
from harness.simulator.server.config import Config, faults_from_data
from harness.simulator.server.delivery import SIMULATED_HEADER, Latency, Receive, ResponseWriter, Scope, Send, send_response
from harness.simulator.server.fault_rules import Fault, pick_fault
from harness.simulator.server.ledger import Entry, Ledger

ACCOUNTS = "/client/v4/accounts/"
MODELS = tuple(native.NEURONS_PER_MTOK) + tuple(native.USD_PER_MTOK)

ControlHandler = Callable[[Scope, bytes], tuple[int, bytes]]


class SimulatorApp:
    """One simulator: its model, its faults, its ledger."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._model = SimulatedModel(config.seed)
        self._latency = Latency(config.ttft_s, config.inter_token_s, config.jitter)
        self._ledger = Ledger(config.ledger)
        self._gateway = Gateway()
        self._batches = Batches(config.batch_polls, config.batch_bytes)
        self._faults = config.faults
        self._faults_from = 0
        self._control: dict[tuple[str, str], ControlHandler] = {
            ("GET", "/health"): self._get_health,
            ("GET", "/ledger"): self._get_ledger,
            ("DELETE", "/ledger"): self._reset_state,
            ("GET", "/faults"): self._get_faults,
            ("PUT", "/faults"): self._put_faults,
            ("GET", "/v1/models"): lambda scope, content: (200, requests.render_models(MODELS)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path: str = scope["path"]
        answerer = self._control.get((scope["method"], path))
        if answerer is not None:
            await _send_json(send, *answerer(scope, await _read_body(receive)))
            return
        entry = self._ledger.open(scope["method"], path, scope["headers"], scope["query_string"].decode("latin-1"))
        entry.body = await _read_body(receive)
        writer = ResponseWriter(scope, receive, send, entry)
        try:
            outcome = await self._answer_request(writer, entry)
        except ApiError as api_error:
            outcome = "refused"
            await self._send_error(writer, entry, error_adapter(path, entry.query), api_error)
        self._ledger.close(entry, outcome)

    async def _answer_request(self, writer: ResponseWriter, entry: Entry) -> str:
        """Read, draw, render and deliver; returns the outcome, raises `ApiError`."""
        adapter = find_adapter(entry.method, entry.path, entry.query)
        self._check_api_key(entry, adapter)
        if "queueRequest=true" in entry.query and isinstance(adapter, WorkersAi):
            return await self._answer_batch(writer, entry, adapter)
        if (held := self._gateway.get_cached(entry)) is not None:
            entry.model, entry.usage = held.model, held.usage
            await send_response(writer, held.body, (0.0,) * (1 + len(held.body.frames or ())))
            return _request_outcome(writer, entry, None)
        if isinstance(adapter, HeaderAwareAdapter):
            adapter.read_headers(entry.header)
        asked = adapter.parse_request(entry.body)
        entry.model = asked.prompt.model
        key = self._model.random_key(asked.prompt)
        reply = self._generate_reply(asked, key, entry)
        fault = pick_fault(self._faults, self._config.seed, entry.number - self._faults_from, entry.model)
        body = self._gateway.add_answer(entry, asked.render(reply), keep=fault is None)
        offsets = self._latency.token_offsets(reply.steps, RandomStream("latency", key))
        await self._send_answer(writer, adapter, reply, body, offsets, fault)
        return _request_outcome(writer, entry, fault)

    async def _answer_batch(self, writer: ResponseWriter, entry: Entry, adapter: WorkersAi) -> str:
        """A batch's submission or poll; faults count these like other requests."""

        def answer(prompt: Prompt) -> Reply:
            key = self._model.random_key(prompt)
            answers = self._model.generate_completions(prompt, key, 1)
            return Reply(request_id, int(entry.arrived_unix), count_prompt(prompt.turns, prompt.functions), answers)

        request_id, entry.model = self._request_id(entry), adapter.model
        fault = pick_fault(self._faults, self._config.seed, entry.number - self._faults_from, entry.model)
        if fault is None:
            taken = self._batches.handle_request(entry.body, entry.model, request_id, answer)
            entry.usage = taken.usage
            await send_response(writer, taken.body, (0.0,))
        else:
            await fault_injection.inject_fault(
                writer,
                fault,
                fault_injection.ErrorWording(adapter, request_id),
                ApiResponse(200, (), adapter.render_empty()),
                (0.0,),
            )
        return _request_outcome(writer, entry, fault)

    async def _send_answer(
        self,
        writer: ResponseWriter,
        adapter: ApiAdapter,
        reply: Reply,
        body: ApiResponse,
        offsets: tuple[float, ...],
        fault: Fault | None,
    ) -> None:
        if fault is None:
            await send_response(writer, body, offsets)
        else:
            await fault_injection.inject_fault(
                writer, fault, fault_injection.ErrorWording(adapter, reply.request_id), body, offsets
            )

    def _generate_reply(self, asked: ParsedRequest, key: bytes, entry: Entry) -> Reply:
        reply = Reply(
            request_id=self._request_id(entry),
            created=int(entry.arrived_unix),
            prompt_tokens=count_prompt(asked.prompt.turns, asked.prompt.functions),
            answers=self._model.generate_completions(asked.prompt, key, asked.choices),
        )
        entry.usage = (reply.prompt_tokens, reply.completion_tokens)
        return reply

    def _check_api_key(self, entry: Entry, adapter: ApiAdapter) -> None:
        if self._config.api_key is not None and not entry.has_api_key(self._config.api_key):
            raise adapter.error_for_status(401)

    async def _send_error(self, writer: ResponseWriter, entry: Entry, adapter: ApiAdapter, api_error: ApiError) -> None:
        await send_response(writer, adapter.render_error(api_error, self._request_id(entry)), (0.0,))

    def _request_id(self, entry: Entry) -> str:
        return str(uuid.UUID(bytes=stable_digest(self._config.seed, entry.number, entry.arrived_ns), version=4))

    def _get_health(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, orjson.dumps({"status": "ok", "simulated": True, "now_ns": time.perf_counter_ns()})

    def _get_ledger(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, self._ledger.to_json(bodies=b"bodies=0" not in scope["query_string"])

    def _reset_state(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        """As freshly started, but for the fault rules, which count from one again."""
        self._ledger.reset()
        self._model.reset()
        self._gateway.clear()
        self._batches.clear()
        self._faults_from = 0
        return 200, b'{"reset":true}'

    def _get_faults(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, orjson.dumps([fault.to_data() for fault in self._faults])

    def _put_faults(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        try:
            self._faults = faults_from_data(orjson.loads(content))
        except (orjson.JSONDecodeError, UsageError) as error:
            return 400, orjson.dumps({"error": str(error)})
        self._faults_from = self._ledger.received
        return self._get_faults(scope, content)


def find_adapter(method: str, path: str, query: str = "") -> ApiAdapter:
    """The adapter spoken at an address; raises `ApiError` where nobody answers."""
    adapter = error_adapter(path, query)
    known = path in FIXED_PATHS or _workers_ai(path) is not None or Gemini.from_address(path, query) is not None
    if not known:
        raise adapter.error_for_status(404)
    if method != "POST":
        raise adapter.error_for_status(405, message=f"Method {method} is not allowed here; use POST.")
    return adapter


def error_adapter(path: str, query: str = "") -> ApiAdapter:
    """The adapter errors at an address are worded in, whether or not there is anything."""
    if path.startswith("/v1beta/") or Gemini.from_address(path, query):
        return Gemini.from_address(path, query) or Gemini()
    inside = _workers_ai(path)
    if inside is None and not path.startswith("/client/v4/"):
        return FIXED_PATHS.get(path, OpenAiChat)()
    return CloudflareChat() if inside == "v1/chat/completions" else WorkersAi((inside or "").removeprefix("run/"))


def _workers_ai(path: str) -> str | None:
    """What follows `…/{account}/ai/`, or is behind a gateway, if it is something that is served."""
    if not path.startswith(ACCOUNTS):
        return gateway_target(path)
    account, _, inside = path.removeprefix(ACCOUNTS).partition("/ai/")
    served = inside == "v1/chat/completions" or (inside.startswith("run/") and len(inside) > len("run/"))
    return inside if account and "/" not in account and served else None


def _request_outcome(writer: ResponseWriter, entry: Entry, fault: Fault | None) -> str:
    if fault is not None and fault.kind != "slow":
        entry.fault = fault.kind
        return "fault"
    return "disconnected" if writer.client_left_early else "completed"


async def _read_body(receive: Receive) -> bytes:
    """The whole request body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send_json(send: Send, status: int, content: bytes) -> None:
    headers = [("content-type", "application/json"), ("content-length", str(len(content))), SIMULATED_HEADER]
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content, "more_body": False})
