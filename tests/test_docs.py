"""What the documents say is true: their Python runs, their paths exist, no package lacks its page.

Oracle: the code itself.
"""

import re
import traceback
from pathlib import Path

import pytest

import escsr
from tests.forking import run_python

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# What `pretrained` does is described with the methods of SuperResolver; docs/app.md has the app.
NOT_IN_THE_API = {"escsr", "app", "cli", "version", "pretrained", "scripts"}


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def python_documents() -> list[Path]:
    return [document for document in DOCUMENTS if blocks(document, "python")]


@pytest.mark.parametrize("document", python_documents(), ids=lambda path: path.name)
def test_python_of_documents_runs(document, tmp_path):
    """The blocks of one document, in a process of their own: they register heads."""
    code = "\n".join(blocks(document, "python"))
    # A published file cannot be part of the project; any file of ours stands in for it.
    code = code.replace('"ESC_X4.pth"', '"esc_tiny_x4"')
    for folder in ("recipes", "examples", "hubconf.py"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    run = run_python("-c", code, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_shown_error_is_the_real_one():
    (session,) = blocks(ROOT / "docs" / "quickstart.md", "pycon")
    command, _, shown = session.partition("\n")
    with pytest.raises(ValueError, match="esc_lite") as caught:
        eval(command.removeprefix(">>> "), {"escsr": escsr})
    assert shown.strip() == "".join(traceback.format_exception_only(caught.value)).strip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


def test_every_package_has_its_page():
    packages = {
        path.stem if path.suffix else path.name
        for path in (ROOT / "escsr").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    packages = {package for package in packages if not package.startswith("_")} - NOT_IN_THE_API
    described = {
        package
        for page in (ROOT / "docs" / "api").glob("*.md")
        for package in re.findall(r"^::: escsr\.(\w+)", page.read_text(), flags=re.MULTILINE)
    }
    assert described == packages


def test_version_is_the_same_everywhere():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{escsr.__version__}"\n' in text


@pytest.mark.parametrize(
    ("link", "heading"),
    [
        ("any_scale.md#upscale-to-4k", "## Upscale to 4K"),
        ("training.md", "# Train on a folder of photos"),
        ("plugins.md#a-head-step-by-step", "## A head, step by step"),
    ],
)
def test_front_page_leads_to_what_people_come_for(link, heading):
    front = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert f"]({link})" in front
    page = (ROOT / "docs" / link.partition("#")[0]).read_text(encoding="utf-8")
    assert f"{heading}\n" in page
