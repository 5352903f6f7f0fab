"""The app in a process of its own, as a person starts it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


class Served(NamedTuple):
    """A running app: its address, its process, and where its temporary folder lies."""

    address: str
    process: psutil.Process
    temporary: Path


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """The app, asked to end at last; then nothing of it may be left on the disk.

    Not by SIGINT, which children of a shell's background job ignore.
    """
    pytest.importorskip("gradio", reason="the extra app has it: pip install -e .[app]")
    with (
        tempfile.TemporaryDirectory(prefix="escsr-test-") as temporary,
        tempfile.TemporaryFile("w+") as log,
    ):
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": temporary,
            "ESCSR_OFFLINE": "1",
            # Of somebody who has used Gradio otherwise: none of it may open anything here.
            "GRADIO_SHARE": "True",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_ALLOWED_PATHS": "/",
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "escsr", "app", "--no-browser", "--port", port],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=ROOT,
        )
        for _ in range(1200):
            if found := re.search(r"http://127\.0\.0\.1:\d+/", said(log)):
                break
            assert process.poll() is None, said(log)
            time.sleep(0.1)
        else:
            pytest.fail("the app did not start")
        yield Served(found[0], psutil.Process(process.pid), Path(temporary))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, said(log)
        assert not list(Path(temporary).glob("escsr-*"))


def said(log: IO[str]) -> str:
    """What the app has printed."""
    return os.pread(log.fileno(), 1 << 20, 0).decode()
