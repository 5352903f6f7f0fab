"""The house's order: who may import whom, and how little `import escsr` pulls in.

Oracle: the table of packages in docs/architecture.md. A package imports only those above it there.
"""

import ast
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "escsr"
ARCHITECTURE = ROOT / "docs" / "architecture.md"

# Packages that nothing but the named packages may import, wherever they stand in the table.
ONLY_FOR = {"cli": {"__main__"}, "testing": set()}

# `import escsr` is for everybody, also for those without the extras, and must stay quick.
HEAVY = (
    "torchvision",
    "timm",
    "pyiqa",
    "albumentations",
    "pyvips",
    "cv2",
    "accelerate",
    "tensorboard",
    "pooch",
    "requests",
    "huggingface_hub",
    "gradio",
)


def packages_in_order() -> list[str]:
    """The first column of the table under the heading "Packages"."""
    section = (
        ARCHITECTURE.read_text(encoding="utf-8").split("\n## Packages", 1)[1].split("\n## ")[0]
    )
    return re.findall(r"^\| `(\w+)` ", section, flags=re.MULTILINE)


def all_modules() -> dict[str, Path]:
    """Dotted name -> file, for every module of the package."""
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def imports_of(
    source: str, module: str, is_package: bool, modules: set[str]
) -> list[tuple[int, str]]:
    """(line, module of escsr) for every import in the source, inside functions too."""
    found: list[tuple[int, str]] = []
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append((node.lineno, inner if inner in modules else base))
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith("import_module")
            and isinstance(node.args[0], ast.Constant)  # a computed name is a plug-in's
        ):
            found.append((node.lineno, str(node.args[0].value)))
    return [(line, name) for line, name in found if name.split(".")[0] == "escsr"]


def package_of(module: str) -> str:
    """`escsr.layers.norm` is in package `layers`; `escsr` itself is package `escsr`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def faults(order: list[str], importer: str, imported: str) -> str | None:
    """What is wrong with this import, or None."""
    here, there = package_of(importer), package_of(imported)
    if here == there:
        return None
    if there in ONLY_FOR and here not in ONLY_FOR[there]:
        return f"nobody imports {there}"
    if order.index(there) > order.index(here):
        return f"{there} stands below {here}"
    return None


def graph() -> dict[str, list[tuple[int, str]]]:
    modules = all_modules()
    return {
        name: imports_of(
            path.read_text(encoding="utf-8"), name, path.name == "__init__.py", set(modules)
        )
        for name, path in modules.items()
    }


def test_table_and_package_agree():
    packages = {package_of(name) for name in all_modules()}
    order = packages_in_order()
    assert len(order) == len(set(order))
    assert set(order) == packages, "bring the table in docs/architecture.md up to date"


def test_packages_import_only_those_above_them():
    order = packages_in_order()
    wrong = [
        f"{name}:{line} imports {imported}: {fault}"
        for name, imports in graph().items()
        for line, imported in imports
        if (fault := faults(order, name, imported))
    ]
    assert not wrong, "against the order of docs/architecture.md:\n" + "\n".join(wrong)


def test_no_import_cycles():
    edges = {name: {there for _, there in imports} - {name} for name, imports in graph().items()}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " -> ".join(reversed(error.args[1])))


# The checks above pass on a tree without faults; these show that they would see one.
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import escsr.b", ["escsr.b"]),
        ("from escsr import b, name", ["escsr.b", "escsr"]),
        ("from escsr.b import name", ["escsr.b"]),
        ("from . import b", ["escsr.b"]),
        ("from .b import name", ["escsr.b"]),
        ("def f():\n    from escsr.b import name", ["escsr.b"]),
        ("if TYPE_CHECKING:\n    import escsr.b as c", ["escsr.b"]),
        ("importlib.import_module('escsr.b')", ["escsr.b"]),
        ("import torch\nfrom escsrx import b", []),
    ],
)
def test_imports_are_seen(source, expected):
    found = imports_of(source, "escsr.a", False, {"escsr", "escsr.a", "escsr.b"})
    assert [name for _, name in found] == expected


def test_faults_are_seen():
    order = ["a", "b", "escsr", "cli", "testing"]
    assert faults(order, "escsr.b.x", "escsr.a") is None
    assert faults(order, "escsr.b.x", "escsr.b.y") is None
    assert faults(order, "escsr", "escsr.b") is None
    assert faults(order, "escsr.a", "escsr.b.x")
    assert faults(order, "escsr.a", "escsr")
    assert faults(order, "escsr.testing", "escsr.cli.main")
    assert faults(order, "escsr.cli.main", "escsr.testing")


def test_import_escsr_is_light():
    code = (
        "import sys; import escsr; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}), sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(run.stdout.split())
    assert "torch" in loaded
    assert "escsr" in loaded
    assert not loaded & set(HEAVY)
