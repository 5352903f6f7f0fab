"""Python processes that start in milliseconds: copies of one that has imported PyTorch.

A program in a process of its own spends two to three seconds of processor time on imports. Here
one server imports once and forks for every program, which gets arguments, folder, environment,
standard streams and exit code of its own; only some modules of other packages are imported already.
Tests of imports, signals or the compiler need a process from scratch.

On systems without `fork` each program is started from scratch.
"""

import atexit
import contextlib
import functools
import json
import os
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "AF_UNIX")
PRELOADED = "torch, numpy, scipy, safetensors.torch, einops, cv2, rich.progress, typer"
_LENGTH = struct.Struct("!I")
_servers: "list[subprocess.Popen[bytes]]" = []


@functools.cache
def address() -> str:
    """The socket of this process's server, which is started by the first call."""
    # Short, because the name of a socket must be.
    folder = tempfile.mkdtemp(prefix="escsr-fork-")
    socket_path = os.path.join(folder, "socket")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", socket_path],
        env=environment,
        stdin=subprocess.PIPE,  # closed when this process ends, and the server ends then
        stdout=subprocess.PIPE,
    )
    _servers.append(server)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return socket_path


@atexit.register
def _close() -> None:
    for server in _servers:
        server.communicate()


def run_python(
    *arguments: object,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> "subprocess.CompletedProcess[str]":
    """Run ``python ARGUMENTS`` (``-c CODE``, ``-m MODULE`` or a file, and its arguments).

    Args:
        arguments: As on the command line.
        cwd: The folder it runs in.
        environment: Variables beside those of this process.
        timeout: Seconds that it may take.

    Returns:
        Exit code, standard output and standard error.
    """
    words = [str(word) for word in arguments]
    every = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        open(os.devnull, "rb") as nothing,
    ):
        if CAN_FORK:
            streams = [stream.fileno() for stream in (nothing, out, err)]
            code = ask(address(), words, str(cwd), every, streams, timeout)
        else:
            command = [sys.executable, *words]
            streams = {"stdin": nothing, "stdout": out, "stderr": err}
            code = subprocess.run(
                command, cwd=cwd, env=every, check=False, timeout=timeout, **streams
            ).returncode
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return subprocess.CompletedProcess(words, code, *texts)


def shell_command() -> str:
    """What a shell script writes instead of ``python``."""
    if not CAN_FORK:
        return shlex.quote(sys.executable)
    return shlex.join([sys.executable, "-I", "-S", __file__, "ask", address()])


def ask(
    address: str,
    arguments: Sequence[str],
    cwd: str,
    environment: Mapping[str, str],
    streams: Sequence[int],
    timeout: float | None = None,
) -> int:
    """Have a server run a program with our standard streams; return its exit code."""
    order = json.dumps([arguments, cwd, dict(environment)]).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(timeout)
        server.connect(address)
        socket.send_fds(server, [_LENGTH.pack(len(order))], list(streams))
        server.sendall(order)
        answer = _receive(server, _LENGTH.size)
    return _LENGTH.unpack(answer)[0] if answer else 255  # it was killed, and could not answer


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (part := connection.recv(count - len(data))):
        data += part
    return data


def serve(socket_path: str) -> None:
    """Fork for each order until the standard input is closed."""
    import selectors
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl+C pytest will tell us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
    exec(f"import {PRELOADED}", {})
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(socket_path)
        listening.listen(16)
        print("ready", flush=True)
        waiting = selectors.DefaultSelector()
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in waiting.select()]
            if sys.stdin in ready:
                shutil.rmtree(os.path.dirname(socket_path), ignore_errors=True)
                return
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                waiting.close()
                signal.signal(signal.SIGINT, signal.default_int_handler)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                obey(connection)
            connection.close()


def obey(connection: socket.socket) -> None:
    """Carry out one order, answer with the exit code, and end this process."""
    code = 1
    try:
        head, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
        arguments, cwd, environment = json.loads(_receive(connection, *_LENGTH.unpack(head)))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        # New ones: the server's remember whether its own streams could be rewound.
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        code = execute(arguments, environment.get("PYTHONPATH", ""))
    finally:
        with contextlib.suppress(OSError):
            connection.sendall(_LENGTH.pack(code & 0xFF))
        os._exit(code & 0xFF)


def execute(arguments: list[str], search_path: str) -> int:
    """What ``python ARGUMENTS`` does after its start; returns the exit code."""
    import runpy
    import threading
    import traceback

    own = str(Path(__file__).parent)
    sys.path[:] = [
        *filter(None, search_path.split(os.pathsep)),
        *(path for path in sys.path if path not in (own, str(ROOT))),
    ]
    code: object = 0
    try:
        if arguments[0] == "-c":
            sys.argv = ["-c", *arguments[2:]]
            sys.path.insert(0, "")
            main = {"__name__": "__main__", "__builtins__": __builtins__}
            exec(compile(arguments[1], "<string>", "exec"), main)
        elif arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)  # type: ignore[call-overload]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:  # a command in a shell: forking.py ask SOCKET ARGUMENTS...
        sys.exit(ask(sys.argv[2], sys.argv[3:], os.getcwd(), os.environ, (0, 1, 2)))
