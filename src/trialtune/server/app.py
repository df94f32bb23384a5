"""The service as an ASGI application: routes, limits, error messages."""

import asyncio
import threading
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import Field
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from trialtune import __version__
from trialtune.errors import UsageError
from trialtune.registry.record.aliases import columns_of
from trialtune.registry.record.parse import record_from_row, record_from_study
from trialtune.server import schemas
from trialtune.server.batcher import Answer, ClosedError, QueueFullError
from trialtune.server.metrics import CONTENT_TYPE, ServiceMetrics
from trialtune.server.middleware import BEARER, Guard, Rules
from trialtune.server.model import Served, open_all
from trialtune.settings import Settings

_QUICK = 20_000  # characters cleaned in the event loop; more go to a thread
_EXPLAINED = 4  # at a time; each scores hundreds of texts
_LEFT = 499  # as in nginx; the client never sees it
_Answered = TypeVar("_Answered")
STATIC = Path(__file__).with_name("static")
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem, "description": why}
    for status, why in {
        400: "The body is not valid JSON.",
        401: "The token is missing or wrong.",
        404: "The task or label does not exist.",
        408: "The body arrived too slowly.",
        413: "The body is too large.",
        415: "The content type is not JSON.",
        422: "A field is invalid; the message names it.",
        429: "The queue is full; retry after the time in Retry-After.",
        500: "The service failed.",
        503: "The service is shutting down.",
        504: "The request timed out.",
    }.items()
}


class ServiceSettings(Settings):
    """Limits of the service."""

    max_queue: int = Field(2048, ge=1, description="maximum texts queued for each classifier")
    max_texts: int = Field(256, ge=1, description="maximum texts per request")
    max_bytes: int = Field(8_000_000, ge=1000, description="maximum size of a request's body")
    remember: int = Field(50_000, ge=0, description="cached predictions for short texts, per classifier")
    timeout: float = Field(30, gt=0, description="seconds until a request times out")


