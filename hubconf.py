"""What `torch.hub` finds here: every model by its name, and `load` and `build` of escsr.

Example:
    >>> model = torch.hub.load(REPOSITORY, "esc_dflip_x4", trust_repo=True)
    >>> model = torch.hub.load(REPOSITORY, "load", "mine.safetensors", trust_repo=True)
    >>> model = torch.hub.load(REPOSITORY, "build", "esc_light", scale=2, trust_repo=True)
"""

from collections.abc import Callable as _Callable

from escsr import SuperResolver as _SuperResolver
from escsr import build, load
from escsr.models import ALIASES as _ALIASES
from escsr.models import embedded as _embedded
from escsr.models import published as _published

dependencies = ["torch", "einops", "numpy", "scipy", "safetensors"]

__all__ = ["build", "dependencies", "load"]


def _entry(name: str, about: str) -> "_Callable[..., _SuperResolver]":
    def open_model(*, attention: str = "auto") -> _SuperResolver:
        return load(name, attention=attention)

    open_model.__name__ = name
    open_model.__doc__ = f"""{about}

    Args:
        attention: See `escsr.load`.

    Returns:
        The network with its weights, in evaluation mode; ``model(lq)`` takes (B, 3, H, W), RGB in
        [0, 1].
    """
    return open_model


for _name in _embedded():
    globals()[_name] = _entry(_name, f"The network {_name} that comes with the library.")
for _name, _meant in _ALIASES.items():
    globals()[_name] = _entry(_name, f"What escsr takes for {_name!r}, at present {_meant}.")
for _name, _file in _published().items():
    globals()[_name] = _entry(_name, f"{_file.about}. Published weights, fetched on first use.")
