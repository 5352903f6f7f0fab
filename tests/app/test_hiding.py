"""The browser sees another folder than the one on this machine.

Oracle: what goes out comes back as it was.
"""

import asyncio
import json

import pytest

from escsr.app.hiding import ALIAS, Hiding


def through(folder, *, path="/", body=None, kind=b"application/json", answer=b""):
    """What the app sees of a request, and what the browser sees of the answer."""
    seen, sent = {}, []

    async def app(scope, receive, send):
        seen["path"], seen["headers"] = scope["path"], dict(scope["headers"])
        if body is not None:
            seen["body"] = (await receive())["body"]
        headers = [(b"content-type", kind), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def receive():
        half = len(body) // 2
        parts = [body[half:], body[:half]] if "first" not in seen else [body[half:]]
        seen["first"] = True
        return {"type": "http.request", "body": parts[-1], "more_body": len(parts) == 2}

    async def send(message):
        sent.append(message)

    headers = (
        [] if body is None else [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    )
    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(Hiding(app, folder=folder)(scope, receive, send))
    return seen, dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("folder", ["/tmp/escsr-app-x", "/home/a b/tmp", "C:\\Users\\me\\tmp"])
def test_paths_go_out_hidden_and_come_back(folder):
    separator = "\\" if "\\" in folder else "/"
    path = folder + separator.join(["", "0a", "photo.png"])
    _, headers, shown = through(folder, answer=json.dumps({"path": path}).encode())
    assert b"content-length" not in headers
    hidden = json.loads(shown)["path"]
    assert hidden == path.replace(folder, ALIAS)
    order = json.dumps({"data": [{"path": hidden}], "text": "in /files/ of mine"}).encode()
    seen, _, _ = through(folder, body=order)
    assert json.loads(seen["body"]) == {"data": [{"path": path}], "text": "in /files/ of mine"}
    assert seen["headers"][b"content-length"] == b"%d" % len(seen["body"])
    seen, _, _ = through(folder, path=f"/gradio_api/file={hidden}")
    assert seen["path"] == f"/gradio_api/file={path}"


def test_pictures_pass_as_they_are():
    data = b"\x89PNG /tmp/x in a picture"
    _, headers, shown = through("/tmp/x", kind=b"image/png", answer=data)
    assert shown == data
    assert headers[b"content-length"] == b"%d" % len(data)


def test_addresses_in_pages_are_hidden():
    page = b'<img src="/gradio_api/file=/home/a%20b/1/2.png">'
    _, _, shown = through("/home/a b", kind=b"text/html; charset=utf-8", answer=page)
    assert shown == b'<img src="/gradio_api/file=/files/1/2.png">'
