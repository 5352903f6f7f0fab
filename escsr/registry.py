"""Names to factories: the one registry class behind backbones and heads."""

import difflib
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

T = TypeVar("T", bound=Callable[..., object])


class Registry(Generic[T]):
    """A table of named factories, open to plug-ins.

    Other packages add entries either by importing the registry and calling
    :meth:`register`, or by an entry point in ``entry_point_group``, which is loaded at
    the first look-up and not at import.

    Args:
        kind: What the entries are, for messages ("backbone", "head").
        entry_point_group: Name of the entry-point group of plug-ins.

    Example:
        >>> HEADS = Registry("head", entry_point_group="escsr.heads")
        >>> @HEADS.register("mine")
        ... def mine(in_channels: int) -> object: ...
    """

    def __init__(self, kind: str, *, entry_point_group: str) -> None:
        self.kind = kind
        self.entry_point_group = entry_point_group
        self._entries: dict[str, T] = {}
        self._plugins_loaded = False

    def register(self, name: str, factory: T | None = None) -> Callable[[T], T]:
        """Add a factory under ``name``; as a decorator, or with the factory given.

        Raises:
            ValueError: If the name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"the {self.kind} name {name!r} is already taken")
            self._entries[name] = entry
            return entry

        if factory is not None:
            add(factory)
        return add

    def get(self, name: str) -> T:
        """Return the factory called ``name``.

        Raises:
            ValueError: If there is none; the message lists what there is.
        """
        self._load_plugins()
        if name not in self._entries:
            raise ValueError(unknown_name(self.kind, name, list(self)))
        return self._entries[name]

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
        for point in entry_points(group=self.entry_point_group):
            try:
                self.register(point.name, point.load())
            except Exception as error:  # a broken plug-in must not take the library down
                warnings.warn(
                    f"the {self.kind} plug-in {point.name!r} ({point.value}) could not be "
                    f"loaded and is left out: {type(error).__name__}: {error}",
                    stacklevel=3,
                )


def unknown_name(kind: str, name: str, options: list[str]) -> str:
    """Write the message for a name that is not there, with the nearest match."""
    near = difflib.get_close_matches(name.lower(), options, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} There are: {', '.join(sorted(options)) or 'none'}."
