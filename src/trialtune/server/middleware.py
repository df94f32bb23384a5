"""Checks of every request: the token, the size and the time of its body; access logs."""

import asyncio
import hmac
import json
import logging
import secrets
import sys
import time
import traceback
from dataclasses import dataclass

from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trialtune.server.metrics import ServiceMetrics

log = logging.getLogger("trialtune.server")

# This much of an oversized body is read and discarded: a connection closed while the client
# is still sending is reset, and the client never sees the reason.
_DRAINED = 4
_CLOSE = ("connection", "close")
_BODIES = 32  # of the largest size are in memory at a time
_GUARDED = ("/v1/", "/metrics")  # the page and its files are public; it prompts for the token
# As a dependency it would be too late: FastAPI reads the body before calling any. There it only
# documents; the guard calls it.
BEARER = HTTPBearer(scheme_name="token", auto_error=False)


class JsonFormatter(logging.Formatter):
    """One JSON object per line, without texts or messages of errors, which may quote them."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])[-5:]
            line["at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(line, ensure_ascii=False)


def log_as_json(level: int = logging.INFO) -> None:
    """Send trialtune's and uvicorn's log lines to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in ("trialtune.server", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


@dataclass(frozen=True)
class Rules:
    """Access token and limits of requests."""

    token: str | None
    max_bytes: int
    seconds: float  # for a body to arrive


class Guard:
    """ASGI middleware that reads a request's body within `rules` before the application sees it."""

    def __init__(self, app: ASGIApp, *, rules: Rules, metrics: ServiceMetrics) -> None:
        self._app, self._rules, self._metrics = app, rules, metrics
        self._held = 0  # bytes of bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, number, status = time.perf_counter(), secrets.token_hex(8), 0
        parts: list[bytes] = []

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_headers(number)]
            await send(message)

        try:
            refused = await self._unknown(scope) or await self._read(receive, parts)
            if isinstance(refused, JSONResponse):
                await refused(scope, receive, sending)
            else:
                await self._app(scope, refused, sending)
        except Exception:
            log.error("failed", exc_info=True, extra={"fields": {"request": number}})
            if not status:
                failure = f"internal error; see the log entry {number}"
                await _refuse(500, failure)(scope, receive, sending)
        finally:
            self._held -= sum(map(len, parts))
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - began
            self._metrics.answered(route, status, seconds)
            fields = {"request": number, "method": scope["method"], "route": route, "status": status}
            log.info("request", extra={"fields": fields | {"ms": round(1000 * seconds, 1)}})

    async def _unknown(self, scope: Scope) -> JSONResponse | None:
        """A rejection without the right bearer token; compared in constant time."""
        if self._rules.token is None or not scope["path"].startswith(_GUARDED):
            return None
        given = await BEARER(HTTPConnection(scope))
        # Headers are Latin-1; compare_digest takes only ASCII strings.
        if given and hmac.compare_digest(given.credentials.encode("latin-1"), self._rules.token.encode()):
            return None
        return _refuse(
            401, "give the service's token: Authorization: Bearer ...", ("www-authenticate", "Bearer")
        )

    async def _read(self, receive: Receive, parts: list[bytes]) -> JSONResponse | Receive:
        """The body, read into `parts`, as one message; or a rejection when it is too large or too slow."""
        large = f"the body is larger than {self._rules.max_bytes:,} bytes; send fewer texts per request"
        total, more = 0, True
        try:
            async with asyncio.timeout(self._rules.seconds):
                while more and total <= _DRAINED * self._rules.max_bytes:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return _refuse(400, "the client disconnected before its request was complete")
                    part, more = message.get("body", b""), message.get("more_body", False)
                    total += len(part)
                    if total <= self._rules.max_bytes:
                        parts.append(part)
                        self._held += len(part)
                    if self._held > _BODIES * self._rules.max_bytes:
                        return _refuse(429, "too many large bodies at once", ("retry-after", "1"), _CLOSE)
        except TimeoutError:
            waited = f"the body did not arrive within {self._rules.seconds:g} s"
            return _refuse(408, waited, _CLOSE)
        if total > self._rules.max_bytes:
            return _refuse(413, large, _CLOSE)
        parts[:] = [b"".join(parts)]
        body: list[Message] = [{"type": "http.request", "body": parts[0], "more_body": False}]

        async def replay() -> Message:
            return body.pop() if body else await receive()

        return replay


def _refuse(status: int, detail: str, *headers: tuple[str, str]) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers=dict(headers))


def _headers(number: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", number.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-store"),
    ]
