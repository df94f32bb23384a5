"""The page of `trialtune annotate` as an ASGI application: for one annotator, on the local machine only."""

from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from trialtune import __version__
from trialtune.annotation.draws import Drawn
from trialtune.annotation.labels_file import NotSavedError
from trialtune.annotation.pool import Item, Suggestion
from trialtune.annotation.session import GoneError, Said, Session
from trialtune.dataset.answers import Answer
from trialtune.errors import TrialtuneError
from trialtune.server.app import POLICY, STATIC, explain_invalid, only_json
from trialtune.server.metrics import ServiceMetrics
from trialtune.server.middleware import Guard, Rules

#: Blocks other machines, and other sites whose host name resolves to this one (DNS rebinding).
HOSTS = ("127.0.0.1", "localhost")
TIMEOUT = 30.0  # s
_MAX_BYTES = 200_000
_STATUS: dict[type[Exception], int] = {NotSavedError: 507, GoneError: 409}
# The keys of the labels; the letters left out do something else.
KEYS = "123456789acdefghijklmopqrtvwxyz"


class AnswerRequest(BaseModel):
    """An answer to a text."""

    model_config = ConfigDict(extra="forbid")

    place: int = Field(description="The text's position in the pool.")
    text_hash: str = Field(max_length=64)
    labels: list[Annotated[str, Field(max_length=1000)]] = Field([], max_length=1000)
    status: Literal["labelled", "unsure", "skipped"] = "labelled"
    note: str = Field("", max_length=10_000)
    drawn: str = Field("", max_length=20, description="How the text was drawn, as shown.")


def build_annotate_app(session: Session, *, suggest: bool) -> FastAPI:
    """The page for a session; with `suggest`, a model's prediction is shown before a text is answered."""
    app = FastAPI(title="trialtune annotate", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*HOSTS])
    app.add_middleware(Guard, rules=Rules(None, _MAX_BYTES, TIMEOUT), metrics=ServiceMetrics())
    app.add_exception_handler(RequestValidationError, explain_invalid)
    app.add_exception_handler(TrialtuneError, _refuse)
    shown = suggest or bool(session.pool.suggested)

    @app.get("/v1/session")
    def about() -> dict[str, Any]:
        """The task, the annotator, and the progress."""
        return {**_about(session), "progress": _progress(session)}

    @app.get("/v1/next")
    def following() -> dict[str, Any] | None:
        """The next text; null when all are answered."""
        return _next(session, shown)

    @app.post("/v1/answers", dependencies=[Depends(only_json)])
    def answer(asked: AnswerRequest) -> dict[str, Any]:
        """Save an answer; it is synced to disk before the response."""
        said = Said(tuple(asked.labels), asked.status, asked.note, asked.drawn)
        saved = session.answer(asked.place, asked.text_hash, said)
        return {
            "rows": saved.rows,
            "before": saved.before,
            "suggestion": _suggested(saved.suggestion),
            "next": _next(session, shown),
            "progress": _progress(session),
        }

    @app.get("/v1/answered/{back}")
    def answered(back: int) -> dict[str, Any] | None:
        """The text answered `back` texts ago, with the answer; null before the first."""
        found = session.answered(back)
        if found is None:
            return None
        item, before = found
        suggestion = session.suggestion(item) if shown else None
        return {**_item(item, before.drawn, suggestion), "answer": _answer(before)}

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / "annotate.html", headers={"content-security-policy": POLICY})

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _about(session: Session) -> dict[str, Any]:
    task, pool = session.task, session.pool
    keys = [*KEYS, *[""] * len(task.labels)]
    return {
        "task": task.name,
        "kind": task.kind,
        "labels": [
            {"name": name, "definition": definition, "key": key}
            for (name, definition), key in zip(task.labels.items(), keys, strict=False)
        ],
        "annotator": session.annotator,
        "file": str(session.file.path),
        "texts": len(pool),
        "empty": pool.empty,
        "mode": "adjudicate" if pool.opinions else "review" if pool.suggested else "label",
        "listed": pool.listed,
    }


def _progress(session: Session) -> dict[str, Any]:
    trainer = session.trainer
    forecast = trainer.forecast if trainer else None
    return {
        "counts": session.counts(),
        "labels": session.label_counts(),
        "model": {
            "name": trainer.name,
            "texts": trainer.latest.texts if trainer.latest else 0,
            "problem": trainer.problem,
        }
        if trainer
        else None,
        "forecast": forecast.model_dump(mode="json") if forecast else None,
    }


def _next(session: Session, shown: bool) -> dict[str, Any] | None:
    drawn: Drawn = session.next()
    if drawn.item is None:
        return None
    return _item(drawn.item, drawn.way, session.suggestion(drawn.item) if shown else None)


def _item(item: Item, way: str, suggestion: Suggestion | None) -> dict[str, Any]:
    return {
        "place": item.place,
        "text_hash": item.key[1],
        "nct_id": item.nct_id,
        "title": item.title,
        "text": item.text,
        "drawn": way,
        "suggestion": _suggested(suggestion),
        "opinions": [{"annotator": one.annotator, **_answer(one)} for one in item.opinions],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {"labels": answer.labels, "status": answer.status, "note": answer.note}


def _suggested(suggestion: Suggestion | None) -> dict[str, Any] | None:
    if suggestion is None:
        return None
    return {"labels": suggestion.labels, "probabilities": suggestion.probabilities}


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, _STATUS.get(type(error), 422))