def build_app(
    classifiers: Sequence[Path | str], settings: ServiceSettings, *, token: str | None = None
) -> FastAPI:
    """The service over these classifier folders or Hub ids, which are opened here.

    Raises DataError when a folder is not a classifier, UsageError for two of the same task or a queue
    smaller than the largest request.
    """
    if settings.max_texts > settings.max_queue:
        raise UsageError(
            f"--max-queue {settings.max_queue} is less than --max-texts {settings.max_texts}: "
            "the largest request would never fit into the queue"
        )
    metrics = ServiceMetrics()
    served = open_all(classifiers, capacity=settings.max_queue, remembered=settings.remember, metrics=metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for one in served.values():
            await run_in_threadpool(one.batcher.close)

    app = _documented(lifespan)
    app.state.served = served
    rules = Rules(token, settings.max_bytes, settings.timeout)
    app.add_middleware(Guard, rules=rules, metrics=metrics)
    app.add_exception_handler(RequestValidationError, explain_invalid)
    guarded = APIRouter(dependencies=[] if token is None else [Depends(BEARER)])
    _add_answers(guarded, served, settings)
    _add_watching(app, guarded, served, metrics)
    app.include_router(guarded)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _complete_schema(app, served, settings)
    return app


def _documented(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """An application that documents itself at /docs, where the extra for it is installed."""
    about: dict[str, Any] = {
        "title": "trialtune",
        "version": __version__,
        "description": "Labels for clinical trials: why one stopped, who may take part.",
        "lifespan": lifespan,
        "redoc_url": None,
    }
    try:
        from fastapi_offline import FastAPIOffline  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:  # FastAPI's own page loads its script from a CDN
        app = FastAPI(**about, docs_url=None)

        @app.get("/docs", include_in_schema=False)
        async def docs() -> Response:
            missing = "The API's pages need: pip install 'trialtune[serve]'. Its schema is at /openapi.json."
            return Response(missing, media_type="text/plain")

        return app
    documented: FastAPI = FastAPIOffline(**about)
    return documented


def _add_answers(guarded: APIRouter, served: Mapping[str, Served], settings: ServiceSettings) -> None:
    explaining = anyio.CapacityLimiter(_EXPLAINED)  # separate threads: static files need the others
    asked_for: Any = {"responses": _REFUSALS, "tags": ["labels"], "dependencies": [Depends(only_json)]}

    @guarded.post("/v1/predict", response_model=schemas.PredictResponse, **asked_for)
    async def predict(asked: schemas.PredictRequest, request: Request) -> Response:
        """Labels, calibrated probabilities and review flags for texts or trials, by task."""
        count = len(asked.texts or asked.records)
        if count > settings.max_texts:
            what = "texts" if asked.texts else "records"
            raise HTTPException(422, f"{what}: {count:,} are too many; send at most {settings.max_texts}")
        models = [_one(served, name) for name in dict.fromkeys(asked.tasks)] or [*served.values()]
        read = partial(_read, asked, models)
        rows, texts = read() if _size(asked) <= _QUICK else await run_in_threadpool(read)
        pending: list[asyncio.Future[list[Answer]]] = []
        try:
            for one, its in zip(models, texts, strict=True):
                pending.append(asyncio.wrap_future(one.batcher.submit([text for text in its if text])))
            answers = await _while_there(request, asyncio.gather(*pending), settings.timeout)
        except BaseException as error:
            for future in pending:
                future.cancel()  # removes its texts from the queue
            raise _refusal(error) from None
        results = {
            one.task.name: _predictions(one, its, answered, rows)
            for one, its, answered in zip(models, texts, answers, strict=True)
        }
        return Response(to_json(schemas.PredictResponse(results=results)), media_type="application/json")

    @guarded.post("/v1/explain", **asked_for)
    async def explain(asked: schemas.ExplainRequest, request: Request) -> schemas.ExplainResponse:
        """Which words make a label probable: each is removed, and the text scored again (occlusion)."""
        one = _one(served, asked.task)
        if asked.label not in one.labels:
            raise HTTPException(404, f"{asked.task} has no such label; /v1/models names them")
        if explaining.available_tokens < 1:
            busy = "other explanations are being computed; try again in a second"
            raise HTTPException(429, busy, headers={"Retry-After": "1"})
        given_up = threading.Event()  # a thread cannot be stopped: it checks the time and this event
        ask = partial(one.explain, timeout=settings.timeout, given_up=given_up)
        text = _sound(asked.text) or ""
        working = asyncio.ensure_future(anyio.to_thread.run_sync(ask, text, asked.label, limiter=explaining))
        try:
            spans = await _while_there(request, working, settings.timeout)
        except BaseException as error:
            given_up.set()
            raise _refusal(error) from None
        return schemas.ExplainResponse(words=schemas.words(spans))

    @guarded.get("/v1/models", responses={401: _REFUSALS[401]}, tags=["labels"])
    async def models() -> schemas.ModelsResponse:
        """The served classifiers: tasks, labels with definitions and thresholds."""
        infos = [schemas.model_info(one) for one in served.values()]
        return schemas.ModelsResponse(models=infos, max_texts=settings.max_texts)


def _add_watching(
    app: FastAPI, guarded: APIRouter, served: Mapping[str, Served], metrics: ServiceMetrics
) -> None:
    @app.get("/healthz", tags=["watching"])
    async def healthz() -> schemas.Status:
        """Whether the process is alive."""
        return schemas.Status(status="ok")

    @app.get("/readyz", responses={503: _REFUSALS[503]}, tags=["watching"])
    async def readyz() -> schemas.Status:
        """Whether every classifier accepts texts."""
        stopped = [name for name, one in served.items() if not one.batcher.alive]
        if stopped:
            raise HTTPException(503, f"not scoring: {', '.join(stopped)}")
        return schemas.Status(status="ready")

    @guarded.get(
        "/metrics", tags=["watching"], responses={200: {"content": {"text/plain": {}}}, 401: _REFUSALS[401]}
    )
    async def counters() -> Response:
        """Metrics in Prometheus format."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", headers={"content-security-policy": POLICY})


async def only_json(request: Request) -> None:
    """Reject a body whose content type is not JSON, which pages of other sites cannot send."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "send JSON with the header Content-Type: application/json")


def _one(served: Mapping[str, Served], name: str) -> Served:
    if name not in served:
        raise HTTPException(404, f"tasks: no such task; available are: {', '.join(served)}")
    return served[name]


def _size(asked: schemas.PredictRequest) -> int:
    """Characters to clean; a record counts as a long one."""
    return sum(map(len, asked.texts)) + len(asked.records) * _QUICK


def _read(
    asked: schemas.PredictRequest, models: Sequence[Served]
) -> tuple[list[dict[str, Any]], list[list[str | None]]]:
    """The texts or trials as records, and each model's input for them."""
    rows: list[dict[str, Any]] = [{"text": text} for text in asked.texts] or [
        _record(record) for record in asked.records
    ]
    return rows, [[_sound(one.task.text_of(row)) for row in rows] for one in models]


def _record(given: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the columns given: missing ones are not the same as empty ones."""
    if "protocolSection" in given:
        return record_from_study(given)
    record = record_from_row(given)
    named = {"nct_id", *columns_of(tuple(given))}
    return {name: value for name, value in record.items() if name in named or value not in (None, [])}


def _sound(text: str | None) -> str | None:
    """`text` without lone surrogates, which JSON can contain and no tokenizer can read."""
    return text and text.encode("utf-8", "replace").decode()


def _predictions(
    one: Served, texts: Sequence[str | None], answers: Sequence[Answer], rows: Sequence[Mapping[str, Any]]
) -> list[schemas.Prediction]:
    left = iter(answers)
    return [
        schemas.prediction(one, text, next(left) if text else None, _sound(row.get("nct_id")))
        for text, row in zip(texts, rows, strict=True)
    ]


async def _while_there(request: Request, work: "asyncio.Future[_Answered]", seconds: float) -> _Answered:
    """The result of `work`, unless it times out (TimeoutError) or the client disconnects."""
    if not work.done():
        # The guard has read the body, so the only further message is a disconnect.
        leaving = asyncio.ensure_future(request.receive())
        either: list[asyncio.Future[Any]] = [work, leaving]
        try:
            done, _ = await asyncio.wait(either, timeout=seconds, return_when=FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if work not in done:
            work.add_done_callback(lambda late: late.cancelled() or late.exception())  # silences it
            raise ClientDisconnect if leaving in done else TimeoutError
    return await work


def _refusal(error: BaseException) -> BaseException:
    """The HTTP response to an error that has one."""
    match error:
        case QueueFullError():
            return HTTPException(429, str(error), headers={"Retry-After": str(error.retry_after)})
        case TimeoutError():
            return HTTPException(504, "the request timed out; send fewer texts, or try again later")
        case ClientDisconnect():
            return HTTPException(_LEFT, "the client disconnected")
        case ClosedError():
            return HTTPException(503, str(error))
    return error


async def explain_invalid(_: Request, error: Exception) -> JSONResponse:
    """422 in one line, without the texts sent."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(problem["type"] == "json_invalid" for problem in problems):
        return JSONResponse({"detail": "the body is not valid JSON"}, 400)
    lines = [
        f"{'.'.join(map(str, problem['loc'][1:])) or 'body'}: {problem['msg']}" for problem in problems[:5]
    ]
    detail = "; ".join(lines).encode("utf-8", "replace").decode()
    return JSONResponse({"detail": detail[:2000]}, 422)


def _complete_schema(app: FastAPI, served: Mapping[str, Served], settings: ServiceSettings) -> None:
    """Add this service's tasks and limits to the OpenAPI schema."""
    schema = app.openapi()
    parts = schema["components"]["schemas"]
    asked = parts["PredictRequest"]["properties"]
    for name in ("texts", "records"):
        asked[name]["maxItems"] = settings.max_texts
    for field in asked.values():
        field.pop("default", None)
    asked["tasks"]["items"]["enum"] = [*served]
    parts["ExplainRequest"]["properties"]["task"]["enum"] = [*served]
    app.openapi_schema = schema
