"""The public names are a checked-in list, so that none comes or goes unnoticed.

Public is what the top-level modules and packages of escsr export by `__all__`; what has none (the
command line, the ground floor) is the library's own.

Oracle: tests/public_names.txt. After a change that is meant, write it anew and commit it:

    .venv/bin/python tests/test_public_names.py
"""

import ast
import functools
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("public_names.txt")
MOST = 300  # more than this nobody can keep stable


def top_level_modules() -> dict[str, Path]:
    """Dotted name -> file: the package itself, and the modules and packages directly below it."""
    package = ROOT / "escsr"
    files = [package / "__init__.py", *package.glob("[!_]*.py"), *package.glob("[!_]*/__init__.py")]
    modules = {}
    for path in sorted(files):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def exported(source: str) -> list[str]:
    """`__all__`, sorted; read from the source, so that it is the same with and without extras."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                return sorted(ast.literal_eval(node.value))
    return []


EXPORTS = {
    module: names
    for module, path in top_level_modules().items()
    if (names := exported(path.read_text(encoding="utf-8")))
}


def public_names() -> list[str]:
    return [f"{module}.{name}" for module, names in EXPORTS.items() for name in names]


def documented_constants(source: str) -> set[str]:
    """Names that are assigned in a module and have a docstring below."""
    body = ast.parse(source).body
    found = set()
    for node, below in zip(body, body[1:], strict=False):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@functools.cache
def all_documented_constants() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "escsr").rglob("*.py")]
    return {name for source in sources for name in documented_constants(source)}


def test_public_names_are_the_listed_ones():
    listed = LIST.read_text(encoding="utf-8").split()
    now = public_names()
    gone = [f"- {name}" for name in listed if name not in now]
    new = [f"+ {name}" for name in now if name not in listed]
    assert now == listed, (
        "the public names have changed:\n"
        + "\n".join(gone + new)
        + "\nIf that is meant: python tests/test_public_names.py, and a line in CHANGELOG.md"
    )


def test_they_are_few():
    assert len(public_names()) <= MOST


@pytest.mark.parametrize("module", EXPORTS)
def test_listed_names_exist(module):
    """A name in `__all__` that the module lacks would break `from module import *`."""
    loaded = importlib.import_module(module)
    assert not [name for name in EXPORTS[module] if not hasattr(loaded, name)]


@pytest.mark.parametrize("module", EXPORTS)
def test_listed_names_are_documented(module):
    """Each has a docstring and its module a page in docs/api, where mkdocstrings shows it."""
    if module not in ("escsr", "escsr.version"):  # index.md has the one, and of the other nothing
        page = ROOT / "docs" / "api" / f"{module.split('.')[1]}.md"
        assert f"\n::: {module}\n" in page.read_text(encoding="utf-8")
        assert f"api/{page.name}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    loaded = importlib.import_module(module)
    silent = []
    for name in EXPORTS[module]:
        thing = getattr(loaded, name)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            if not thing.__dict__.get("__doc__", getattr(thing, "__doc__", None)):
                silent.append(name)
        elif name not in all_documented_constants():
            silent.append(name)
    assert not silent


def test_exports_in_source():
    assert exported("def b(): ...\n__all__ = ['b', 'X']\nX = 1") == ["X", "b"]
    assert exported("__all__: list[str] = ['b']") == ["b"]
    assert exported("def b(): ...\nclass A: ...") == []
    assert documented_constants("A = 1\n'''a'''\nB: int = 2\n'''b'''\nC = 3\nD = 4") == {"A", "B"}


if __name__ == "__main__":
    LIST.write_text("\n".join(public_names()) + "\n", encoding="utf-8")
    print(f"wrote {len(public_names())} names to {LIST}")
