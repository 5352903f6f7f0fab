"""Layouts of third-party weight files: recognised by content, translated to our names.

Ours are in `escsr.checkpoints.published`; other packages add theirs through the entry-point group
``escsr.layouts``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from escsr.model import ModelConfig
from escsr.registry import Registry

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A third-party network, in our terms.

    Attributes:
        config: Its parts, with all arguments that differ from the defaults.
        names: Our name of a tensor, for each name in the file that counts.
    """

    config: ModelConfig
    names: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How files of one origin name and lay out their tensors.

    Attributes:
        networks: The networks it is known for, in words.
        detect: Decides from names and shapes whether tensors have this layout. It should be fast
            and strict: a file that two layouts claim is not opened.
        translate: Makes a `Translation` from them and from the file's other settings of the
            network, which may be empty. Raises a ValueError that names what is missing.

    Example:
        >>> def mine() -> Layout:
        ...     return Layout(networks="MyNet", detect=is_mine, translate=to_escsr)
    """

    networks: str
    detect: Callable[[Tensors], bool]
    translate: Callable[[Tensors, Mapping[str, Any]], Translation]


LAYOUTS: Registry[Callable[[], Layout]] = Registry(
    "published layout", entry_point_group="escsr.layouts"
)
"""Factories of `Layout`, by name."""


def detected(tensors: Tensors) -> bool:
    """Whether any layout recognises the tensors."""
    return any(LAYOUTS.get(name)().detect(tensors) for name in LAYOUTS)


def recognise(
    tensors: Tensors, settings: Mapping[str, Any] | None = None
) -> tuple[Translation, str]:
    """Find the network that third-party tensors belong to.

    Args:
        tensors: The tensors, by their names in the file.
        settings: The file's other settings of the network, if any.

    Returns:
        The translation, and the name of the layout.

    Raises:
        ValueError: If no layout fits, or several do; the message names what is missing.
    """
    known = {name: LAYOUTS.get(name)() for name in LAYOUTS}
    fitting = {name: layout for name, layout in known.items() if layout.detect(tensors)}
    if not fitting:
        networks = ", ".join(layout.networks for layout in known.values())
        raise ValueError(
            "not a network of the ESC family: it has neither 'plk_filter' nor 'lk_channel' "
            f"(it starts with {', '.join(list(tensors)[:4])}). Known published layouts: {networks}"
        )
    if len(fitting) > 1:
        origins = ", ".join(f"{name!r} of {LAYOUTS.package(name)}" for name in fitting)
        raise ValueError(f"fits several published layouts at once: {origins}")
    ((name, layout),) = fitting.items()
    return layout.translate(tensors, settings or {}), name
