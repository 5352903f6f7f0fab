"""The registry of factories by name, behind backbones and heads and open to plug-ins."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from escsr.names import unknown_name
from escsr.version import __version__

__all__ = ["BrokenPlugin", "Registry", "unwrap"]

T = TypeVar("T", bound=Callable[..., object])


@dataclass(frozen=True)
class BrokenPlugin:
    """A plug-in that was left out.

    Attributes:
        name: Its name.
        package: Name and version of its package.
        reason: Why it was left out.
    """

    name: str
    package: str
    reason: str


class Registry(Generic[T]):
    """A table of named factories, open to plug-ins.

    Other packages add entries either by importing the registry and calling
    :meth:`register`, or through an entry point in ``entry_point_group``, which is loaded at
    the first look-up and not at import. A plug-in that cannot be loaded is left out with a
    warning and listed in ``broken``. A plug-in never replaces an existing entry.

    Args:
        kind: What the entries are, for messages ("backbone", "head").
        entry_point_group: Name of the entry-point group of plug-ins.
        contract: Base class that plug-in classes must derive from; other callables are not
            checked.

    Example:
        >>> HEADS = Registry("head", entry_point_group="escsr.heads")
        >>> @HEADS.register("mine")
        ... def mine(in_channels: int) -> object: ...
    """

    def __init__(self, kind: str, *, entry_point_group: str, contract: type | None = None) -> None:
        self.kind = kind
        self.entry_point_group = entry_point_group
        self.contract = contract
        self._entries: dict[str, T] = {}
        self._packages: dict[str, str] = {}
        self._purposes: dict[str, str] = {}
        self._broken: list[BrokenPlugin] = []
        self._plugins_loaded = False

    def register(
        self, name: str, factory: T | None = None, *, about: str | None = None
    ) -> Callable[[T], T]:
        """Add a factory under ``name``; as a decorator, or with ``factory`` given.

        Args:
            name: Name to look it up by.
            factory: A class or function, or a `functools.partial` of one.
            about: One line on its purpose, shown by ``escsr list``. Default: the first line
                of its docstring.

        Raises:
            ValueError: If the name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                taken_by = _package_of(self._entries[name])
                raise ValueError(f"the {self.kind} name {name!r} is already taken by {taken_by}")
            self._entries[name] = entry
            if about is not None:
                self._purposes[name] = about
            return entry

        if factory is not None:
            add(factory)
        return add

    def get(self, name: str) -> T:
        """Return the factory called ``name``.

        Raises:
            ValueError: If there is none; the message lists the known names.
        """
        self._load_plugins()
        if name not in self._entries:
            broken = next((plugin for plugin in self._broken if plugin.name == name), None)
            if broken is not None:
                raise ValueError(
                    f"the {self.kind} {name!r} of {broken.package} was left out: {broken.reason}"
                )
            raise ValueError(unknown_name(self.kind, name, list(self)))
        return self._entries[name]

    def package(self, name: str) -> str:
        """The package that an entry comes from, with its version if known.

        Raises:
            ValueError: If there is no such entry.
        """
        entry = self.get(name)
        return self._packages.get(name) or _package_of(entry)

    def summary(self, name: str) -> str:
        """Describe an entry in one line: its purpose, or its factory and varied arguments.

        Raises:
            ValueError: If there is no such entry.
        """
        entry = self.get(name)
        if name in self._purposes:
            return self._purposes[name]
        line = (inspect.getdoc(unwrap(entry)) or "").partition("\n")[0]
        varied = entry.keywords if isinstance(entry, partial) else {}
        values = ", ".join(f"{key}={value}" for key, value in varied.items())
        return f"{line} With {values}." if values else line

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """The plug-ins that were left out, and why."""
        self._load_plugins()
        return tuple(self._broken)

    def __iter__(self) -> Iterator[str]:
        self._load_plugins()
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        self._load_plugins()
        return name in self._entries

    def _load_plugins(self) -> None:
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        # The order must not depend on the search path, so that of two plug-ins with the same
        # name the same one is taken everywhere.
        points = entry_points(group=self.entry_point_group)
        for point in sorted(points, key=lambda point: (_distribution(point), point.name)):
            before = dict(self._entries)
            try:
                self._add_plugin(point)
            except (Exception, SystemExit) as error:  # must not take the library down
                self._entries = before
                reason = str(error) if isinstance(error, _Refused) else _describe(error)
                self._broken.append(BrokenPlugin(point.name, _distribution(point), reason))
                warnings.warn(
                    f"the {self.kind} plug-in {point.name!r} of {_distribution(point)} "
                    f"({point.value}) is left out: {reason}",
                    stacklevel=3,
                )

    def _add_plugin(self, point: EntryPoint) -> None:
        known = self._entries.get(point.name)
        factory = point.load()
        if known is not None and known is not factory:
            raise _Refused(
                f"the name {point.name!r} is already taken by "
                f"{self._packages.get(point.name) or _package_of(known)}"
            )
        if not callable(factory):
            raise _Refused(f"it is a {type(factory).__name__}, not a class or function")
        made = unwrap(factory)
        if self.contract and isinstance(made, type) and not issubclass(made, self.contract):
            raise _Refused(
                f"the class {made.__name__} does not derive from "
                f"{self.contract.__module__}.{self.contract.__qualname__}"
            )
        self._entries[point.name] = factory
        self._packages[point.name] = _distribution(point)


class _Refused(Exception):  # noqa: N818 - a reason on its way, seen by nobody
    """A plug-in was loaded but breaks the contract."""


def unwrap(factory: Callable[..., Any]) -> Any:
    """The function or class below any `functools.partial`."""
    while isinstance(factory, partial):
        factory = factory.func
    return factory


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _distribution(point: EntryPoint) -> str:
    dist = getattr(point, "dist", None)  # None for an entry point created by hand
    return f"{dist.name} {dist.version}" if dist else point.value.partition(":")[0]


def _package_of(factory: Callable[..., Any]) -> str:
    """The package of a factory that was registered without an entry point."""
    module = str(getattr(unwrap(factory), "__module__", None) or "unknown").partition(".")[0]
    return f"escsr {__version__}" if module == "escsr" else module
