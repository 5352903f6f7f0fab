"""Published weights by name, from a server on this machine.

Oracle: the bytes that the server holds, their SHA-256, and what it was asked for (RFC 9110).
"""

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import escsr
from escsr.cli.main import main
from escsr.images import Picture, read_image, write_image
from escsr.models import NotFetchedError, fetch, locate
from escsr.models.keeping import cache_folder
from escsr.models.locating import without_fetching
from tests.models.conftest import CONTENT, FILE, NAME, OTHER

RIGHT = hashlib.sha256(CONTENT).hexdigest()


def kept():
    return cache_folder() / FILE


def files_in_cache():
    """All but the empty files that processes lock."""
    return sorted(p.name for p in cache_folder().glob("*") if not p.name.endswith(".lock"))


def test_the_right_file_comes_once(server, publish):
    publish(sha256=RIGHT)
    with pytest.raises(NotFetchedError, match=f"escsr fetch {NAME}"):
        locate(NAME)
    told = []
    path = fetch(NAME, progress=lambda done, total: told.append((done, total)))
    assert path == kept()
    assert path.read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT))
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert fetch(NAME) == locate(NAME) == path
    assert len(server.requests) == 1
    assert files_in_cache() == [FILE]

    lq = torch.rand(1, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(escsr.load(NAME)(lq), escsr.load("esc_tiny_x4")(lq))
    assert len(server.requests) == 1


def test_another_file_than_the_recorded_one_is_refused(server, publish):
    publish(sha256="0" * 64)
    with pytest.raises(ValueError, match=f"(?s)not the file that was published.*{RIGHT}"):
        fetch(NAME)
    assert files_in_cache() == []


def test_an_unknown_hash_is_kept_and_checked_from_then_on(server, publish):
    publish()
    fetch(NAME)
    pin = kept().with_name(f"{FILE}.sha256")
    assert pin.read_text() == f"{RIGHT}  {FILE}\n"  # sha256sum --check reads it

    kept().write_bytes(OTHER)
    with pytest.raises(ValueError, match="not the file that was first downloaded"):
        locate(NAME)
    kept().unlink()
    server.files[f"/{FILE}"] = OTHER
    with pytest.raises(ValueError, match=r"first downloaded.*To accept a new version delete"):
        fetch(NAME)
    assert files_in_cache() == [pin.name]
    pin.unlink()
    assert fetch(NAME).read_bytes() == OTHER


def test_a_web_page_is_no_weight_file(server, publish):
    publish()
    server.files[f"/{FILE}"] = b"<html>Please log in</html>"
    with pytest.raises(ValueError, match="is no weight file, and was deleted"):
        fetch(NAME)
    assert files_in_cache() == []


def test_a_broken_download_goes_on_within_the_call(server, publish):
    publish(sha256=RIGHT)
    server.plan = [100_000, 50_000]
    assert fetch(NAME).read_bytes() == CONTENT
    first, second, third = server.beginnings()
    assert first == 0
    assert 80_000 < second <= 100_000
    assert second + 30_000 < third <= second + 50_000
    assert files_in_cache() == [FILE]


def test_a_broken_download_goes_on_at_the_next_call(server, publish):
    publish()
    server.plan = [100_000, 0, 0]
    with pytest.raises(NotFetchedError, match="could not be fetched") as caught:
        fetch(NAME)
    assert f"put it at {kept()}" in str(caught.value)
    assert not kept().exists()
    assert fetch(NAME).read_bytes() == CONTENT
    assert server.beginnings()[-1] > 80_000


def test_halves_of_two_versions_are_never_joined(server, publish):
    publish()
    server.plan = [100_000]
    server.files[f"/{FILE}"] = OTHER + b"0" * 200_000
    server.plan += [0, 0]
    with pytest.raises(NotFetchedError):
        fetch(NAME)
    server.files[f"/{FILE}"] = CONTENT  # another ETag, so that the server begins anew
    assert fetch(NAME).read_bytes() == CONTENT


def test_a_begun_file_that_was_spoiled_is_fetched_anew(server, publish):
    publish(sha256=RIGHT)
    server.plan = [100_000, 0, 0]
    with pytest.raises(NotFetchedError):
        fetch(NAME)
    (part,) = cache_folder().glob(".escsr-*.part")
    part.write_bytes(bytes(part.stat().st_size))
    assert fetch(NAME).read_bytes() == CONTENT
    assert server.beginnings()[-2] > 80_000
    assert server.beginnings()[-1] == 0


def test_a_server_that_knows_no_ranges(server, publish):
    publish(sha256=RIGHT)
    server.plan = [100_000, "ignore-range"]
    assert fetch(NAME).read_bytes() == CONTENT


def test_a_server_in_trouble_is_asked_again(server, publish):
    publish(sha256=RIGHT)
    server.plan = ["503"]
    assert fetch(NAME).read_bytes() == CONTENT


def test_a_missing_file_is_said_at_once(server, publish):
    entry = publish()
    server.files.clear()
    with pytest.raises(NotFetchedError, match="404") as caught:
        fetch(NAME)
    message = str(caught.value)
    assert entry.address in message
    assert entry.page in message
    assert f"put it at {kept()}" in message
    assert len(server.requests) == 1


def test_slow_is_not_broken(server, publish):
    publish(sha256=RIGHT)
    server.plan = ["slow"]
    told = []
    assert fetch(NAME, progress=lambda done, _: told.append(done)).read_bytes() == CONTENT
    assert told == sorted(told)
    assert len(told) > 5


def test_silence_ends(server, publish):
    publish()
    server.plan = ["stall"] * 3
    with pytest.raises(NotFetchedError, match=r"nothing arrived for 0\.3 s"):
        fetch(NAME)


def test_nobody_listens(server, publish):
    publish(address="http://127.0.0.1:9/" + FILE)  # "discard": closed everywhere
    with pytest.raises(NotFetchedError, match="refused"):
        fetch(NAME)


def test_the_proxy_of_the_environment_is_asked(server, publish, monkeypatch):
    publish(address=f"http://weights.invalid/{FILE}")
    server.files[f"http://weights.invalid/{FILE}"] = CONTENT
    monkeypatch.setenv("HTTP_PROXY", server.address)
    monkeypatch.setenv("http_proxy", server.address)
    assert fetch(NAME).read_bytes() == CONTENT
    assert server.requests[0][0] == f"http://weights.invalid/{FILE}"


def test_several_at_once_fetch_once(server, publish):
    publish(sha256=RIGHT)
    server.plan = ["slow"]
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(NAME, progress=lambda *_: None), range(4)))
    assert set(paths) == {kept()}
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_is_taken(server, publish):
    publish(sha256=RIGHT)
    kept().parent.mkdir()
    kept().write_bytes(CONTENT)
    assert fetch(NAME) == kept()
    assert not server.requests


