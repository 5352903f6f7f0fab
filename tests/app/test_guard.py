"""Which requests reach the page.

Oracle: the rule of browsers, which name the site that asks in Origin and Sec-Fetch-Site.
"""

import asyncio
import sys

import pytest

from escsr.app.guard import Guard, is_loopback, own_names
from escsr.app.server import serving

HOST = "127.0.0.1:7860"


def answer(method="GET", path="/", *, names=(), **headers):
    """The status of a request; 200 if the guard lets it through."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message):
        sent.append(message)

    headers = {"host": HOST, **{name.replace("_", "-"): text for name, text in headers.items()}}
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    guard = Guard(app, folder="/tmp/x", names=set(names), upload=1000)
    asyncio.run(guard(scope, None, send))
    said = dict(sent[0]["headers"])
    assert b"default-src 'self'" in said[b"content-security-policy"]
    assert said[b"x-content-type-options"] == b"nosniff"
    return sent[0]["status"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},  # another program on this machine
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_other_sites_are_refused(headers):
    assert answer("POST", "/gradio_api/queue/join", **headers) == 403
    assert answer("GET", "/config", **headers) == 403


def test_own_requests_and_links_pass():
    own = {"origin": f"http://{HOST}", "sec_fetch_site": "same-origin"}
    assert answer("POST", "/gradio_api/queue/join", **own) == 200
    assert answer() == 200
    assert answer(sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert answer(sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403


def test_names_that_are_not_ours_are_refused():
    """DNS rebinding: a stranger's name that leads here."""
    assert answer(host="evil.example:7860") == 421
    assert answer(host="") == 421
    assert answer(host="localhost:7860") == 200
    assert answer(host="[::1]:7860") == 200
    assert answer(host="studio.local:7860", names=["Studio.local"]) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/tmp/x",
        "/tmp/x/../../etc/passwd",
        "/tmp/x/a/../../../etc/passwd",
        "/tmp/x/a/%2e%2e",
        "/tmp/xy/a/b.png",
        "/tmp/x/.lock",
        "tmp/x/a/b.png",
        "http://evil.example/a.png",
        "C:/Windows/win.ini",
    ],
)
def test_files_elsewhere_are_not_served(path):
    assert answer(path=f"/gradio_api/file={path}") == 404


def test_files_of_the_folder_are_served():
    assert answer(path="/gradio_api/file=/tmp/x/0a1b/photo 1.png") == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/proxy=http://evil.example/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/file=/tmp/x/a/b.png"),
        ("GET", "/monitoring"),
        ("GET", "/openapi.json"),
        ("GET", "/gradio_api/deep_link"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/vibe-code/"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/login"),
        ("PUT", "/"),
        ("DELETE", "/config"),
    ],
)
def test_what_the_page_does_not_need_is_not_there(method, path):
    assert answer(method, path) == 404


def test_uploads_have_an_end():
    assert answer("POST", "/gradio_api/upload", content_length="1000") == 200
    assert answer("POST", "/gradio_api/upload", content_length="1001") == 413
    assert answer("POST", "/gradio_api/upload", content_length="-1") == 413


def test_loopback():
    assert is_loopback("127.0.0.1")
    assert is_loopback("localhost")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert own_names("127.0.0.1") == {"127.0.0.1"}
    assert len(own_names("0.0.0.0")) > 1


def test_without_gradio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "escsr\[app\]"'), serving():
        pytest.fail("nothing can be served")
