"""Files of users as modules. Oracle: what the same file says when it is imported, or run again."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from escsr import scripts
from escsr.scripts import is_readable, pack, reading_copies, run_script, sources_of

MAIN = """
from pathlib import Path
import {helper}
from escsr.scripts import run_script

base = run_script(Path(__file__).with_name("base.py"))

def double(x):
    import {late}
    return {late}.TWO * x + {helper}.ZERO
"""


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch) -> Path:
    """A script, another that it runs, and two modules beside, with names of their own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    number = abs(hash(request.node.nodeid))
    names = {"helper": f"helper_{number}", "late": f"late_{number}"}
    (tmp_path / "main.py").write_text(MAIN.format(**names))
    (tmp_path / "base.py").write_text("def triple(x):\n    return 3 * x\n")
    (tmp_path / f"{names['helper']}.py").write_text("ZERO = 0")
    (tmp_path / f"{names['late']}.py").write_text("TWO = 2")
    return tmp_path


def test_functions_travel_to_processes_that_know_nothing_of_the_script(folder, tmp_path):
    module = run_script(folder / "main.py")
    run_script(folder / "main.py")  # a second time, and the first one's functions stay good
    data = tmp_path / "packed.pickle"
    data.write_bytes(pickle.dumps(pack((module.double, module.base.triple))))
    code = (
        "import pickle, sys; "
        f"f, g = pickle.load(open({str(data)!r}, 'rb')).unpack(); print(f(4), g(4))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout.split() == ["8", "12"], done.stderr


def test_sources_are_the_file_what_it_ran_and_modules_beside(folder):
    module = run_script(folder / "main.py")
    assert module.double(1) == 2
    found = [path.name for path in sources_of(folder / "main.py")]
    assert found[:2] == ["main.py", "base.py"]
    assert [name.partition("_")[0] for name in found[2:]] == ["helper"]
    assert scripts.module_title(module.__name__) == "main"


def test_copies_are_read_in_place_of_what_is_gone(folder, tmp_path_factory):
    kept = tmp_path_factory.mktemp("kept")
    copies = {path: kept / path.name for path in sorted(folder.glob("*.py"))}
    for path, copy in copies.items():
        path.rename(copy)
    assert not is_readable(folder / "main.py")
    with reading_copies(copies, kept):
        assert is_readable(folder / "main.py")
        module = run_script(folder / "main.py")
    assert module.__file__ == str(folder / "main.py")
    assert module.base.triple(2) == 6
    assert module.double(2) == 4


def test_a_file_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "wrong.py").write_text("1 / 0")
    before = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        run_script(tmp_path / "wrong.py")
    assert set(sys.modules) == before


def test_neighbours_do_not_stand_in_for_modules_of_python(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "main.py").write_text("")
    (tmp_path / "wave.py").write_text("raise RuntimeError")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    run_script(tmp_path / "main.py")
    import wave

    assert hasattr(wave, "open")


def test_a_script_run_in_its_own_folder_is_made_from_its_files_only(tmp_path, monkeypatch):
    """Some modules name a file that is none, relative to the current folder."""
    assert torch.ops.__file__ == "_ops.py"
    script, beside = tmp_path / "recipe_of_the_test.py", tmp_path / "beside_of_the_test.py"
    beside.write_text("number = 3\n")
    script.write_text("import beside_of_the_test\n\nnumber = beside_of_the_test.number\n")
    monkeypatch.chdir(tmp_path)
    assert run_script(script).number == 3
    assert set(sources_of(script)) == {script, beside}
