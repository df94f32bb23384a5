"""Binds the socket, serves until stopped, finishes accepted requests."""

import asyncio
import math
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trialtune.errors import UsageError

_CONNECTIONS = 1024  # beyond them, uvicorn responds with 503


def read_token(path: Path) -> str:
    """The token of a file; raises UsageError when it is missing, empty or not one line of ASCII."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {path}: cannot be read as a line of ASCII ({error})") from error
    if len(token) < 16 or len(token.split()) != 1:
        raise UsageError(
            f"--token-file {path}: needs one word of at least 16 characters: openssl rand -hex 32"
        )
    return token


def bind(host: str, port: int) -> socket.socket:
    """A bound socket; raises UsageError when the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(_CONNECTIONS)
    except (OSError, OverflowError) as error:
        found.close()
        raise UsageError(f"--host {host} --port {port}: {error}; choose another") from error
    return found


def make_server(app: FastAPI, *, timeout: float) -> uvicorn.Server:
    """A server that finishes accepted requests when stopped.

    A connection has `timeout` seconds for the headers of a request, a request as many for its body
    and again for its response.
    """

    class Protocol(_Impatient):
        patience = timeout

    config = uvicorn.Config(
        app,
        http=Protocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=math.ceil(2 * timeout) + 5,
    )
    return uvicorn.Server(config)


class _Impatient(HttpToolsProtocol):
    """uvicorn's protocol, which by default waits indefinitely for the headers of a request."""

    patience: float  # s
    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._giving_up = self.loop.call_later(self.patience, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._giving_up:
            self._giving_up.cancel()
            self._giving_up = None
