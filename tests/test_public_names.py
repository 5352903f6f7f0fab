"""The public names are a checked-in list, so that none comes or goes unnoticed.

Oracle: tests/public_names.txt. After a change that is meant, write it anew and commit it:

    .venv/bin/python tests/test_public_names.py
"""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("public_names.txt")


def public_modules() -> dict[str, Path]:
    """Dotted name -> file; a module with a leading underscore in its path is private."""
    modules = {}
    for path in sorted((ROOT / "escsr").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") for part in parts):
            modules[".".join(parts)] = path
    return modules


def names_in(source: str) -> list[str]:
    """`__all__` where there is one, else the public functions and classes defined there.

    Read from the source, so that the list is the same with and without the extras.
    """
    defined = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                return sorted(ast.literal_eval(node.value))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            defined.append(node.name)
    return sorted(set(defined))


def public_names() -> list[str]:
    return [
        f"{module}.{name}"
        for module, path in public_modules().items()
        for name in names_in(path.read_text(encoding="utf-8"))
    ]


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


@pytest.mark.parametrize("module", public_modules())
def test_listed_names_exist(module):
    """A name in `__all__` that the module lacks would break `from module import *`."""
    loaded = importlib.import_module(module)
    missing = [
        name
        for name in names_in(public_modules()[module].read_text(encoding="utf-8"))
        if not hasattr(loaded, name)
    ]
    assert not missing


def test_names_in_source():
    assert names_in("def b(): ...\nclass A: ...\ndef _c(): ...\nX = 1") == ["A", "b"]
    assert names_in("def b(): ...\n__all__ = ['X']\nX = 1") == ["X"]


if __name__ == "__main__":
    LIST.write_text("\n".join(public_names()) + "\n", encoding="utf-8")
    print(f"wrote {LIST}")
