"""Bind, serve until told to stop, answer what was accepted."""

import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from trialtune.errors import UsageError

_CONNECTIONS = 1024  # beyond them, uvicorn answers 503


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
    """A socket to serve on; raises UsageError when the address cannot be had."""
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
    """A server that, when told to stop, answers the requests it has for up to `timeout` s more."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=int(timeout) + 5,
    )
    return uvicorn.Server(config)