def test_offline_nobody_is_asked(server, publish, monkeypatch):
    publish()
    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    with pytest.raises(NotFetchedError, match=f"ESCSR_OFFLINE is set.*put it at {kept()}"):
        fetch(NAME)
    monkeypatch.setenv("ESCSR_OFFLINE", "0")
    with without_fetching(), pytest.raises(NotFetchedError, match="checks download nothing"):
        escsr.load(NAME)
    assert not server.requests


def test_own_files_and_embedded_models_come_before_published_ones(
    server, publish, tmp_path, monkeypatch
):
    publish()
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_bytes(OTHER)
    assert fetch(NAME).read_bytes() == OTHER
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()  # a folder is no weight file
    assert fetch(NAME) == kept()
    assert locate("default").stem == "esc_tiny_any"


def run(*words: str, monkeypatch, capsys) -> tuple[int, str, str]:
    """Exit code and output of the program."""
    monkeypatch.setattr(sys, "argv", ["escsr", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    captured = capsys.readouterr()
    return int(caught.value.code or 0), captured.out, captured.err


def test_the_command_line(server, publish, tmp_path, monkeypatch, capsys):
    publish(sha256=RIGHT)
    photo = str(tmp_path / "photo.png")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    write_image(photo, Picture(pixels=pixels))

    def escsr_program(*words):
        return run(*words, monkeypatch=monkeypatch, capsys=capsys)

    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    upscale = ("upscale", photo, "-o", str(tmp_path / "large.png"), "--model", NAME)
    code, _, error = escsr_program(*upscale)
    assert code == 2
    assert len(error.strip().splitlines()) == 1
    assert server.address in error
    assert f"put it at {kept()}" in error
    code, out, _ = escsr_program("info", NAME)
    assert code == 0
    assert f"'escsr fetch {NAME}' downloads it" in out
    assert "102 572" in out  # parameters
    _, out, _ = escsr_program("list", "--published")
    assert out.split() == [NAME, "×4", "a", "test"]
    assert not server.requests

    monkeypatch.delenv("ESCSR_OFFLINE")
    assert escsr_program("fetch", NAME)[:2] == (0, f"{kept()}\n")
    assert escsr_program(*upscale)[0] == 0
    assert read_image(tmp_path / "large.png").size == (24, 28)
    assert "×4   here" in escsr_program("list", "--published")[1]
    assert f"file:          {kept()}" in escsr_program("info", NAME)[1]
    assert len(server.requests) == 1
    code, _, error = escsr_program("fetch", "esc_tets_x4")
    assert code == 1
    assert f"did you mean '{NAME}'?" in error
