"""The command line, as a user calls it: files in, files and exit codes out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import escsr
from escsr import checkpoints
from escsr.cli.main import app
from escsr.images import Picture, read_image, write_image
from escsr.models import published
from escsr.training.state import FORMAT, save_state
from tests.forking import run_python

PROGRAM = ["-c", "from escsr.cli.main import main; main()"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1})
    model.trained = True
    path = tmp_path_factory.mktemp("weights") / "two.safetensors"
    checkpoints.save(model, path, facts={"recipe": "none"})
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        pixels = rng.integers(0, 256, (12, 17, 3), dtype=np.uint8)
        write_image(folder / name, Picture(pixels=pixels))
    return folder


def run(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in args])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


def test_one_photo(photos: Path, weights: Path, tmp_path: Path) -> None:
    code, said = run("upscale", photos / "a.png", "-o", tmp_path / "out.png", "-m", weights)
    assert code == 0
    assert "17×12" in said
    assert "34×24" in said
    expected = escsr.upscale(photos / "a.png", model=weights)
    assert np.array_equal(read_image(tmp_path / "out.png").pixels, expected.pixels)


def test_folder_with_a_broken_picture(photos: Path, weights: Path, tmp_path: Path) -> None:
    (photos / "c.png").write_bytes((photos / "a.png").read_bytes()[:60])
    out = tmp_path / "out"
    code, said = run("upscale", photos, "-o", out, "-m", weights, "-s", 3)
    assert code != 0
    assert "c.png" in said
    assert "1 of 3" in said
    assert said.count("note:") == 2  # resized from ×2
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "b.jpg"]
    assert read_image(out / "b.jpg").size == (36, 51)


def test_existing_outputs_and_names(photos: Path, weights: Path, tmp_path: Path) -> None:
    options = (photos, "-o", tmp_path / "res_v1.2", "--name", "{stem}_x{scale}{suffix}")
    first, second = (tmp_path / "res_v1.2" / f"{name}" for name in ("a_x2.png", "b_x2.jpg"))
    assert run("upscale", *options, "-m", weights)[0] == 0
    assert first.exists()
    assert second.exists()
    first.write_bytes(b"mine")
    second.unlink()
    code, said = run("upscale", *options, "-m", weights, "--existing", "refuse")
    assert code != 0
    assert "1 of 2 outputs exist" in said
    code, said = run("upscale", *options, "-m", weights, "--skip-existing")
    assert code == 0
    assert "1 of 2 outputs exist and stay" in said
    assert first.read_bytes() == b"mine"
    assert second.exists()
    code, said = run("upscale", *options, "-m", weights)
    assert "2 of 2 outputs exist and are overwritten" in said
    assert read_image(first).size == (24, 34)


def test_an_empty_folder_is_an_error(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, said = run("upscale", tmp_path / "empty", "-o", tmp_path / "out", "-m", weights)
    assert code != 0
    assert "there are no pictures in" in said


def test_exact_size_and_format(photos: Path, weights: Path, tmp_path: Path) -> None:
    options = ("--size", "50x31", "--format", "webp", "-m", weights)
    assert run("upscale", photos, "-o", tmp_path / "out", *options)[0] == 0
    assert read_image(tmp_path / "out" / "b.webp").size == (31, 50)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("{p}/none.png", "-o", "{t}/x.png"), "there is no picture"),
        (("{p}/none", "-o", "{t}/out"), "there is no picture"),
        (("{p}/a.png", "-o", "{t}/x.xyz"), "cannot write .xyz"),
        (("s3://a/b.png", "-o", "{t}/x.png"), "files by URI are for --engine ray"),
        (("{p}/a.png", "-o", "{p}/a.png"), "is itself an input"),
        (("{p}/a.png", "{p}/b.jpg", "-o", "{t}/x.png"), "cannot go into one file"),
        (("{p}/a.png", "{p}/a.png", "-o", "{t}/out"), "would both be written"),
        (("{p}/a.png", "-o", "{t}/x.png", "--size", "4k"), "WIDTHxHEIGHT"),
        (("{p}/a.png", "-o", "{t}/x.png", "-m", "esc_tny"), "no model of that name"),
        (("{p}/a.png", "-o", "{t}/x.png", "-m", "{p}/a.png"), "a.png"),
        (("{p}/a.png", "-o", "{t}/x.png", "-s", "0"), "above 0 and up to 30"),
        (("{p}/a.png", "-o", "{t}/x.png", "-s", "31"), "above 0 and up to 30"),
        (("{p}/a.png", "-o", "{t}/x.png", "--width", "600"), "at most 30 times"),
        (("{p}/a.png", "-o", "{t}/x.png", "--size", "0x40"), "at least 1"),
        (
            ("{p}/a.png", "-o", "{t}/x.png", "--width", "40", "--min-side", "30"),
            "--min-side and --max-side, not --width and --min-side",
        ),
    ],
)
def test_errors_leave_nothing(
    args: tuple[str, ...], message: str, photos: Path, weights: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    filled = [a.format(p=photos, t=tmp_path) for a in args]
    code, said = run("upscale", *filled, *(() if "-m" in args else ("-m", weights)))
    assert code != 0
    assert message in said
    assert sorted(tmp_path.rglob("*")) == before


def test_program_prints_one_line_and_exits_with_one(tmp_path: Path) -> None:
    done = run_python(*PROGRAM, "info", tmp_path / "none.pth", cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no file")
    assert "Traceback" not in done.stderr


def test_info(weights: Path) -> None:
    code, said = run("info", weights)
    assert code == 0
    assert "esc_tiny + pixel_shuffle" in said
    about = json.loads(run("info", weights, "--json")[1])
    assert about["scale"] == "×2"
    assert about["facts"] == {"recipe": "none"}
    assert about["parameters"] == sum(p.numel() for p in escsr.load(weights).parameters())


def test_info_of_a_training_state_names_the_weights(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    model = escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1})
    state = {"format": FORMAT, "step": 5, "engine": {"model": model.state_dict()}}
    path = save_state(tmp_path / "checkpoints", state, keep=1, best=True).with_name("best.pt")
    code, said = run("info", path)
    assert code != 0
    assert "is the state of a training run" in said
    assert "the weights are in the .safetensors files of the run" in said
    checkpoints.save(model, tmp_path / "best.safetensors")
    assert f"the weights are in {tmp_path / 'best.safetensors'}" in run("info", path)[1]
    with pytest.raises(ValueError, match=r"is the state of a training run.*best\.safetensors"):
        escsr.load(path)


def test_list_and_doctor() -> None:
    code, said = run("list")
    assert code == 0
    for name in (*escsr.list_backbones(), *escsr.list_heads(), *escsr.list_models()):
        assert name in said
    code, said = run("doctor")
    assert code == 0
    assert torch.__version__.split("+")[0] in said


def test_bench(tmp_path: Path) -> None:
    # Each variant runs in a process of its own.
    options = ("--backbone", "esc_tiny", "--size", 24, "--repeats", 1, "--scale", 2)
    code, said = run("bench", *options, "--profile", "--output", tmp_path / "bench.json")
    assert code == 0, said
    report = json.loads((tmp_path / "bench.json").read_text())
    assert [m["variant"] for m in report["measurements"]][-1] == "escsr"
    assert all(m["difference"] < 1e-4 and m["seconds"] > 0 for m in report["measurements"])
    shares = [cost["share"] for cost in report["costs"]]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1
    assert any("convolution" in cost["operation"] for cost in report["costs"])
    assert all(cost["operation"] in said for cost in report["costs"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--heads --bands", "choose one of --heads, --bands"),
        ("--dry-run", "--dry-run would have no effect without --gpu"),
        ("--heads --training --batch 2", "--batch, --training would have no effect with --heads"),
        ("--sessions --device cpu", "--device would have no effect with --sessions"),
        ("--gpu --dry-run --scale 2", "--scale would have no effect with --gpu"),
    ],
)
def test_bench_refuses_what_it_would_ignore(options: str, message: str, tmp_path: Path) -> None:
    code, said = run("bench", *options.split(), "--output", tmp_path / "bench.json")
    assert code != 0
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_is_possible_and_why_not_more(monkeypatch, tmp_path) -> None:
    from escsr.cli import doctor

    code, said = run("doctor")
    assert code == 0
    figures = re.search(r"about ([\d.]+) megapixels, (\d+)x(\d+)", said)
    assert figures is not None
    megapixels, width, height = map(float, figures.groups())
    assert width * height / 1e6 == pytest.approx(megapixels, rel=0.05)
    if not torch.cuda.is_available():
        assert "cuda: not available (PyTorch is built for" in said or "without CUDA" in said

    monkeypatch.setenv("ESCSR_CACHE", str(tmp_path))
    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    (tmp_path / "esc_lte.pth").touch()
    there = {"torch": "9.9", "timm": "1.0"}
    monkeypatch.setattr(doctor, "_version", there.get)
    said = run("doctor")[1]
    fetched = f"published weights: 1 of {len(published())} in {tmp_path}; none are fetched: "
    assert f"{fetched}ESCSR_OFFLINE is set" in " ".join(said.split())
    assert "metrics of pyiqa: no: pyiqa, torchvision not installed" in said
    assert "pip install 'escsr[metrics]'" in said
    assert "torch 9.9, torchvision -" in said

    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(doctor, "_version", lambda name: "1.0")
    monkeypatch.setattr(doctor, "import_module", broken)
    said = run("doctor")[1]
    assert "torchvision does not work with this torch (operator torchvision::nms" in said
    assert "damage by video codecs: yes" in said


def test_devices_default_to_auto_in_all_commands() -> None:
    import typer

    commands = typer.main.get_command(app).commands
    defaults = {
        name: parameter.default
        for name, command in commands.items()
        for parameter in command.params
        if parameter.name == "device"
    }
    assert defaults.keys() >= {"upscale", "evaluate", "bench"}
    assert set(defaults.values()) == {"auto"}


def test_python_runs_the_package(tmp_path: Path) -> None:
    done = run_python("-m", "escsr", "--version", cwd=tmp_path)
    assert done.stdout.strip() == f"escsr {escsr.__version__}"
