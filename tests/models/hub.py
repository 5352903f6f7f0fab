"""As much of the Hugging Face Hub as huggingface_hub asks of it, on this machine."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.models.server import running

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories, name to files, and the requests that came."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.address = ""


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.hub.requests.append(f"{self.command} {self.path}")
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if found is None:
            return self._answer(404)
        repo, revision, name = found.groups()
        if repo not in self.hub.repos:
            return self._answer(404, error="RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._answer(404, error="RevisionNotFound")
        content = self.hub.repos[repo].get(name)
        if content is None:
            return self._answer(404, error="EntryNotFound", commit=COMMIT)
        return self._answer(200, content, commit=COMMIT)

    def do_GET(self) -> None:
        self.do_HEAD()

    def do_POST(self) -> None:
        self.hub.requests.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            self.hub.repos.setdefault(repo, {})
            return self._json({"url": f"{self.hub.address}/{repo}"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        repo = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            common = {"uploadMode": "regular", "shouldIgnore": False}
            modes = [{"path": file["path"], **common} for file in asked]
            return self._json({"files": modes})
        for line in body.splitlines():  # a commit: one operation a line
            operation = json.loads(line)
            if operation["key"] == "file":
                value = operation["value"]
                self.hub.repos[repo][value["path"]] = base64.b64decode(value["content"])
        page = f"{self.hub.address}/{repo}/commit/{COMMIT}"
        return self._json({"commitUrl": page, "commitOid": COMMIT, "success": True})

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode())

    def _answer(
        self, code: int, content: bytes = b"", *, error: str | None = None, commit: str = ""
    ) -> None:
        self.send_response(code)
        if error is not None:
            self.send_header("X-Error-Code", error)
        if commit:
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def hub_at_hand() -> Iterator[Hub]:
    """A hub on 127.0.0.1 for the time of the block."""
    hub = Hub()
    handler = type("ThisHandler", (Handler,), {"hub": hub})
    with running(handler) as hub.address:
        yield hub
