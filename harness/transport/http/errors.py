"""From an exception of the transport to the Error a person reads: a kind, a sentence with host and
cause, retryable or not.

The kinds: `connect` `dns` `tls` `proxy` `timeout_connect` `timeout_first` `timeout_idle`
`timeout_total` `reset` (gone before an answer), `idle_closed` (the same on a kept connection),
`truncated` (gone during it), `protocol`, `too_large`, `redirect`, `no_api_key`, `unreachable`.
Where a proxy is on the way, only it is connected to, and what goes wrong there is said of it and
not of the target.

What a failed connection means depends on whether the address ever answered (`Reachability`). One
that never did is taken for wrong, and not tried again: a wrong address does not heal. One that did
may come back, and is waited for; but not for ever: after a minute without a connection the error
becomes `unreachable`, which ends the target, so that what is left of its trials stays pending for a
later session and is not spent as errors.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Literal

import httpx
from msgspec import Struct
from msgspec.structs import replace

from harness.model import Error, Timeouts
from harness.model.error_kinds import IDLE_CLOSED, UNREACHABLE
from harness.transport.http.dialing import HANDSHAKE_SHARE, HandshakeError, HandshakeTimeout
from harness.transport.http.http1 import HeadTooLargeError, IdleClosedError, TlsAnswerError
from harness.transport.http.proxies import Proxy
from harness.transport.http.sse import EventTooLargeError

Waiting = Literal["first", "idle", "total"]

GIVEN_UP_AFTER = 60.0
"""Seconds."""

UNCONNECTED = frozenset({"connect", "dns", "timeout_connect"})

_UNTRUSTED = {18, 19, 20, 21}
"""OpenSSL's codes for a certificate whose issuer is not known here."""
_NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
    | {"RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"}
)
"""OpenSSL's reasons for bytes that are no TLS."""

_GONE = ("Server disconnected", "peer closed connection")  # h11's words, and ours
_TOO_LONG = "Receive buffer too long"  # h11's


class BodyTooLargeError(ValueError):
    """The decoded body is longer than the cap."""


class BadEncodingError(ValueError):
    """The body is not in the encoding its header names, or in one nobody asked for."""


class FailureContext(Struct, frozen=True):
    """Where an attempt stood when it failed."""

    host: str
    timeouts: Timeouts
    reached: bool
    """Whether this address ever answered in this process."""
    answering: bool
    """Whether the answer's headers had come."""
    may_want_tls: bool = False
    """Whether the address is an http:// one and never answered in HTTP."""
    proxy: Proxy | None = None
    """What is on the way, if anything."""

    @property
    def peer(self) -> str:
        """What is connected to, in words."""
        if self.proxy is None:
            return self.host
        return f"the proxy {self.proxy} ({self.proxy.variable}) on the way to {self.host}"


def timeout_error(waiting: Waiting, scene: FailureContext) -> Error:
    """The error of a clock that ran out."""
    host, timeouts = scene.host, scene.timeouts
    message = {
        "first": f"{host} sent no content within {timeouts.first:g} s of the request",
        "idle": f"{host} sent no further content for {timeouts.idle:g} s",
        "total": f"{host} had not finished its answer after {timeouts.total:g} s",
    }[waiting]
    return Error("transport", f"timeout_{waiting}", message, retryable=True)


def transport_error(error: Exception, scene: FailureContext) -> Error:
    """The Error for what the transport, or reading its answer, raised."""
    host = scene.host
    match error:
        case HandshakeTimeout():
            return _build_error(
                "tls",
                f"{scene.peer} accepted the connection, but the TLS handshake got no answer within"
                f" {scene.timeouts.connect * HANDSHAKE_SHARE:g} s. If it does not speak TLS, write"
                " http://",
                retryable=True,
            )
        case httpx.ConnectTimeout():
            return _build_error(
                "timeout_connect",
                f"no connection to {scene.peer} within {scene.timeouts.connect:g} s",
                retryable=True,
            )
        case TlsAnswerError():
            return _build_error("tls", f"{host} uses TLS: write https:// in its base_url")
        case httpx.TimeoutException():
            return timeout_error("first", scene)
        case httpx.ProxyError() if scene.proxy is not None:
            return _proxy_error(str(error), scene, scene.proxy)
        case httpx.ConnectError() | httpx.ProxyError():
            return _connect_error(error, scene)
        case HeadTooLargeError() | BodyTooLargeError() | EventTooLargeError():
            return _build_error("too_large", f"{host} sent too much data: {error}")
        case IdleClosedError():
            return _build_error(
                IDLE_CLOSED,
                f"{host} closed an idle connection as a request was sent on it",
                retryable=True,
            )
        case httpx.RemoteProtocolError() if str(error).startswith(_TOO_LONG):
            return _build_error("too_large", f"{host} sent too much data: endless headers")
        case httpx.RemoteProtocolError() if str(error).startswith(_GONE):
            return _disconnected_error("it closed the connection", scene)
        case httpx.NetworkError():
            return _disconnected_error(_deepest_reason(error), scene)
        case _:
            return _build_error(
                "protocol",
                f"{host} did not answer in HTTP as expected: {str(error) or type(error).__name__}",
            )


