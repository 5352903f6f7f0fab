"""A server with one published file, and a cache of the test's own."""

import os
from collections.abc import Callable, Iterator

import pytest

import escsr.models
from escsr.models import Published, downloading, embedded, keeping, locating
from tests.models.server import Server, serving

CONTENT = embedded()["esc_tiny_x4"].read_bytes()
OTHER = embedded()["esc_tiny_x2"].read_bytes()
FILE = "ESC_test_X4.pth"
NAME = "esc_test_x4"


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Server]:
    for variable in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("ESCSR_OFFLINE", raising=False)
    monkeypatch.setenv("ESCSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(downloading, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(downloading, "TIMEOUTS", (2.0, 0.3))
    keeping._sha256.cache_clear()
    with serving() as state:
        state.files[f"/{FILE}"] = CONTENT
        yield state


@pytest.fixture
def publish(server, monkeypatch) -> Callable[..., Published]:
    """Put the server's file in the place of the table."""

    def put(sha256: str | None = None, address: str | None = None) -> Published:
        entry = Published(
            name=NAME,
            file=FILE,
            address=address or f"{server.address}/{FILE}",
            page="https://example.org/page",
            paper="arXiv 0000.00000",
            licence="MIT",
            backbone="esc_tiny",
            head="pixel_shuffle",
            scale=4,
            about="a test",
            trained_on="DIV2K",
            sha256=sha256,
        )
        for module in (locating, escsr.models):
            monkeypatch.setattr(module, "published", lambda: {NAME: entry})
        return entry

    return put
