"""Functions that `torch.compile` leaves as they are."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch._compile import _disable_dynamo

P = ParamSpec("P")
T = TypeVar("T")


def never_compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function as it is written within compiled networks, too.

    For code whose shapes and tables come from numbers that change from picture to picture: its
    graphs would be made anew for each size, and some cannot be made. `torch.compiler.disable`
    does the same, but imports the compiler (two seconds) into every program.

    Args:
        function: A function or method.

    Returns:
        The same, to the compiler a break between two graphs.
    """
    apart = _disable_dynamo(function)  # imports the compiler when it is called first

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_dynamo_compiling():
            return apart(*args, **kwargs)
        return function(*args, **kwargs)

    return call
