"""A web server on this machine that behaves, or misbehaves, as a test says."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Server:
    """What it serves, how it behaves, and what it was asked.

    Attributes:
        files: Path to contents.
        plan: How the next requests are answered, first to last; afterwards as they should be.
            A number: that many bytes, then the connection ends. "ignore-range", "stall", "slow",
            "404", "503".
        requests: (path, headers) of each request.
        address: Of the server.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.plan: list[int | str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.address = ""

    def beginnings(self) -> list[int]:
        """The byte from which each request wanted the file."""
        ranges = [headers.get("Range", "bytes=0-") for _, headers in self.requests]
        return [int(wanted.removeprefix("bytes=").removesuffix("-")) for wanted in ranges]


class Handler(BaseHTTPRequestHandler):
    state: Server

    def do_GET(self) -> None:
        state = self.state
        state.requests.append((self.path, dict(self.headers)))
        behaviour = state.plan.pop(0) if state.plan else "whole"
        content = state.files.get(self.path)
        if content is None or behaviour in ("404", "503"):
            self.send_error(404 if content is None else int(behaviour))
            return
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        first = self._first(content, tag) if behaviour != "ignore-range" else 0
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self._send(content[first:], behaviour)

    def _first(self, content: bytes, tag: str) -> int:
        """Where to begin, as RFC 9110 wants it."""
        wanted = self.headers.get("Range", "")
        if not wanted or self.headers.get("If-Range", tag) != tag:
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _send(self, content: bytes, behaviour: int | str) -> None:
        if isinstance(behaviour, int):
            content = content[:behaviour]
        if behaviour == "stall":
            self.wfile.write(content[:1000])
            self.wfile.flush()
            time.sleep(1.5)
        elif behaviour == "slow":
            for start in range(0, len(content), 50_000):
                self.wfile.write(content[start : start + 50_000])
                self.wfile.flush()
                time.sleep(0.02)
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer on 127.0.0.1 for the time of the block; gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving() -> Iterator[Server]:
    """A server on 127.0.0.1 for the time of the block."""
    state = Server()
    handler = type("ThisHandler", (Handler,), {"state": state})
    with running(handler) as state.address:
        yield state
