"""Videos in, larger videos out. Oracle: what PyAV, which made the clips, says of both files."""

import sys
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

import escsr  # noqa: E402
from escsr.images import Picture, read_image, write_image  # noqa: E402
from escsr.video import EncoderOptions, reading, upscale_video, upscaling  # noqa: E402
from escsr.video.muxing import decoding_times  # noqa: E402
from tests.forking import run_python  # noqa: E402
from tests.video.clips import Clip, audio_packets, look  # noqa: E402

ROOT = Path(__file__).parents[2]

UNEVEN = [0, 3, 4, 9, 15, 16, 30, 31, 40, 52]
LOSSLESS = {"crf": "0"}


@pytest.fixture(scope="module")
def model() -> "escsr.SuperResolver":
    return escsr.load("esc_tiny_x2")


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("sound.mp4", Clip(audio=True)),
        ("uneven.mp4", Clip(time_base=Fraction(1, 3000), stamps=[100 * t for t in UNEVEN])),
        ("uneven.mkv", Clip(time_base=Fraction(1, 1000), stamps=[7 * t for t in UNEVEN])),
        ("hdr.mkv", Clip(codec="libx265", pixel_format="yuv420p10le", tags=(1, 9, 9, 16))),
        ("full.mkv", Clip(pixel_format="yuv422p", tags=(2, 5, 5, 6))),
        ("phone.mp4", Clip(rotation=90)),
        ("ten.mp4", Clip(pixel_format="yuv420p10le")),
        ("untold.mp4", Clip(tags=(0, 2, 2, 2))),
        ("web.webm", Clip(codec="libvpx-vp9", options={"crf": "10"})),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_all_is_kept_but_the_size(
    name: str, clip: Clip, model, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(upscaling, "FRAMES", 4)  # three segments
    source, target = clip.write(tmp_path / name), tmp_path / f"large_{name}"
    steps = []
    result = upscale_video(source, target, model=model, progress=lambda *step: steps.append(step))
    old, new = look(source), look(target)
    assert result.frames == len(new.times) == clip.count
    assert steps[-1][0] == clip.count
    assert new.size == result.size == (48, 64)
    for what in ("streams", "chapters", "pixel_format", "tags", "rotation", "times"):
        assert getattr(new, what) == getattr(old, what), what
    assert new.metadata["title"] == "a clip"
    assert np.abs(new.mean - old.mean).max() < 1
    if clip.stamps is None:
        assert new.duration == pytest.approx(old.duration, abs=0.034)
    if clip.audio:
        assert audio_packets(target) == audio_packets(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, target.name])


def test_a_run_that_was_stopped_goes_on(model, tmp_path: Path, monkeypatch) -> None:
    """Oracle: the file of a run in one go, frame by frame."""
    clip = Clip(count=23, time_base=Fraction(1, 1000))
    clip.stamps = [33 * t + 20 * (t % 2) for t in range(23)]
    clip.options = {"crf": "4", "g": "6"}  # several key frames, to seek to
    exact = EncoderOptions(codec="ffv1")  # x264 does not always write the same
    source = clip.write(tmp_path / "in.mp4")
    monkeypatch.setattr(upscaling, "FRAMES", 5)
    monkeypatch.setattr(upscaling, "_BATCH", 1)  # other batches round otherwise
    upscale_video(source, tmp_path / "whole.mkv", model=model, encoder=exact)

    def stop(done: int, total: int | None) -> None:
        if done > 13:
            raise KeyboardInterrupt

    target = tmp_path / "parts.mkv"
    with pytest.raises(KeyboardInterrupt):
        upscale_video(source, target, model=model, encoder=exact, progress=stop)
    assert not target.exists()
    begun: list[int] = []
    result = upscale_video(
        source,
        target,
        model=model,
        encoder=exact,
        progress=lambda done, total: begun.append(done),
    )
    assert result.resumed == 10
    assert begun[0] == 11
    assert result.frames == 23
    whole, parts = look(tmp_path / "whole.mkv"), look(target)
    assert parts.times == whole.times == look(source).times
    assert np.array_equal(parts.pictures, whole.pictures)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "parts.mkv", "whole.mkv"]


def test_another_job_begins_anew(model, tmp_path: Path, monkeypatch) -> None:
    source = Clip(count=8).write(tmp_path / "in.mp4")
    monkeypatch.setattr(upscaling, "FRAMES", 2)

    def stop(done: int, total: int | None) -> None:
        if done == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(upscaling, "_BATCH", 1)
    with pytest.raises(KeyboardInterrupt):
        upscale_video(source, tmp_path / "out.mp4", model=model, progress=stop)
    other = EncoderOptions(crf=40)
    result = upscale_video(source, tmp_path / "out.mp4", model=model, encoder=other)
    assert (result.resumed, result.frames) == (0, 8)


