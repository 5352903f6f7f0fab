"""Videos by the program. Oracle: what PyAV says of the files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from escsr.cli.main import app

pytest.importorskip("av")

from escsr.cli.upscale_video import _SUFFIXES  # noqa: E402
from escsr.video.upscaling import VIDEO_SUFFIXES  # noqa: E402
from tests.video.clips import Clip, look  # noqa: E402

MODEL = ("-m", "esc_tiny_x2")


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["upscale", *(str(a) for a in args), *MODEL])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_files_folders_and_frames(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mkv"):
        Clip(count=3).write(tmp_path / name)
    code, said = run(tmp_path / "a.mp4", "-o", tmp_path / "x.mp4", "--crf", 30)
    assert code == 0, said
    assert "64×48, 3 frames" in said
    assert look(tmp_path / "x.mp4").size == (48, 64)
    out, report = tmp_path / "v1.2", tmp_path / "r.json"
    code, said = run(tmp_path / "a.mp4", tmp_path / "b.mkv", "-o", out, "--report", report)
    assert code == 0, said
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "b.mkv"]
    assert [one["frames"] for one in json.loads(report.read_text())["files"]] == [3, 3]
    code, said = run(tmp_path / "a.mp4", "-o", tmp_path / "frames/", "--format", "png")
    assert code == 0, said
    code, said = run(tmp_path / "frames", "-o", tmp_path / "y.mp4", "--fps", 29.97)
    assert code == 0, said
    assert look(tmp_path / "y.mp4").size == (96, 128)
    assert str(look(tmp_path / "y.mp4").rate) == "30000/1001"


def test_existing_videos(tmp_path: Path) -> None:
    Clip(count=2).write(tmp_path / "a.mp4")
    (tmp_path / "x.mp4").write_bytes(b"mine")
    words = (tmp_path / "a.mp4", "-o", tmp_path / "x.mp4")
    code, said = run(*words, "--existing", "refuse")
    assert code != 0
    assert "1 of 1 outputs exist" in said
    code, said = run(*words, "--skip-existing")
    assert code == 0
    assert "stays" in said
    assert (tmp_path / "x.mp4").read_bytes() == b"mine"
    code, said = run(*words)
    assert code == 0
    assert "is overwritten" in said
    assert look(tmp_path / "x.mp4").size == (48, 64)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{t}/none.mp4", "-o", "{t}/x.mp4"), "there is no video"),
        (("{t}/a.mp4", "{t}/p.png", "-o", "{t}/out"), "videos and other files in one call"),
        (("{t}/a.mp4", "-o", "{t}/a.mp4"), "is itself an input"),
        (("{t}/a.mp4", "-o", "{t}/x.mp4", "--fps", "0"), "--fps is a number"),
        (("{t}/a.mp4", "-o", "{t}/x.mp4", "--encoder-option", "tune"), "NAME=VALUE"),
        (("{t}/a.mp4", "-o", "{t}/x.mp4", "--codec", "x264"), "unknown codec"),
        (("{t}/a.mp4", "-o", "{t}/f/", "--format", "jpg"), "with --format png"),
        (("{t}/a.mp4", "-o", "{t}/f/", "--name", "{{stem}}.mp4"), "--name is for pictures"),
    ],
)
def test_errors_leave_nothing(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    Clip(count=2).write(tmp_path / "a.mp4")
    before = sorted(tmp_path.rglob("*"))
    code, said = run(*(word.format(t=tmp_path) for word in words))
    assert code != 0
    assert message in said
    assert sorted(tmp_path.rglob("*")) == before


def test_the_names_of_videos_are_those_of_the_library() -> None:
    assert _SUFFIXES == VIDEO_SUFFIXES
