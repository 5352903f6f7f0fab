"""Tables that depend on numbers alone, cached on the device that uses them.

Indices and weights of a regular grid depend only on its sides. Copying them from the host on each
call would stall a GPU's queue, so those of the last few sizes are cached.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from escsr.layers.derived import being_recorded
from escsr.layers.planning import is_planning

P = ParamSpec("P")
T = TypeVar("T")

# Longer sides are computed band by band, and a table of all places would be large: for 65536
# places the four taps of bicubic interpolation take 3 MiB.
_LONGEST = 1 << 16
_KEPT = 16
_forgetters: list[Callable[[], None]] = []


def keeps_tables(length: int) -> bool:
    """Whether tables of a side with so many places are cached in the current run."""
    return length <= _LONGEST and not is_planning() and not being_recorded()


def kept(make: Callable[P, T]) -> Callable[P, T]:
    """Cache the last few results of a function of numbers, dtypes and devices.

    Callers check `keeps_tables` first. Results are never inference tensors, so that calls with
    gradients can use them too.
    """

    @functools.lru_cache(maxsize=_KEPT)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.no_grad():
            return make(*args, **kwargs)

    _forgetters.append(remembered.cache_clear)

    @functools.wraps(make)
    def found(*args: P.args, **kwargs: P.kwargs) -> T:
        return remembered(*args, **kwargs)  # type: ignore[arg-type]  # the arguments are hashable

    return found


def forget_tables() -> None:
    """Free the memory of all tables."""
    for forget in _forgetters:
        forget()
