"""What the documents say is true: their Python runs, their paths exist, no package lacks its page.

Oracle: the code itself.
"""

import importlib.util
import re
import traceback
from pathlib import Path

import pytest

import escsr
from escsr.images import read_image
from tests.forking import run_python

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
# What `pretrained` does is described with the methods of SuperResolver; docs/app.md has the app.
NOT_IN_THE_API = {"escsr", "app", "cli", "version", "pretrained", "scripts", "growing"}


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of a language, those in tabs and lists without their indentation."""
    text = document.read_text(encoding="utf-8")
    pattern = rf"^( *)```{language}\n(.*?)^\1```"
    found = re.findall(pattern, text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(f"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


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


def test_every_name_of_the_package_is_on_the_front_page_of_the_api():
    text = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    shown = [name.split(".")[-1] for name in re.findall(r"^::: escsr\.(\S+)", text, flags=re.M)]
    assert shown[:4] == ["upscale", "Upscaler", "load", "build"]
    assert sorted(shown) == sorted(set(escsr.__all__) - {"__version__"})


def test_pictures_of_the_gallery_are_enlarged_as_the_page_says():
    """Its commands, and the script that makes its pictures."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "tools/make_docs_pictures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    commands = re.findall(r"`escsr upscale (\S+) -o \S+ -s 2x(?: -m (\w+))?`", page)
    assert {name: model or "default" for name, model in commands} == script.PICTURES
    assert len(commands) == 8
    folder = ROOT / "docs" / "assets" / "gallery"
    for name in script.PICTURES:
        assert f"(assets/gallery/{name})" in page
        width, height = (2 * side for side in read_image(folder / name).size[::-1])
        for kind in ("bicubic", "escsr"):
            made = folder / f"{Path(name).stem}_{kind}.webp"
            assert read_image(made).size == (height, width)
            assert f"(assets/gallery/{made.name})" in page
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2_000_000


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
        if page.name != "index.md"  # which shows what the package itself exports
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
