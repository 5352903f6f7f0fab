"""`tools/rented_gpu.py`, rehearsed. Oracle: the commands' own checks, and steps made to fail."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from escsr.images import Picture, write_image
from escsr.scripts import run_script

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def tool() -> ModuleType:
    return run_script(ROOT / "tools" / "rented_gpu.py")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    for number in (1, 9):  # the latter is held out
        write_image(tmp_path / f"photos/photo_{number}.png", Picture(pixels=pixels))
    return tmp_path / "photos"


def arguments(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["rented_gpu.py", *map(str, words)])


def test_steps_come_in_order_and_fit(
    tool: ModuleType, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments(monkeypatch, tmp_path / "out", "--photos", photos, "--against", "theirs.py:make")
    options = tool.parsed()
    first = list(tool.first_steps(options, 14))
    assert [step.name for step in first] == ["tests", "bench", "compared_bf16", "compared_fp32"]
    assert first[1].command[-2:] == ["--against", f"{Path('theirs.py').resolve()}:make"]
    left = 14 - sum(step.minutes for step in first)
    last = list(tool.last_steps(options, tool.time.monotonic() + 60 * left))
    # Each has its share of what is left: here no time passes between them.
    shares = [step.minutes / left for step in last]
    assert shares == pytest.approx([3 / 6, 2 / 3, 1], abs=0.01)
    assert [step.name for step in last] == [text.split("=")[0] for text in tool.TRAININGS]


@pytest.mark.slow
def test_the_trainings_can_be_run(
    tool: ModuleType, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments(monkeypatch, tmp_path / "out", "--photos", photos)
    options = tool.parsed()
    compared = list(tool.first_steps(options, 14))[-1]
    for step in (compared, *tool.last_steps(options, tool.time.monotonic() + 600)):
        command = [*step.command, "--check"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_step_that_fails_or_hangs_costs_only_itself(tool: ModuleType, tmp_path: Path) -> None:
    fails = tool.Step(name="fails", command=[sys.executable, "-c", "1 / 0"], minutes=1)
    found = tool.run(fails, tmp_path)
    assert (found["code"], found["late"]) == (1, False)
    assert "ZeroDivisionError" in (tmp_path / "fails.log").read_text()
    saves = "import time\ntry:\n    print('began', flush=True)\n    time.sleep(600)\n"
    saves = f"import signal\nsignal.signal(signal.SIGTERM, signal.default_int_handler)\n{saves}"
    saves += "except KeyboardInterrupt:\n    print('saved', flush=True)"
    hangs = tool.Step(name="hangs", command=[sys.executable, "-c", saves], minutes=0.1)
    found = tool.run(hangs, tmp_path)
    assert found["late"]
    assert found["seconds"] < 60
    assert (tmp_path / "hangs.log").read_text() == "began\nsaved\n"


def test_the_rehearsal_writes_each_step_at_once_and_says_that_one_failed(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def run(step: object, out: Path) -> dict[str, object]:
        before = out / "steps.json"
        seen.append(len(json.loads(before.read_text())) if before.exists() else 0)
        return {"name": step.name, "code": step.name == "bench", "late": False, "seconds": 0}

    monkeypatch.setattr(tool, "run", run)
    arguments(monkeypatch, tmp_path / "out", "--dry-run")
    with pytest.raises(SystemExit) as ended:
        tool.main()
    assert ended.value.code == 1
    assert seen == [0, 1, 2, 3, 4]
    names = [step["name"] for step in json.loads((tmp_path / "out/steps.json").read_text())]
    assert names == ["tests", "bench", "compared_bf16", "compared_fp32", "smoke"]


@pytest.mark.slow
def test_trainings_of_the_rehearsal_run_and_go_on(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests and the bench have rehearsals of their own.
    monkeypatch.setattr(tool, "first_steps", lambda options, minutes: iter(()))
    for _ in range(2):  # the second goes on
        arguments(monkeypatch, tmp_path / "out", "--dry-run")
        with pytest.raises(SystemExit) as ended:
            tool.main()
        assert not ended.value.code, (tmp_path / "out/smoke.log").read_text()
    assert (tmp_path / "out/smoke/model.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--photos names folders"),
        (["--dry-run", "--minutes", "0"], "more than 0"),
        (["--photos", ".", "--training", "classic"], "recipe=share"),
    ],
)
def test_wrong_words_are_refused(
    tool: ModuleType,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments(monkeypatch, "out", *words)
    with pytest.raises(SystemExit):
        tool.parsed()
    assert message in capsys.readouterr().err
