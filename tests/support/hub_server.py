"""A stand-in for the Hugging Face Hub: as much of it as pushing and fetching models and data sets takes.

Speaks what huggingface_hub 2.4 asks of create_repo, upload_folder, snapshot_download and
hf_hub_download. Large files lie on another host, and asking for one is answered with the way there. What
is uploaded is "regular", sent inside its commit; the real Hub wants large files in its own storage.
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

import yaml

TOKEN = "hf_of_the_owner"
_LARGE = 10_000  # bytes
_REPOSITORY = re.compile(
    r"/(?:api/models/|(?P<data>(?:api/)?datasets/))?"
    r"(?P<id>[\w.-]+/[\w.-]+)(?:/(?P<what>\w+)(?:/(?P<rest>.*))?)?"
)


@dataclass
class Repository:
    """A model or a data set: its files as they stand, under one revision."""

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
    models: dict[str, Repository] = field(default_factory=dict)
    datasets: dict[str, Repository] = field(default_factory=dict)
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
            wrong = _errors(json.loads(body))
            self._json({"errors": wrong, "warnings": []}, status=400 if wrong else 200)
        elif not self._owner:
            self._refuse(401, None, "Invalid username or password.")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif (found := self._repository(path)) and found[1] == "preupload":
            asked = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]
            self._json({"files": modes})
        elif found and found[1] == "commit":
            self._commit(found[0], path, body)

    def _look(self) -> None:
        path = self._path()
        if path.startswith("/elsewhere/"):
            self._send(self._large[path.removeprefix("/elsewhere/")])
            return
        if not (found := self._repository(path)):
            return
        repository, what, rest = found
        revision, _, name = (rest or "main").partition("/")
        if revision not in ("main", repository.sha):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif what in (None, "revision"):
            listed = [{"rfilename": name} for name in repository.files]
            about = {"id": "", "sha": repository.sha, "siblings": listed, "private": repository.private}
            self._json(about)
        elif what == "tree":
            self._json(
                [
                    {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                    for name, content in repository.files.items()
                ]
            )
        elif name not in repository.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            self._resolve(repository.files[name], repository.sha)

    def _resolve(self, content: bytes, commit: str) -> None:
        """A file, or where a large one lies."""
        told = {"X-Repo-Commit": commit}
        if len(content) < _LARGE:
            self._send(content, ETag=f'"{_oid(content)}"', **told)
            return
        name, host = hashlib.sha256(content).hexdigest(), self.hub.url.replace("127.0.0.1", "localhost")
        linked = {"X-Linked-ETag": f'"{name}"', "X-Linked-Size": str(len(content))}
        self._send(b"", status=302, Location=f"{host}/elsewhere/{name}", **linked, **told)

    @property
    def _large(self) -> dict[str, bytes]:
        """The large files of all repositories by their checksums."""
        held = (*self.hub.models.values(), *self.hub.datasets.values())
        files = (content for repository in held for content in repository.files.values())
        return {hashlib.sha256(content).hexdigest(): content for content in files if len(content) >= _LARGE}

    def _create(self, asked: dict[str, Any]) -> None:
        name, is_data = f"{asked['organization']}/{asked['name']}", asked.get("type") == "dataset"
        held = self.hub.datasets if is_data else self.hub.models
        url = {"url": f"{self.hub.url}/{'datasets/' if is_data else ''}{name}"}
        if name in held:
            self._json({**url, "error": "You already created this repo"}, status=409)
        else:
            held[name] = Repository(private=asked.get("visibility") == "private")
            self._json(url)

    def _commit(self, repository: Repository, path: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                repository.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        page = path.removeprefix("/api/models").removeprefix("/api").rpartition("/commit/")[0]
        sha = repository.sha
        self._json({"commitUrl": f"{self.hub.url}{page}/commit/{sha}", "commitOid": sha})

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path

    @property
    def _owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repository(self, path: str) -> tuple[Repository, str | None, str | None] | None:
        """What is asked for, what of it, and the rest of the path; refuses when it is hidden."""
        match = _REPOSITORY.fullmatch(path)
        held = self.hub.datasets if match and match["data"] else self.hub.models
        found = match and held.get(match["id"])
        if not match or not found or (found.private and not self._owner):
            # To a stranger, a private repository does not exist.
            self._refuse(404 if self._owner else 401, "RepoNotFound", "Repository not found")
            return None
        return found, match["what"], match["rest"]

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


def _errors(asked: dict[str, str]) -> list[dict[str, str]]:
    """What is wrong with a card's header: as much as the Hub documents of its form."""
    header = asked["content"].split("---\n")[1] if asked["content"].startswith("---\n") else "{}"
    try:
        data = yaml.safe_load(header)
    except yaml.YAMLError as error:
        return [{"message": f"not YAML: {error}"}]
    wrong = [name for name in ("license", "pipeline_tag") if not isinstance(data.get(name, ""), str)]
    if data.get("license") == "other" and not {"license_name", "license_link"} <= data.keys():
        wrong.append("license_name")
    for model in data.get("model-index", ()):
        for result in model["results"]:
            told = [result["task"], result["dataset"], *result["metrics"]]
            wrong += [
                f"model-index.{name}" for one, name in zip(told, _NEEDED, strict=False) if name - one.keys()
            ]
    return [{"message": f'"{name}" is wrong'} for name in wrong]


_NEEDED = ({"type"}, {"type", "name"}, {"type", "value"}, {"type", "value"})


def _oid(content: bytes) -> str:
    """As git names a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A running Hub that holds nothing."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield handler.hub
        server.shutdown()
        thread.join()
