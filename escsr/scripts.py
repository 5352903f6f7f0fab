"""User scripts (recipes), run as modules that other processes can import.

A function from a file that was merely executed cannot be sent to a worker process: there is no
module to import it from. Here each file becomes a module, and `pack` sends along everything the
worker needs to create that module.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import os
import pickle
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

_PREFIX = "escsr_script_"
_number = itertools.count()


class Script(NamedTuple):
    """A file that was run.

    Attributes:
        file: Its absolute path, even if it was read from a copy.
        text: Path that its text was read from.
    """

    file: str
    text: str


_scripts: dict[str, Script] = {}
"""Scripts by module name: all that ran in this process, and those of the main process."""

_sources: dict[Path, tuple[Path, ...]] = {}
_running: ContextVar[tuple[list[Path], ...]] = ContextVar("_running", default=())
_NO_COPIES: Mapping[Path, Path] = MappingProxyType({})
_copies: ContextVar[Mapping[Path, Path]] = ContextVar("_copies", default=_NO_COPIES)


def run_script(path: Path) -> ModuleType:
    """Run a Python file as a module of its own, which can import its neighbours.

    Args:
        path: The file; it may exist only as a copy in `reading_copies`.

    Returns:
        The module, new at every call.

    Raises:
        Exception: Whatever the file raises.
    """
    path = path.resolve()
    text = _copies.get().get(path, path)
    name = f"{_PREFIX}{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{os.getpid()}_{next(_number)}"
    _scripts[name] = Script(str(path), str(text))
    made_from: list[Path] = [path]
    outer = _running.get()
    token = _running.set((*outer, made_from))
    try:
        module = _execute(name)
    except BaseException:
        del _scripts[name]
        raise
    finally:
        _running.reset(token)
    made_from += [file for file in _modules_beside(path) if file not in made_from]
    _sources[path] = tuple(dict.fromkeys(made_from))
    for list_of_outer in outer:
        list_of_outer += made_from
    return module


def is_readable(path: Path) -> bool:
    """Whether a file exists, or a copy of it in `reading_copies`."""
    return path.is_file() or path.resolve() in _copies.get()


def sources_of(path: Path) -> tuple[Path, ...]:
    """The files used by the last run of a script: itself, the scripts it ran, modules."""
    return _sources.get(path.resolve(), (path.resolve(),))


def module_title(module: str) -> str:
    """A readable module name: for scripts their file, without the number."""
    return Path(_scripts[module].file).stem if module in _scripts else module


@contextmanager
def reading_copies(copies: Mapping[Path, Path], folder: Path) -> Iterator[None]:
    """For the block, read scripts from copies, and the modules beside them from a folder.

    Args:
        copies: Paths of copies by the path of the original.
        folder: Searched first for modules, even after the block.
    """
    token = _copies.set({original.resolve(): copy for original, copy in copies.items()})
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        _copies.reset(token)


class Packed(NamedTuple):
    """A pickled value, with the scripts that may define its functions."""

    scripts: dict[str, Script]
    data: bytes

    def unpack(self) -> Any:
        """Unpickle the value, even in a process that has not run the scripts."""
        _scripts.update(self.scripts)
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.append(_Finder())
        return pickle.loads(self.data)


def pack(value: Any) -> Packed:
    """Pickle a value that may contain functions of scripts, for another process.

    Raises:
        Exception: If something cannot be pickled, such as a lambda.
    """
    return Packed(dict(_scripts), bytes(ForkingPickler.dumps(value)))


_lock = threading.RLock()


def _execute(name: str) -> ModuleType:
    """Create a module and run a script in it."""
    script = _scripts[name]
    spec = importlib.util.spec_from_loader(name, _Loader(), origin=script.file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _Loader().exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _Loader(importlib.abc.Loader):
    """Runs the text of a script or of its copy."""

    def exec_module(self, module: ModuleType) -> None:
        script = _scripts[module.__name__]
        module.__file__ = script.file
        code = compile(Path(script.text).read_bytes(), script.text, "exec", dont_inherit=True)
        with _search_path(Path(script.file).parent):
            exec(code, vars(module))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of scripts in processes that have not run them yet."""

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _scripts:
            return None
        origin = _scripts[fullname].file
        return importlib.util.spec_from_loader(fullname, _Loader(), origin=origin)


@contextmanager
def _search_path(folder: Path) -> Iterator[None]:
    """Search a folder first while a script of it runs, and last from then on.

    Functions that import later still find their neighbours, but a file ``random.py`` beside a
    recipe no longer hides Python's own.
    """
    entry = str(folder)
    with _lock:
        sys.path.insert(0, entry)
    try:
        yield
    finally:
        with _lock:
            sys.path.remove(entry)
            if entry not in sys.path:
                sys.path.append(entry)


def _modules_beside(path: Path) -> list[Path]:
    """Files of imported modules that lie in the folder of a script, or below it."""
    installed = {Path(sys.prefix).resolve(), Path(__file__).resolve().parent}
    found = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith(".py") or module.__name__ in _scripts:
            continue
        place = Path(file)
        if not place.is_absolute():  # no file: `torch.ops` says "_ops.py"
            continue
        place = place.resolve()
        outside = not place.is_relative_to(path.parent) or "site-packages" in place.parts
        if not outside and not any(place.is_relative_to(folder) for folder in installed):
            found.append(place)
    return found
