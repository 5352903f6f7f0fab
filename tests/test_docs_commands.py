"""Commands in the documents are run, each document's in order, in a folder with what they name.

Oracle: their exit codes. What takes hours or changes the machine runs in a shortened form, which
`SHIMS` says: recipes are checked and not trained, `escsr bench` and the table of exports take a
small network, `make` tells what it would do, and `pip` is answered from pyproject.toml.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from escsr.images import Picture, read_rgb, write_image
from escsr.resize import imresize
from tests.forking import shell_command

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "recipes" / "README.md",
    ROOT / "examples" / "plugin_head" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
RUN = {"sh"}
RUN_BY_TEST_DOCS = {"python", "pycon"}
READ_ONLY = {"toml", "text"}

SHIMS = {
    "escsr": """
        if [ "$1" = bench ]; then set -- "$@" --backbone esc_tiny --size 24 --repeats 1; fi
        if [ "$1" = train ]; then set -- "$@" --check; fi
        exec {quick_python} -c 'from escsr.cli.main import main; main()' "$@"
    """,
    "python": """
        if [ "$1" = tools/export_table.py ]; then
            set -- "$1" esc_tiny --only "pixel_shuffle | ×2"
        fi
        if [ "$1" = tools/train.py ]; then
            set -- "$@" --check
            for word; do  # there is no run to go on with
                shift
                case $word in --resume) ;; --change) skip=1 ;;
                    *) if [ "$skip" = 1 ]; then skip=0; else set -- "$@" "$word"; fi ;;
                esac
            done
        fi
        exec {quick_python} "$@"
    """,
    "accelerate": 'test "$1" = launch && shift && exec python "$@"',
    "make": 'exec {make} -n -C {root} "$@"',
    "pip": 'exec {python} {root}/tests/test_docs_commands.py {root} "$@"',
    **{
        name: f"exec {{python}} -m {name.replace('-', '_')} --version"
        for name in ("ruff", "mypy", "pytest", "mkdocs", "pre-commit")
    },
}


def fences(document: Path) -> list[tuple[str, str]]:
    """Language and text of every code block, without the indentation of a list or a note."""
    found = re.findall(
        r"^( *)```(\w*)\n(.*?)^\1```", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return [
        (language, re.sub(f"^{indent}", "", text, flags=re.M)) for indent, language, text in found
    ]


def with_commands() -> list[Path]:
    return [path for path in DOCUMENTS if any(language in RUN for language, _ in fences(path))]


def furnish(tmp_path: Path, *, prepared: bool) -> None:
    """A folder with the photos, benchmarks, weights and tools that the documents speak of.

    Args:
        tmp_path: An empty folder.
        prepared: Whether datasets/train is there, or made by a command.
    """
    photo = read_rgb(ROOT / "examples" / "photo.jpg")

    def write(name: str, side: int = 48, left: int = 40) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = photo[60 : 60 + side, left : left + side * 4 // 3].copy()
        write_image(path, Picture(pixels=pixels))

    for name in ("photo.jpg", "photo.png", "old.jpg", "holidays/a.jpg"):
        write(name, side=120)  # of 160 pixels: the sizes asked for are whole multiples, and quick
    write("frame.png", side=108)
    large = photo[::-1].repeat(2, axis=0).repeat(2, axis=1)  # what prepare_data.py asks for
    for number, name in enumerate(
        ("photos/cat", "photos/p9", "DIV2K/HR/0001", "Flickr2K/HR/000009")
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.roll(large, 90 * number, axis=1)
        write_image(tmp_path / f"{name}.png", Picture(pixels=pixels))
    if prepared:
        for name in ("cat", "p9"):
            write(f"datasets/train/{name}.png", side=140)
    for folder in ("datasets/DIV2K/train", "datasets/DIV2K/valid"):
        write(f"{folder}/0001.png", side=160)
    for root in ("Set5", "bench/Set5", "bench/Set14"):
        for number in range(2):
            name = f"img_{number}"
            write(f"{root}/HR/{name}.png", side=72, left=30 * number)
            gt = read_rgb(tmp_path / root / "HR" / f"{name}.png")
            for scale in (2, 3, 4):
                low = tmp_path / root / "LR_bicubic" / f"X{scale}" / f"{name}x{scale}.png"
                low.parent.mkdir(parents=True, exist_ok=True)
                small = imresize(gt, size=(72 // scale, 96 // scale))
                write_image(low, Picture(pixels=small))
    # Files are recognised by what is in them: any network stands in for those named.
    models = ROOT / "escsr" / "models"
    for name, model in (
        ("ESC_X4.pth", "esc_tiny_x4"),
        ("run/model.safetensors", "esc_tiny_any"),
        ("runs/mine/model.safetensors", "esc_tiny_any"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(models / f"{model}.safetensors", tmp_path / name)
    shutil.copy(ROOT / "recipes" / "classic_tiny.py", tmp_path / "runs" / "mine" / "recipe.py")
    for name in ("recipes", "tools", "examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    quick_python = shell_command()
    for name, body in SHIMS.items():
        shim = tmp_path / ".shims" / name
        shim.parent.mkdir(exist_ok=True)
        words = {
            "python": sys.executable,
            "quick_python": quick_python,
            "root": ROOT,
            "make": shutil.which("make"),
        }
        shim.write_text("#!/bin/sh\n" + body.format(**words).strip() + "\n")
        shim.chmod(0o755)


@pytest.mark.slow
@pytest.mark.parametrize("document", with_commands(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_documents_run(document, tmp_path):
    furnish(tmp_path, prepared="-o datasets/train" not in document.read_text("utf-8"))
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / '.shims'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",  # no weights are downloaded in a test
    }
    for language, text in fences(document):
        if language not in RUN:
            continue
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        # The stand-ins for published files and benchmarks are not what the paper measured.
        expected = 3 if "--paper" in text else 0
        assert run.returncode == expected, f"{text}\n{run.stdout[-2000:]}\n{run.stderr[-3000:]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_code_blocks(document):
    """What is neither run nor read by a machine is marked as text."""
    for language, text in fences(document):
        assert language in RUN | RUN_BY_TEST_DOCS | READ_ONLY, text
        if language == "toml":
            tomllib.loads(text)


def check_pip(root: Path, arguments: list[str]) -> None:
    """Whether pip would find what it is asked for: our folders, their extras, our requirements."""
    assert arguments[0] == "install", arguments
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    known = " ".join([*project["dependencies"], *sum(extras.values(), [])])
    for wanted in (word for word in arguments[1:] if not word.startswith("-")):
        name, _, chosen = wanted.rstrip("]").partition("[")
        if name.startswith("."):
            assert (root / name / "pyproject.toml").is_file(), f"{name} is no project"
        else:
            assert re.search(rf"\b{re.escape(name)}\b", known), f"{name} is not required by escsr"
        for extra in filter(None, chosen.split(",")):
            assert extra in extras, f"there is no extra {extra}"


if __name__ == "__main__":  # the shim of pip
    check_pip(Path(sys.argv[1]), sys.argv[2:])
