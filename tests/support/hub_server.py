"""A stand-in for the Hugging Face Hub: as much of it as pushing and fetching models takes.

Speaks what huggingface_hub 2.4 asks of create_repo, upload_folder and snapshot_download. Every file is
"regular", sent inside its commit; the real Hub wants large ones in its own storage.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_owner"
_MODEL = re.compile(r"/(?:api/models/)?(?P<id>[\w.-]+/[\w.-]+)(?:/(?P<what>\w+)(?:/(?P<rest>.*))?)?")


@dataclass
class Model:
    """A repository: its files as they stand, under one revision."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def sha(self) -> str:
        listed = "".join(f"{name} {_oid(content)}\n" for name, content in sorted(self.files.items()))
        return hashlib.sha1(listed.encode()).hexdigest()


@dataclass
class Hub:
    """What the server holds, and what it was asked."""

    url: str
    models: dict[str, Model] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # "METHOD /path"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._look()

    def do_GET(self) -> None:
        self._look()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self._path()
        if path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif not self._owner:
            self._refuse(401, None, "Invalid username or password.")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif (found := self._model(path)) and found[1] == "preupload":
            asked = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]
            self._json({"files": modes})
        elif found and found[1] == "commit":
            self._commit(found[0], path, body)

    def _look(self) -> None:
        if not (found := self._model(self._path())):
            return
        model, what, rest = found
        revision, _, name = (rest or "main").partition("/")
        if revision not in ("main", model.sha):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif what in (None, "revision"):
            listed = [{"rfilename": name} for name in model.files]
            self._json({"id": "", "sha": model.sha, "siblings": listed, "private": model.private})
        elif what == "tree":
            self._json(
                [
                    {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                    for name, content in model.files.items()
                ]
            )
        elif name not in model.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            content = model.files[name]
            self._send(content, ETag=f'"{_oid(content)}"', **{"X-Repo-Commit": model.sha})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        url = {"url": f"{self.hub.url}/{name}"}
        if name in self.hub.models:
            self._json({**url, "error": "You already created this model repo"}, status=409)
        else:
            self.hub.models[name] = Model(private=asked.get("visibility") == "private")
            self._json(url)

    def _commit(self, model: Model, path: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                model.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        [owner, name] = path.split("/")[3:5]
        self._json({"commitUrl": f"{self.hub.url}/{owner}/{name}/commit/{model.sha}", "commitOid": model.sha})

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path

    @property
    def _owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _model(self, path: str) -> tuple[Model, str | None, str | None] | None:
        """The model that is asked for, what of it, and the rest of the path; refuses when it is hidden."""
        match = _MODEL.fullmatch(path)
        model = match and self.hub.models.get(match["id"])
        if not match or not model or (model.private and not self._owner):
            # To a stranger, a private repository does not exist.
            self._refuse(404 if self._owner else 401, "RepoNotFound", "Repository not found")
            return None
        return model, match["what"], match["rest"]

    def _refuse(self, status: int, code: str | None, message: str) -> None:
        said = {"X-Error-Code": code} if code else {}
        self._json({"error": message}, status=status, **said, **{"X-Error-Message": message})

    def _json(self, value: Any, *, status: int = 200, **headers: str) -> None:
        content = json.dumps(value).encode()
        self._send(content, status=status, **{"Content-Type": "application/json"}, **headers)

    def _send(self, content: bytes, *, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        pass


def _oid(content: bytes) -> str:
    """As git names a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A running Hub without models."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield handler.hub
        server.shutdown()
        thread.join()
