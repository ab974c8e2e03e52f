"""Runs the application under uvicorn: its event loop and HTTP parser,
without logging and lifespan."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from harness.errors import UsageError
from harness.simulator.server.app import SimulatorApp
from harness.simulator.server.config import Config
from harness.simulator.server.delivery import TRANSPORT_EXTENSION

BACKLOG = 2_048
KEEP_ALIVE_S = 120
PARENT_CHECK_S = 1.0


class TransportProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with the transport in the scope, for faults below ASGI."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT_EXTENSION: self.transport}  # type: ignore[dict-item]


def serve(
    config: Config,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    announce: Callable[[str], None] = print,
    until_eof: bool = False,
) -> None:
    """Serve until interrupted; with `until_eof` until standard input ends or the parent dies.

    `announce` is called once with the base URL, when connections are accepted; port 0 takes a free
    one. Raises `UsageError` if the address is taken.
    """
    listener = _open_listener(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            SimulatorApp(config),
            interface="asgi3",
            http=TransportProtocol,
            ws="none",
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="error",
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
    )
    if until_eof:
        threading.Thread(
            target=_exit_with_parent, args=(os.getppid(),), name="parent-watch", daemon=True
        ).start()
    announce(base_url(listener))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def base_url(listener: socket.socket) -> str:
    """The base URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _open_listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"the simulator cannot listen on {host} port {port}: {error}; choose another with"
            " --port"
        ) from error


def _exit_with_parent(parent: int) -> None:
    """Exit immediately when the parent's pipe closes; there is nothing to shut down properly.

    A process forked by the parent may keep the pipe open after its death, so the parent's id is
    watched too.
    """
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin.fileno()], [], [], PARENT_CHECK_S)
        if readable and not os.read(sys.stdin.fileno(), 4_096):
            break
    os._exit(0)
