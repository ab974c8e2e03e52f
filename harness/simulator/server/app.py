"""The simulator as an ASGI application: one request from its arrival to its ledger entry.

`apis.adapters.ROUTES` has the addresses of the simulated APIs. The simulator's own addresses need
no key and are not entered in the ledger: `GET /health`, `GET` and `DELETE /ledger`, `GET` and `PUT
/faults`; nor is `GET /v1/models`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import orjson

from harness.errors import UsageError
from harness.simulator.apis.adapters import ApiAdapter, Served, WorkersAi, find_adapter
from harness.simulator.apis.cloudflare.batch import Batches
from harness.simulator.apis.cloudflare.native import PRICED_MODELS
from harness.simulator.apis.http import ApiError, ApiRequest, ApiResponse
from harness.simulator.apis.openai.requests import render_models
from harness.simulator.model.rng import RandomStream, stable_digest
from harness.simulator.model.simulated_model import SimulatedModel
from harness.simulator.model.tokenizer import count_prompt
from harness.simulator.model.types import Prompt, Reply
from harness.simulator.server.config import Config, faults_from_data
from harness.simulator.server.delivery import (
    SIMULATED_HEADER,
    Latency,
    Receive,
    ResponseWriter,
    Scope,
    Send,
    send_response,
)
from harness.simulator.server.fault_injection import Replacements, inject_fault
from harness.simulator.server.fault_rules import Fault, pick_fault
from harness.simulator.server.gateway import GatewayCache
from harness.simulator.server.ledger import Entry, Ledger

ControlHandler = Callable[[Scope, bytes], tuple[int, bytes]]
"""Answers a request to the simulator itself with a status and a JSON body."""


class SimulatorApp:
    """One simulator: its model, its faults, its ledger."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._model = SimulatedModel(config.seed)
        self._latency = Latency(config.ttft_s, config.inter_token_s, config.jitter)
        self._ledger = Ledger(config.ledger)
        self._gateway = GatewayCache()
        self._batches = Batches(config.batch_polls, config.batch_bytes)
        self._faults = config.faults
        self._faults_from = 0
        self._control: dict[tuple[str, str], ControlHandler] = {
            ("GET", "/health"): self._get_health,
            ("GET", "/ledger"): self._get_ledger,
            ("DELETE", "/ledger"): self._delete_ledger,
            ("GET", "/faults"): self._get_faults,
            ("PUT", "/faults"): self._put_faults,
            ("GET", "/v1/models"): lambda scope, content: (200, render_models(PRICED_MODELS)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        control = self._control.get((scope["method"], scope["path"]))
        if control is not None:
            await _send_json(send, *control(scope, await _read_body(receive)))
            return
        entry = self._ledger.open(
            scope["method"],
            scope["path"],
            scope["headers"],
            scope["query_string"].decode("latin-1"),
        )
        entry.body = await _read_body(receive)
        writer = ResponseWriter(scope, receive, send, entry)
        served = find_adapter(entry.path)
        try:
            outcome = await self._answer_request(writer, entry, served)
        except ApiError as api_error:
            outcome = "refused"
            await send_response(
                writer, served.adapter.render_error(api_error, self._request_id(entry)), (0.0,)
            )
        self._ledger.close(entry, outcome)

    async def _answer_request(self, writer: ResponseWriter, entry: Entry, served: Served) -> str:
        """Parse, generate, render and send; returns the outcome, raises `ApiError`."""
        adapter, route = served
        if route is None:
            raise adapter.error_for_status(404)
        if entry.method != "POST":
            raise adapter.error_for_status(
                405, message=f"Method {entry.method} is not allowed here; use POST."
            )
        if self._config.api_key is not None and not entry.has_api_key(self._config.api_key):
            raise adapter.error_for_status(401)
        if isinstance(adapter, WorkersAi) and "queueRequest=true" in entry.query:
            return await self._answer_batch(writer, entry, adapter)
        if route.behind_gateway and (cached := self._gateway.find_response(entry)):
            entry.model, entry.usage = cached.model, cached.usage
            frames = cached.response.frames or ()
            return await self._send_answer(
                writer, entry, adapter, cached.response, (0.0,) * (1 + len(frames)), None
            )
        parsed = adapter.parse_request(ApiRequest(entry.body, entry.query, entry.get_header))
        entry.model = parsed.prompt.model
        key = self._model.random_key(parsed.prompt)
        reply = self._generate_reply(entry, parsed.prompt, key, parsed.choices)
        entry.usage = (reply.prompt_tokens, reply.completion_tokens)
        response = parsed.render(reply)
        fault = self._pick_fault(entry)
        if route.behind_gateway:
            response = self._gateway.add_response(entry, response, keep=fault is None)
        offsets = self._latency.token_offsets(reply.steps, RandomStream("latency", key))
        return await self._send_answer(writer, entry, adapter, response, offsets, fault)

    async def _answer_batch(self, writer: ResponseWriter, entry: Entry, adapter: WorkersAi) -> str:
        """Answer a batch's submission or poll; faults count these like other requests."""
        entry.model = adapter.model
        fault = self._pick_fault(entry)
        if fault is not None:
            response = ApiResponse(200, (), adapter.render_empty())
        else:
            result = self._batches.handle_request(
                entry.body,
                entry.model,
                self._request_id(entry),
                lambda prompt: self._generate_reply(
                    entry, prompt, self._model.random_key(prompt), 1
                ),
            )
            entry.usage, response = result.usage, result.response
        return await self._send_answer(writer, entry, adapter, response, (0.0,), fault)

    async def _send_answer(
        self,
        writer: ResponseWriter,
        entry: Entry,
        adapter: ApiAdapter,
        response: ApiResponse,
        offsets: tuple[float, ...],
        fault: Fault | None,
    ) -> str:
        """Send a response, or what a fault makes of it; returns the outcome."""
        if fault is None:
            await send_response(writer, response, offsets)
        else:
            error = adapter.error_for_status(fault.status, fault.code, fault.message)
            replacements = Replacements(
                adapter.render_error(error, self._request_id(entry)), adapter.render_empty()
            )
            await inject_fault(writer, fault, response, offsets, replacements)
            if fault.kind != "slow":
                entry.fault = fault.kind
                return "fault"
        return "disconnected" if writer.client_left_early else "completed"

    def _generate_reply(self, entry: Entry, prompt: Prompt, key: bytes, choices: int) -> Reply:
        return Reply(
            request_id=self._request_id(entry),
            created=int(entry.arrived_unix),
            prompt_tokens=count_prompt(prompt.turns, prompt.functions),
            completions=self._model.generate_completions(prompt, key, choices),
        )

    def _pick_fault(self, entry: Entry) -> Fault | None:
        return pick_fault(
            self._faults, self._config.seed, entry.number - self._faults_from, entry.model
        )

    def _request_id(self, entry: Entry) -> str:
        return str(
            uuid.UUID(
                bytes=stable_digest(self._config.seed, entry.number, entry.arrived_ns), version=4
            )
        )

    def _get_health(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, orjson.dumps(
            {"status": "ok", "simulated": True, "now_ns": time.perf_counter_ns()}
        )

    def _get_ledger(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        return 200, self._ledger.to_json(bodies=b"bodies=0" not in scope["query_string"])

    def _delete_ledger(self, scope: Scope, content: bytes) -> tuple[int, bytes]:
        """Reset everything but the fault rules, which count requests from one again."""
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


async def _read_body(receive: Receive) -> bytes:
    """The whole request body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send_json(send: Send, status: int, content: bytes) -> None:
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(content))),
        SIMULATED_HEADER,
    ]
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content, "more_body": False})
