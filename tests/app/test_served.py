"""The app over HTTP, as programs speak with it: many at once, and strangers.

Oracle: `escsr.upscale` for what is right; for what is refused, the files of this machine.
"""

import json
import re
import struct
import urllib.error
import urllib.parse
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import escsr
from escsr.images import Picture, encode_image

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("app")]

PHOTO = Path(__file__).resolve().parents[1] / "data" / "photo.png"

# Without the proxies of the environment: the app is on this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Visitor:
    """Somebody with a session of their own, and no browser."""

    def __init__(self, address: str) -> None:
        self.address, self.session = address, uuid.uuid4().hex
        self.config = json.loads(self.get("config"))
        self.ids = {
            part["props"]["elem_id"]: part["id"]
            for part in self.config["components"]
            if part["props"].get("elem_id")
        }

    def get(self, path: str, **headers: str) -> bytes:
        request = urllib.request.Request(self.address + path, headers=headers)
        with OPENER.open(request, timeout=120) as answer:
            return answer.read()

    def post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        request = urllib.request.Request(
            self.address + path, data=body, headers={"Content-Type": kind}
        )
        with OPENER.open(request, timeout=120) as answer:
            return json.loads(answer.read())

    def upload(self, name: str, contents: bytes) -> dict[str, Any]:
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        body = head.encode() + b"\r\n" + contents + f"\r\n--{edge}--\r\n".encode()
        (path,) = self.post("gradio_api/upload", body, f"multipart/form-data; boundary={edge}")
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def call(self, part: str, event: str, **given: Any) -> str:
        """Trigger an event of a component; all that the page would be told.

        Inputs that are not given have the values that the page begins with.
        """
        number, what = next(
            (number, what)
            for number, what in enumerate(self.config["dependencies"])
            if [self.ids[part], event] in [list(target) for target in what["targets"]]
        )
        first = {one["id"]: one["props"].get("value") for one in self.config["components"]}
        named = {self.ids[name.replace("_", "-")]: value for name, value in given.items()}
        order = {
            "data": [named.get(one, first[one]) for one in what["inputs"]],
            "fn_index": number,
            "session_hash": self.session,
            "trigger_id": self.ids[part],
        }
        self.post("gradio_api/queue/join", json.dumps(order).encode())
        told = []
        address = f"{self.address}gradio_api/queue/data?session_hash={self.session}"
        with OPENER.open(address, timeout=300) as stream:
            for line in stream:
                told.append(line.decode())
                if b'"process_completed"' in line:
                    return "".join(told)
        raise AssertionError("no answer")

    def give(self, name: str, contents: bytes) -> str:
        """Upload a picture to the first tab; what the page is told."""
        return self.call("one-picture", "change", one_picture=self.upload(name, contents))

    def made(self, told: str) -> bytes:
        """The file for download that the page was told of."""
        address = next(
            found
            for found in re.findall(r"gradio_api/file=[^\"]+", told)
            if re.search(r"_\d+x\d+\.png$", found)
        )
        return self.get(address)


def status_of(call: Any) -> int:
    """The status of a request that is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        call()
    return caught.value.code


def test_eight_at_once_get_what_the_library_makes(served):
    def visit(number: int) -> tuple[bytes, bytes]:
        pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 31, 3), np.uint8)
        picture = encode_image(Picture(pixels=pixels), ".png")
        visitor = Visitor(served.address)
        assert f"31\u00d7{20 + number} pixels" in visitor.give("me.png", picture)
        return picture, visitor.made(visitor.call("one-run", "click"))

    before = served.process.memory_info().rss
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(visit, range(8)))
    for picture, made in results:
        assert made == escsr.upscale(picture, scale=2, notify=lambda text: None)
    assert served.process.memory_info().rss < before + (500 << 20)
    assert Visitor(served.address).config["title"] == "escsr"


def test_files_of_the_machine_stay_there(served):
    visitor = Visitor(served.address)
    visitor.give("me.png", PHOTO.read_bytes())
    (folder,) = served.temporary.glob("escsr-app-*")
    secret = served.temporary / "secret.png"
    secret.write_bytes(PHOTO.read_bytes())
    try:
        for path in (secret, folder / "x" / ".." / "secret.png", "/etc/passwd", PHOTO, folder):
            name = urllib.parse.quote(str(path))
            assert status_of(lambda name=name: visitor.get(f"gradio_api/file={name}")) in (403, 404)
        # A picture is what was uploaded, whatever path or address a request claims.
        for path in (str(secret), "/etc/passwd", "http://127.0.0.1:1/a.png", "../secret.png"):
            claimed = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
            for part in ("one-picture", "bad-picture"):
                told = visitor.call(part, "change", **{part: claimed})
                assert '"success":false' in told
                assert ("not fetched" in told) == path.startswith("http")
                assert str(served.temporary) not in told
    finally:
        secret.unlink()


def test_no_path_of_the_machine_is_shown(served):
    visitor = Visitor(served.address)
    file = visitor.upload("me.png", PHOTO.read_bytes())
    told = [
        json.dumps(file),
        json.dumps(visitor.config),
        visitor.get("").decode(),
        visitor.get("gradio_api/info").decode(),
        visitor.call("one-picture", "change", one_picture=file),
        visitor.call("one-run", "click"),
    ]
    assert visitor.made(told[-1])
    for text in told:
        assert str(served.temporary) not in text
        assert str(served.temporary).replace("/", "%2F") not in text
        assert str(PHOTO.parents[2]) not in text
        assert "site-packages" not in text


def test_names_of_uploads_lead_nowhere(served):
    visitor = Visitor(served.address)
    for name in ("../../up.png", "/etc/up.png", "..%2fup.png"):
        told = visitor.give(name, PHOTO.read_bytes())
        assert "up.png: 112\u00d796 pixels" in told
    assert not [path for path in served.temporary.rglob("*up.png") if len(path.parents) < 3]
    assert not (served.temporary / "up.png").exists()


@pytest.mark.parametrize("name", ["drawing.png", "page.png", "bomb.png", "cut.png"])
def test_disguised_and_broken_files_are_refused_in_a_sentence(served, name):
    contents = {
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        "page.png": b"<html><script>alert(1)</script></html>",
        "bomb.png": PHOTO.read_bytes()[:16] + struct.pack(">II", 100_000, 100_000) + bytes(99),
        "cut.png": PHOTO.read_bytes()[:5000],
    }
    said = {"drawing.png": "SVG", "page.png": "HTML", "bomb.png": "damaged", "cut.png": "damaged"}
    visitor = Visitor(served.address)
    file = visitor.upload(name, contents[name])
    told = visitor.call("one-picture", "change", one_picture=file)
    assert f"{name}: " in told
    assert said[name] in told
    assert "Traceback" not in told
    # Nor would a browser run it.
    address = f"{served.address}gradio_api/file={urllib.parse.quote(file['path'])}"
    with OPENER.open(address) as answer:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "image/png"


def test_other_sites_and_other_pages_of_gradio_are_refused(served):
    visitor = Visitor(served.address)
    strange = {"Origin": "https://evil.example"}
    assert status_of(lambda: visitor.get("config", **strange)) == 403
    assert status_of(lambda: visitor.get("", Host="evil.example")) == 421
    for path in ("monitoring", "gradio_api/proxy=http://127.0.0.1:1/", "docs", "openapi.json"):
        assert status_of(lambda path=path: visitor.get(path)) == 404


def test_it_listens_on_this_machine_only(served):
    listening = [
        link.laddr.ip
        for link in served.process.net_connections("inet")
        if link.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}
