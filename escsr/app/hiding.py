"""Gradio names files by their paths on this machine; the browser sees another folder instead."""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

ALIAS = "/files"
"""What the browser takes for the temporary folder."""

_TEXTS = (b"application/json", b"text/event-stream", b"text/html")
_FILE = "/gradio_api/file="
_GIVEN = re.compile(rb'"' + ALIAS.encode() + rb"(?=[/\\])")


class Hiding:
    """Middleware that writes `ALIAS` for the folder in answers, and the folder in requests.

    Args:
        app: What answers.
        folder: The temporary folder.
    """

    def __init__(self, app: Asgi, *, folder: str) -> None:
        self._app, self._folder = app, folder
        self._in_json = json.dumps(folder)[1:-1].encode()
        # As it stands in JSON and in addresses; the longer one first, should one begin the other.
        forms = {self._in_json, quote(folder).encode(), folder.encode()}
        self._shown = re.compile(b"|".join(map(re.escape, sorted(forms, key=len, reverse=True))))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(_FILE + ALIAS):
            path = _FILE + self._folder + scope["path"].removeprefix(_FILE + ALIAS)
            scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        kinds = dict(scope["headers"])
        if kinds.get(b"content-type", b"").startswith(b"application/json"):
            body = _GIVEN.sub(lambda _: b'"' + self._in_json, await _read(receive))
            length = str(len(body)).encode()
            headers = [
                (name, length if name == b"content-length" else value)
                for name, value in scope["headers"]
            ]
            scope, receive = {**scope, "headers": headers}, _giving(body, receive)
        await self._app(scope, receive, self._renaming(send))

    def _renaming(self, send: Send) -> Send:
        is_text = False

        async def sending(message: Message) -> None:
            nonlocal is_text
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                kind = next((value for name, value in headers if name == b"content-type"), b"")
                is_text = kind.startswith(_TEXTS)
                if is_text:  # its length changes
                    headers = [one for one in headers if one[0] != b"content-length"]
                message = {**message, "headers": headers}
            elif is_text:
                # Each event, and each page, comes in one piece.
                body = self._shown.sub(ALIAS.encode(), message.get("body", b""))
                message = {**message, "body": body}
            await send(message)

        return sending


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _giving(body: bytes, receive: Receive) -> Receive:
    """The body first, and then what else comes, such as the news that nobody listens any more."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving
