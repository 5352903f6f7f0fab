"""Serve the page on this machine until somebody stops it."""

import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from escsr.app.desk import Desk
from escsr.app.folder import Folder
from escsr.app.guard import Guard, own_names
from escsr.app.hiding import ALIAS, Hiding
from escsr.app.limits import Limits
from escsr.app.sessions import Sessions

if TYPE_CHECKING:
    import gradio as gr

# Settings of Gradio that would open what is closed here.
_OVERRULED = (
    "GRADIO_ALLOWED_PATHS",
    "GRADIO_LOCAL_DEV_MODE",
    "GRADIO_MCP_SERVER",
    "GRADIO_NUM_WORKERS",
    "GRADIO_SERVER_NAME",
    "GRADIO_SHARE",
    "GRADIO_WATCH_DIRS",
)
_UPLOADS = 16
"""Files of the largest size that one request may bring."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A page that is served.

    Attributes:
        address: Of the page.
        shared: Its address for everybody, or None.
        desk: What is behind it.
    """

    address: str
    shared: str | None
    desk: Desk


@contextmanager
def serving(
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    share: bool = False,
    limits: Limits | None = None,
    device: str = "auto",
    precision: str = "fp32",
    memory: str | None = None,
) -> Iterator[Served]:
    """Serve the page for the block; then everything stops and all files are removed.

    Args:
        host: What to listen on.
        port: Its port; None takes the first free one from 7860.
        share: Whether to let everybody in, through a server of Gradio's.
        limits: What is taken.
        device: See `escsr.Upscaler`.
        precision: See `escsr.Upscaler`.
        memory: What the program may take, such as "4GB"; None takes what is free.

    Raises:
        ModuleNotFoundError: If Gradio is not installed.
        OSError: If the port is taken.
        ValueError: If the device, the precision or the amount of memory is impossible.
    """
    _require_gradio()
    limits = limits or Limits()
    sessions = Sessions(device=device, precision=precision, memory=memory)
    folder = Folder()
    try:
        _prepare(folder)
        desk = Desk(limits=limits, sessions=sessions, folder=folder)
        try:
            page, address, shared = _launched(desk, host=host, port=port, share=share)
            try:
                yield Served(address=address, shared=shared, desk=desk)
            finally:
                desk.jobs.close()
                page.close(verbose=False)
        finally:
            desk.close()
    finally:
        folder.close()


def wait() -> None:
    """Until Ctrl-C."""
    threading.Event().wait()


def _prepare(folder: Folder) -> None:
    """Set what Gradio reads from the environment: before it is imported."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder.path)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    for name in _OVERRULED:
        os.environ.pop(name, None)
    # Gradio asks its own server whether it is up, and would do so by a proxy.
    own = "127.0.0.1,localhost"
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), own)))


def _require_gradio() -> None:
    if importlib.util.find_spec("gradio") is None:
        raise ModuleNotFoundError('the app needs Gradio: pip install "escsr[app]"', name="gradio")


def _launched(
    desk: Desk, *, host: str, port: int | None, share: bool
) -> "tuple[gr.Blocks, str, str | None]":
    from starlette.middleware import Middleware

    from escsr.app.page import CSS, build_page, make_theme

    page = build_page(desk)
    names = own_names(host)
    guard: dict[str, Any] = {
        "folder": ALIAS,
        "names": names,
        "upload": _UPLOADS * desk.limits.upload,
    }
    folder = str(desk.folder.path)
    middleware = [Middleware(Guard, **guard), Middleware(Hiding, folder=folder)]
    _, address, shared = page.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        quiet=True,
        inline=False,
        show_error=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        footer_links=[],
        allowed_paths=[],
        blocked_paths=[],
        max_file_size=desk.limits.upload,
        strict_cors=True,
        app_kwargs={"middleware": middleware, "docs_url": None},
        theme=make_theme(),
        css=CSS,
    )
    if shared is not None:
        names.add(urlsplit(shared).netloc)
    return page, address, shared