def test_frames_out_and_in(model, tmp_path: Path) -> None:
    clip = Clip(time_base=Fraction(1, 1000), stamps=[7 * t for t in UNEVEN])
    source = clip.write(tmp_path / "in.mkv")
    result = upscale_video(source, tmp_path / "frames", model=model)
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [*(f"{n + 1:06}.png" for n in range(10)), "timestamps.txt"]
    assert result.frames == 10
    frames = [tmp_path / "frames" / name for name in names[:10]]
    assert read_image(frames[0]).size == (48, 64)

    again = upscale_video(source, tmp_path / "frames", model=model, skip_existing=True)
    assert (again.resumed, again.frames) == (10, 10)

    best = EncoderOptions(codec="ffv1")
    upscale_video(frames, tmp_path / "back.mkv", model=model, size=(48, 64), encoder=best)
    back = look(tmp_path / "back.mkv")
    assert back.times == look(source).times
    assert back.tags == (1, 1, 1, 1)
    upscale_video(frames, tmp_path / "even.mp4", model=model, rate=Fraction(24000, 1001))
    even = look(tmp_path / "even.mp4")
    assert even.rate == Fraction(24000, 1001)
    assert even.size == (96, 128)


def test_sixteen_bit_frames(model, tmp_path: Path) -> None:
    deep = Clip(pixel_format="yuv420p10le").write(tmp_path / "deep.mp4")
    upscale_video(deep, tmp_path / "frames", model=model)
    assert read_image(tmp_path / "frames" / "000001.png").depth == 16
    frames = sorted((tmp_path / "frames").glob("*.png"))
    upscale_video(frames, tmp_path / "deep2.mp4", model=model, scale=1)
    assert look(tmp_path / "deep2.mp4").pixel_format == "yuv420p10le"


def test_colour_by_other_ways(model, tmp_path: Path) -> None:
    """RGB and gray; a size whose tags players guess otherwise; odd sides."""
    rgb = Clip(codec="png", pixel_format="rgb24", tags=(2, 0, 1, 13), options={}, count=3)
    source = rgb.write(tmp_path / "rgb.mov")
    upscale_video(source, tmp_path / "rgb.mp4", model=model)
    new = look(tmp_path / "rgb.mp4")
    assert new.tags[:2] == (1, 1)
    assert new.pixel_format == "yuv444p"
    assert np.abs(new.mean - look(source).mean).max() < 1

    gray = Clip(codec="ffv1", pixel_format="gray", tags=(2, 2, 2, 2), options={}, count=3)
    source = gray.write(tmp_path / "gray.mkv")
    upscale_video(source, tmp_path / "gray2.mkv", model=model)
    new = look(tmp_path / "gray2.mkv")
    assert new.pixel_format == "gray"
    assert np.abs(new.mean - look(source).mean).max() < 1

    odd = Clip(codec="ffv1", size=(25, 33), options={}, count=2).write(tmp_path / "odd.mkv")
    result = upscale_video(odd, tmp_path / "odd.mp4", model=model, scale=1.5)
    assert result.size == (38, 50)
    result = upscale_video(odd, tmp_path / "odd2.mp4", model=model, width=51)
    assert result.size == (40, 52)  # of 39×51
    assert any("even sides" in notice for notice in result.notices)


def test_the_network_is_chosen_by_the_first_frame(tmp_path: Path) -> None:
    source = Clip(count=2).write(tmp_path / "in.mp4")
    result = upscale_video(source, tmp_path / "out.mp4", model="auto", scale=1.5)
    assert result.size == (36, 48)
    assert any(notice.startswith("auto chose") for notice in result.notices)


def test_sizes_are_of_the_picture_as_it_is_shown(model, tmp_path: Path) -> None:
    source = Clip(rotation=90, count=2).write(tmp_path / "in.mp4")  # stored 32×24, shown 24×32
    result = upscale_video(source, tmp_path / "out.mp4", model=model, height=80)
    assert result.size == (60, 80)


