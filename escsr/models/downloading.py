"""Files over HTTP: broken downloads resume, and only checked files replace others."""

import json
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escsr.files import write_json
from escsr.version import __version__

if TYPE_CHECKING:
    from requests import Response

Progress = Callable[[int, int | None], None]

TIMEOUTS = 10.0, 30.0
"""Seconds to wait for a connection, and for the next bytes."""

PAUSES = 1.0, 3.0
"""Seconds before the second and the third try."""

_CHUNK = 1 << 14  # a chunk that is cut off is discarded


class _Broken(OSError):  # noqa: N818 - a reason on its way, seen by nobody
    """The connection ended early, or the server had a problem: worth another try."""


class Resuming:
    """A downloader for `pooch` that resumes where an earlier one, or another process, was cut off.

    The data received so far is kept in a hidden file next to the target, with the server's version
    of the file; the rest is requested only if that version is unchanged.

    Args:
        target: The file to create.
        progress: Called with the bytes received and the size of the whole file, if known.
    """

    def __init__(self, target: Path, progress: Progress | None = None) -> None:
        self.part = target.with_name(f".escsr-{target.name}.part")
        self.notes = self.part.with_suffix(".part.json")
        self.progress = progress or (lambda done, total: None)
        self.resumed = False

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download ``url`` to ``output_file``.

        Raises:
            OSError: If the file cannot be downloaded; the message explains why.
        """
        import requests

        for pause in (*PAUSES, None):
            try:
                self._bring(url)
                break
            except (_Broken, requests.RequestException) as error:
                if pause is None or not isinstance(error, (_Broken, *_passing())):
                    raise OSError(_reason(error)) from error
                time.sleep(pause)
        shutil.move(self.part, output_file)
        self.notes.unlink(missing_ok=True)

    def _bring(self, url: str) -> None:
        import requests

        done, version = self._arrived(url)
        headers = {"User-Agent": f"escsr/{__version__}", "Accept-Encoding": "identity"}
        if done:
            headers |= {"Range": f"bytes={done}-", "If-Range": version}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
            if answer.status_code == requests.codes.range_not_satisfiable:
                self.part.unlink()
                raise _Broken("the server's file is shorter than the part already downloaded")
            _check_status(answer)
            went_on = answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")
            if not (answer.status_code == requests.codes.partial_content and went_on):
                done = 0
            self.resumed = self.resumed or done > 0
            self._write(answer, url, done)

    def _write(self, answer: "Response", url: str, done: int) -> None:
        length = answer.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else None
        write_json(self.notes, {"url": url, "version": _version(answer)})
        self.progress(done, total)
        with self.part.open("ab" if done else "wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                self.progress(done, total)
        if total is not None and done != total:
            raise _Broken(f"the connection ended after {done} of {total} bytes")

    def _arrived(self, url: str) -> tuple[int, str]:
        """The bytes already received and their version; none if the version is unknown."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            notes = json.loads(self.notes.read_text(encoding="utf-8"))
            if notes["url"] == url and notes["version"]:
                return self.part.stat().st_size, str(notes["version"])
        return 0, ""


def _version(answer: "Response") -> str | None:
    """The server's identifier for this version of the file, if it is reliable."""
    tag = answer.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):  # a weak one may stand for other bytes
        return str(tag)
    return answer.headers.get("Last-Modified")


def _check_status(answer: "Response") -> None:
    code = answer.status_code
    if code >= 500 or code in (408, 429):
        raise _Broken(f"the server answers {code} {answer.reason}")
    if code >= 400:
        raise OSError(f"the server answers {code} {answer.reason}")


def _passing() -> tuple[type[Exception], ...]:
    """Errors that may be temporary."""
    from requests import exceptions

    return exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError


def _reason(error: BaseException) -> str:
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy cannot be reached ({_last(error)})"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the connection is not safe ({_last(error)})"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {TIMEOUTS[0]:g} s"
    if isinstance(error, requests.exceptions.Timeout) or "Read timed out" in str(error):
        return f"nothing arrived for {TIMEOUTS[1]:g} s"
    return _last(error)


def _last(error: BaseException) -> str:
    """The innermost of nested library errors, on one line."""
    inner: object = error
    while True:
        reason = getattr(inner, "reason", None)
        args = getattr(inner, "args", ())
        following = reason if isinstance(reason, Exception) else args[0] if args else None
        if not isinstance(following, Exception):
            break
        inner = following
    text = re.sub(r"^<?HTTPS?Connection(Pool)?\(.*?\)>?: ", "", " ".join(str(inner).split()))
    return text[:200].rstrip(".") or type(inner).__name__
