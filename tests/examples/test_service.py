"""The example service under load. Oracles: `escsr.upscale` on the same bytes, status codes."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

import escsr
from escsr.images import Picture, encode_image

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[str, psutil.Process]]:
    """The service in a process of its own: its address, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *command, "--log-level", "warning"],
        cwd=ROOT / "examples" / "service",
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/upscale", psutil.Process(process.pid)
    process.terminate()
    process.wait(30)


def post(address: str, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(address, data=body, method="POST")
    # Without the proxies of the environment: the service is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    made = []
    for number, suffix in enumerate([".png", ".jpg", ".webp", ".tif"] * 3):
        pixels = rng.integers(0, 256, (10 + number, 17 - number, 3), dtype=np.uint8)
        made.append(encode_image(Picture(pixels=pixels), suffix))
    return made


@pytest.mark.slow
def test_five_hundred_requests_with_twenty_broken_pictures(
    service: tuple[str, psutil.Process],
) -> None:
    address, process = service
    good = pictures()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [escsr.upscale(picture, scale=2) for picture in good]
    broken = [b"", b"not a picture", good[0][:40], b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
    orders: list[int | bytes] = [number % len(good) for number in range(480)]
    for number in range(20):
        orders.insert(25 * number, broken[number % len(broken)])

    def send(order: int | bytes) -> tuple[int, bytes]:
        return post(address + "?scale=2", order if isinstance(order, bytes) else good[order])

    list(map(send, orders[:30]))  # grown to its working size
    before = process.memory_info().rss
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, orders))
    right, refused = 0, 0
    for order, (status, body) in zip(orders, answers, strict=True):
        if isinstance(order, bytes):
            assert 400 <= status < 500
            assert body
            assert b"Traceback" not in body
            refused += 1
        else:
            assert status == 200
            assert body == expected[order]
            right += 1
    assert (right, refused) == (480, 20)
    assert process.is_running()
    assert process.memory_info().rss < before + (200 << 20)


def test_wrong_requests_are_answered(service: tuple[str, psutil.Process]) -> None:
    address, _ = service
    picture = pictures()[0]
    assert post(address + "?scale=cow", picture)[0] == 422
    assert post(address + "?scale=31", picture)[0] == 422
    status, body = post(address, bytes(21 << 20))
    assert status == 413
    assert b"at most" in body
    huge = encode_image(Picture(pixels=np.zeros((2001, 2000, 3), np.uint8)), ".png")
    assert post(address, huge)[0] == 413
