"""The workflows of GitHub are valid, hold no more rights than they need, and call what exists.

Oracle: actionlint, and the Makefile.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_actionlint_finds_nothing():
    beside = str(Path(sys.executable).parent)
    program = shutil.which("actionlint", path=beside) or shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed: pip install -e '.[workflows]'")
    run = subprocess.run([program, *map(str, WORKFLOWS)], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


def test_workflows_exist():
    assert [path.stem for path in WORKFLOWS] == ["checks", "docs", "release"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_versions_and_targets(path):
    yaml = pytest.importorskip("yaml", reason="the extra docs has it: pip install -e '.[docs]'")
    flow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert flow["permissions"] == {"contents": "read"}
    assert "concurrency" in flow
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for job in flow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        steps = job["steps"]
        if job.get("permissions", {}).get("id-token") == "write":
            assert not any("run" in step for step in steps), "our code beside a publishing token"
        for step in steps:
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@(release/)?v\d+", step["uses"])
            elif step["run"].startswith("make "):
                assert step["run"].split()[1] in targets


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_forms_ask_for_doctor(name):
    yaml = pytest.importorskip("yaml", reason="the extra docs has it: pip install -e '.[docs]'")
    path = ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml"
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    fields = {field["id"]: field for field in form["body"]}
    assert "escsr doctor" in fields["doctor"]["attributes"]["label"]
    assert fields["doctor"]["validations"]["required"] is (name == "bug")
