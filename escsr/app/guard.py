"""Who may ask for what: requests of other sites and all that the page does not need are refused."""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

# Gradio serves much more: proxies, recordings, editors, monitoring.
_GET = re.compile(
    r"/|/config/?|/(assets|static|svelte)/.*|/favicon\.ico|/theme\.css|/robots\.txt"
    r"|/gradio_api/(info/?|startup-events|theme\.css|queue/data|upload_progress|heartbeat/[^/]+)"
)
_POST = re.compile(r"/gradio_api/(queue/join|upload|cancel|reset/?|run/predict/?)")
_FILE = "/gradio_api/file="

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "worker-src 'self' blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Middleware that lets the page's own requests through.

    Args:
        app: What answers them.
        folder: Files two levels below it may be asked for, and no others.
        names: Host names under which the app is reached, beside addresses in numbers and
            "localhost"; may grow. Others are refused: a stranger's name may lead to this machine.
        upload: Bytes of one request at most.
    """

    def __init__(self, app: Asgi, *, folder: str, names: set[str], upload: int) -> None:
        self._app, self._folder, self._upload = app, folder.rstrip("/\\"), upload
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the app answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # the page has no web sockets
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        fault = self._fault(scope["method"], scope["path"], headers)
        if fault is not None:
            await _refuse(send, *fault)
            return
        await self._app(scope, receive, _with_headers(send))

    def _fault(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Why a request is refused, with its status; or None."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "The app is not reached under this name."
        if not _is_same_site(method, path, host, headers):
            return 403, "Requests of other sites are refused."
        if not self._is_needed(method, path):
            return 404, "There is nothing here."
        if _length(headers) > self._upload:
            return 413, f"At most {self._upload >> 20} MiB are accepted at a time."
        return None

    def _is_ours(self, host: str) -> bool:
        name = (urlsplit(f"//{host}").hostname or "").lower()
        ours = {"localhost", *(one.lower() for one in self._names)}
        return name in ours or _is_address(name)

    def _is_needed(self, method: str, path: str) -> bool:
        if method in ("GET", "HEAD"):
            if path.startswith(_FILE):
                return self._is_served(path.removeprefix(_FILE))
            return _GET.fullmatch(path) is not None
        return method == "POST" and _POST.fullmatch(path) is not None

    def _is_served(self, file: str) -> bool:
        """Whether a file lies in the folder, by its name alone: no "..", no address."""
        plain = unquote(file)
        parts = re.split(r"[\\/]", plain.removeprefix(self._folder))
        inside = plain.startswith((f"{self._folder}/", f"{self._folder}\\"))
        return inside and len(parts) == 3 and not {"..", "."} & set(parts)


def own_names(host: str) -> set[str]:
    """Names of this machine, for an app that listens on ``host``."""
    names = {host}
    if not is_loopback(host):
        own = socket.gethostname()
        names |= {own, f"{own}.local", socket.getfqdn()}
    return names


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_site(method: str, path: str, host: str, headers: dict[str, str]) -> bool:
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return False
    fetched_by = headers.get("sec-fetch-site", "same-origin")
    if fetched_by in ("same-origin", "none"):
        return True
    # A link to the page may stand anywhere.
    return method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"


def _length(headers: dict[str, str]) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdigit() else 1 << 62


async def _refuse(send: Send, status: int, text: str) -> None:
    body = text.encode()
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "connection": "close",
        **_HEADERS,
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await send(message)

    return sending
