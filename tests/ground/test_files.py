"""Files that appear complete or not at all.

Oracle: the file system's own answers (modes, links, listings) before and after; a killed process.
"""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from escsr.files import remove_leftovers, replacing, write_bytes, write_json, write_text

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")


@pytest.mark.parametrize("durable", [False, True])
def test_new_and_replaced_files(tmp_path, durable):
    path = tmp_path / "a.txt"
    write_text(path, "one\n", durable=durable)
    assert path.read_bytes() == b"one\n"
    write_text(path, "zwei ü\n", durable=durable)
    assert path.read_bytes() == "zwei ü\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError("disk full")])
def test_whatever_is_raised_the_old_file_stays(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(temporary):
        temporary.write_bytes(b"half of the n")
        raise error

    with pytest.raises(type(error)), replacing(path) as temporary:
        fail(temporary)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_suffix_and_hiding(tmp_path):
    with replacing(tmp_path / "a.PNG", suffix=".png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".escsr-")
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")
    assert os.listdir(tmp_path) == ["a.PNG"]


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_replaced_file_passes_on_its_permissions(tmp_path, mode):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_bytes(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        (tmp_path / "plain").write_bytes(b"")
        write_bytes(tmp_path / "ours", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@POSIX
def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    real, link, chain = tmp_path / "real" / "a", tmp_path / "link", tmp_path / "chain"
    real.write_bytes(b"old")
    link.symlink_to("real/a")
    chain.symlink_to(link)
    write_bytes(chain, b"new")
    assert chain.is_symlink()
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert os.listdir(tmp_path / "real") == ["a"]
    (tmp_path / "dangling").symlink_to("real/b")
    write_bytes(tmp_path / "dangling", b"b")
    assert (tmp_path / "real" / "b").read_bytes() == b"b"


def test_errors_name_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing.a\.txt: the folder .*missing does not"):
        write_text(tmp_path / "missing" / "a.txt", "")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_text(tmp_path, "")
    with pytest.raises(OSError, match=r"No space left.*a\.txt"), replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"a\.txt") as caught, replacing(tmp_path / "a.txt") as path:
        path.unlink()
    assert ".escsr-" not in str(caught.value)
    assert not os.listdir(tmp_path)


@POSIX
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="device or pipe"):
        write_text(tmp_path / "pipe", "")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_protected_file_is_not_replaced(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o400)
    with pytest.raises(PermissionError, match="write-protected"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"


@POSIX
def test_what_a_killed_process_leaves(tmp_path):
    code = (
        "import os, signal, sys; from escsr.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    (tmp_path / ".escsr-notes").write_text("somebody's own")
    assert remove_leftovers(tmp_path) == [left]
    assert sorted(os.listdir(tmp_path)) == [".escsr-notes", "a.bin"]
    assert remove_leftovers(tmp_path / "missing") == []


@POSIX
def test_what_is_being_written_is_no_leftover(tmp_path):
    with replacing(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"new")
        assert remove_leftovers(tmp_path) == []
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_json_of_any_name(tmp_path):
    import json

    path = tmp_path / "a.json"
    for value in ({"ä": [1, None, "é"]}, {"name": os.fsdecode(b"old\xe9.png")}):
        write_json(path, value)
        assert json.loads(path.read_text(encoding="utf-8")) == value
    write_json(path, {"ä": 1}, indent=1)
    assert path.read_bytes() == '{\n "ä": 1\n}\n'.encode()


def test_nothing_else_in_the_library_replaces_files():
    """One idea has one place: the check is a search of the sources."""
    package = Path(__file__).resolve().parents[2] / "escsr"
    users = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "os.replace(" in path.read_text(encoding="utf-8")
    ]
    assert users == ["files.py"]