def _build_error(kind: str, message: str, *, retryable: bool = False) -> Error:
    return Error("transport", kind, message, retryable)


def _disconnected_error(cause: str, scene: FailureContext) -> Error:
    if scene.answering:
        return _build_error(
            "truncated",
            f"{scene.host} closed the connection in the middle of its answer: {cause}",
            retryable=True,
        )
    advice = ". If it expects TLS, write https:// in its base_url" if scene.may_want_tls else ""
    return _build_error(
        "reset",
        f"{scene.peer} closed the connection without an answer: {cause}{advice}",
        retryable=True,
    )


def _connect_error(error: Exception, scene: FailureContext) -> Error:
    for cause in _cause_chain(error):
        if isinstance(cause, ssl.SSLError):
            return _tls_error(cause, scene)
        if isinstance(cause, socket.gaierror):
            return _build_error(
                "dns",
                f"the name of {scene.peer} could not be resolved: {_deepest_reason(cause)}",
                retryable=scene.reached,
            )
    reason = _deepest_reason(error)
    if isinstance(error, HandshakeError):
        return _build_error(
            "tls",
            f"{scene.peer} aborted the TLS handshake: {reason}. If it does not speak TLS, write"
            " http://",
            retryable=scene.reached,
        )
    return _build_error(
        "connect",
        f"could not connect to {scene.peer}: {reason}",
        retryable=scene.reached,
    )


def _tls_error(error: ssl.SSLError, scene: FailureContext) -> Error:
    reason = _deepest_reason(error)
    advice = ""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _UNTRUSTED:
            advice = (
                ". If you trust it, set the environment variable SSL_CERT_FILE to a PEM file with"
                " its certificate or its issuer's"
            )
    elif error.reason in _NOT_TLS:
        reason = "the server there does not use TLS"
        advice = ": write http:// in its base_url"
    return _build_error("tls", f"no secure connection to {scene.host}: {reason}{advice}")


def _proxy_error(refusal: str, scene: FailureContext, proxy: Proxy) -> Error:
    """The error of a proxy that answered, and did not connect."""
    if refusal.startswith("407"):
        return proxy_authentication_error(proxy)
    message = f"the proxy {proxy} ({proxy.variable}) did not connect to {scene.host}: {refusal}"
    return _build_error("proxy", message, retryable=scene.reached)


def proxy_authentication_error(proxy: Proxy) -> Error:
    """The error of a proxy that wants a user's name and password, or others."""
    what = "other credentials" if proxy.url.userinfo else "a user name and a password"
    return Error(
        "transport",
        "proxy",
        f"the proxy {proxy} requires {what} (HTTP 407): write"
        f" {proxy.url.scheme}://USER:PASSWORD@HOST:PORT in {proxy.variable}",
        status=407,
    )


def _deepest_reason(error: BaseException) -> str:
    """The deepest cause in words; never empty."""
    for cause in reversed(_cause_chain(error)):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return (cause.reason or str(cause)).replace("_", " ").lower()
        if isinstance(cause, socket.gaierror):
            return cause.strerror or str(cause)
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
    return str(error) or "the connection was reset"


def _cause_chain(error: BaseException) -> list[BaseException]:
    """`error` and what it came from, the first of a group standing for the group."""
    causes: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in causes:
        causes.append(current)
        grouped = current.exceptions[0] if isinstance(current, BaseExceptionGroup) else None
        current = grouped or current.__cause__ or current.__context__
    return causes


class Reachability:
    """What one process knows of its targets' addresses; times are seconds
    of any monotonic clock."""

    def __init__(self) -> None:
        self.answering: set[str] = set()
        """The addresses that answered when last asked."""
        self._reached: set[str] = set()
        self._gone_since: dict[str, float] = {}

    def mark_reached(self, address: str) -> None:
        """A connection to `address` was made."""
        self._reached.add(address)

    def mark_answered(self, address: str) -> None:
        """`address` answered; need not be called for one that is in `answering`."""
        self._reached.add(address)
        self.answering.add(address)
        self._gone_since.pop(address, None)

    def was_reached(self, address: str) -> bool:
        """Whether `address` was ever there."""
        return address in self._reached

    def give_up_if_gone(self, error: Error, address: str, now: float) -> Error:
        """`error`, or that `address` is given up, where it could not be reached for too long."""
        if error.kind not in UNCONNECTED:
            return error
        self.answering.discard(address)
        seconds = now - self._gone_since.setdefault(address, now)
        if seconds < GIVEN_UP_AFTER or not self.was_reached(address):
            return error
        message = f"{error.message} (unreachable for {seconds:.0f} s)"
        return replace(error, kind=UNREACHABLE, message=message, retryable=False)
