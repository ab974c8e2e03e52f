"""Targets with their limits and prices, and the calls that go down the Send stack."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from harness.model.requests import Request


class Price(Struct, frozen=True, cache_hash=True):
    """US dollars per million tokens; None = unknown. `per_request` is dollars. `source` says where
    the figures are from.

    `tiers` are the prices of a whole request whose input tokens exceed a threshold, in ascending
    order of it.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    per_request: Decimal = Decimal(0)
    source: str = "suite"
    tiers: tuple[tuple[int, Price], ...] = ()


class Timeouts(Struct, frozen=True):
    """Seconds: to connect, to the first content event, between two content events, and over the
    whole attempt."""

    connect: float = 10.0
    first: float = 60.0
    idle: float = 30.0
    total: float = 300.0


class Limits(Struct, frozen=True):
    """How hard one target may be driven: slots, requests and tokens per minute, retries after the
    first attempt."""

    concurrency: int = 8
    rpm: int | None = None
    tpm: int | None = None
    retries: int = 4
    timeouts: Timeouts = Timeouts()


class Target(Struct, frozen=True):
    """The thing under test.

    `address` is the base URL as declared (it may name environment variables) and is part of a
    trial's key; `base_url` is where it was found in this process (variables filled in, the
    simulator's port) and is in no hash. `api_key_env` names the variable that holds the API key;
    the key itself is nowhere in this object. `api_version` is which of the provider's API versions
    is spoken, None for its own choice; it is part of a trial's key too. `env` names the variables
    that the user's own code is given (providers python and command).
    """

    name: str
    provider: str
    model: str
    address: str
    base_url: str
    api_key_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()
    price: Price | None = None
    context: int | None = None
    simulated: bool = False
    api_version: str | None = None
    env: tuple[str, ...] = ()
    service: Mapping[str, Any] | None = None
    """How a service of the provider http is asked, and where its answers hold what (`http:` of the
    suite); part of a trial's key."""

    @property
    def streams(self) -> bool:
        """Whether its answers can be streamed."""
        return self.service is None or self.service.get("stream") is not None


class Auth(Struct, frozen=True, cache_hash=True):
    """Where an API key goes: `header: prefix + value of the variable env`."""

    env: str
    header: str = "Authorization"
    prefix: str = "Bearer "


class EncodedRequest(Struct, frozen=True):
    """One encoded HTTP request: everything but the target's base URL and the API key's value."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    auth: Auth | None
    method: str = "POST"


class Batch(Struct, frozen=True):
    """Requests that are asked together and answered later; `id` is the service's name for them,
    None until it has one."""

    requests: tuple[Request, ...]
    id: str | None = None


class Call(Struct, frozen=True):
    """What goes down the Send stack: a request to a target, and whose it is.

    `key` is the trial's key, `position` the place in its flow (`t0` the first ask of the target,
    `g1.0` the first ask of the second grader). `due` is when the schedule wanted it sent (ns), None
    in closed loop: then the moment its first attempt gets a slot. `attempt` counts the tries before
    this one; `retry` sets it. `alone` says that the trial asks nothing else, so that its answer may
    come as late as a batch's. With `batch`, the call submits that batch or, where it has an id,
    polls it.
    """

    target: Target
    request: Request
    wire: EncodedRequest
    key: str
    repeat: int = 0
    position: str = "t0"
    due: int | None = None
    attempt: int = 0
    alone: bool = False
    batch: Batch | None = None