def test_subtitles_are_copied_or_told(model, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    plain = Clip(count=3).write(tmp_path / "plain.mkv")
    with av.open(str(plain)) as given, av.open(str(source), "w") as out:
        video = out.add_stream_from_template(given.streams.video[0], opaque=True)
        text = out.add_mux_stream("subrip", time_base=Fraction(1, 1000))
        packet = av.Packet(b"hello")
        packet.stream, packet.pts, packet.dts, packet.duration = text, 0, 0, 50
        packet.time_base = Fraction(1, 1000)
        out.mux(packet)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = video
                out.mux(packet)
    assert [kind for kind, _ in look(source).streams] == ["video", "subtitle"]
    result = upscale_video(source, tmp_path / "out.mkv", model=model)
    assert not result.notices
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert [bytes(p) for p in file.demux(subtitles=0) if p.size] == [b"hello"]
    result = upscale_video(source, tmp_path / "out.mp4", model=model)
    assert "subtitle stream 1 (subrip) is left out: .mp4" in result.notices[0]


def test_decoding_times_by_hand() -> None:
    shown = np.array([0, 30, 10, 20, 40])  # I P B B P
    decoding, durations = decoding_times(shown, 7)
    assert decoding.tolist() == [-10, 0, 10, 20, 30]
    assert durations.tolist() == [10, 10, 10, 10, 7]


def test_refusals(model, tmp_path: Path) -> None:
    source = Clip(count=2).write(tmp_path / "in.mp4")
    before = sorted(tmp_path.iterdir())
    (tmp_path / "text.mp4").write_text("no video")
    cases = [
        ("none.mp4", "x.mp4", {}, FileNotFoundError, "there is no video"),
        ("text.mp4", "x.mp4", {}, ValueError, "not a video that can be read"),
        ("in.mp4", "x.mpg", {}, ValueError, "cannot write .mpg videos"),
        ("in.mp4", "x.webm", {"codec": "h264"}, ValueError, "take vp9, av1, not h264"),
        ("in.mp4", "x.mp4", {"crf": 60}, ValueError, "0 to 51, not 60"),
        ("in.mp4", "x.mp4", {"preset": "warp"}, ValueError, "does not take these options"),
    ]
    for name, out, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            upscale_video(
                tmp_path / name, tmp_path / out, model=model, encoder=EncoderOptions(**options)
            )
    with pytest.raises(ValueError, match="unknown codec 'h246'. Did you mean 'h264'"):
        EncoderOptions(codec="h246")
    (tmp_path / "text.mp4").unlink()
    assert sorted(tmp_path.iterdir()) == before
    for name, side in (("a.png", 8), ("b.png", 9)):
        write_image(tmp_path / name, Picture(pixels=np.zeros((side, 8, 3), np.uint8)))
    frames = [tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(ValueError, match=r"b\.png is of another size"):
        upscale_video(frames, tmp_path / "x.mp4", model=model, scale=2)
    assert source.exists()


def test_memory_does_not_grow_with_length(model, tmp_path: Path, monkeypatch) -> None:
    """Oracle: the greatest number of frames that are alive at once, of a long clip and a short."""
    alive: weakref.WeakSet[reading.Frame] = weakref.WeakSet()
    most = {}

    class Counted(reading.Frame):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            alive.add(self)

    monkeypatch.setattr(reading, "Frame", Counted)
    for count in (30, 90):
        seen = []
        source = Clip(count=count).write(tmp_path / f"{count}.mp4")
        upscale_video(
            source,
            tmp_path / "out.mp4",
            model=model,
            progress=lambda done, total, seen=seen: seen.append(len(alive)),
        )
        most[count] = max(seen)
    assert most[90] <= most[30] + 1
    assert most[30] <= 25  # three batches of eight


KILLED = """
import os, signal, sys
from escsr.video import muxing, upscale_video, upscaling
upscaling.FRAMES = 4
upscaling._BATCH = 1
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "muxing":
    muxing._copy_facts = die
progress = (lambda done, total: done == 6 and die()) if sys.argv[3] == "encoding" else None
upscale_video(sys.argv[1], sys.argv[2], model="esc_tiny_x2", progress=progress)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_runs_leave_no_output_and_go_on(tmp_path: Path) -> None:
    source, target = Clip().write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    for moment in ("encoding", "muxing"):
        done = run_python("-c", KILLED, source, target, moment, cwd=ROOT)
        assert done.returncode in (-9, 255)
        assert not target.exists()
    done = run_python("-c", KILLED, source, target, "never", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert look(target).times == look(source).times
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_damage_is_reported(model, tmp_path: Path, suffix: str) -> None:
    """Frames that cannot be decoded are passed over, which the user is told."""
    options = {"crf": "4", "g": "5"}
    source = Clip(count=40, options=options).write(tmp_path / f"in{suffix}")
    whole = upscale_video(source, tmp_path / f"whole{suffix}", model=model, scale=2)
    assert not whole.notices
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    noise = np.random.default_rng(0).integers(0, 256, 400, np.uint8)
    data[middle : middle + 400] = noise.tobytes()
    source.write_bytes(data)
    damaged = upscale_video(source, tmp_path / f"damaged{suffix}", model=model, scale=2)
    assert any("damaged" in notice for notice in damaged.notices), damaged.notices
    assert damaged.frames < whole.frames
    if suffix == ".mkv":
        source.write_bytes(data[:middle])
        cut = upscale_video(source, tmp_path / f"cut{suffix}", model=model, scale=2)
        assert any("s of the video cannot be read" in notice for notice in cut.notices)
