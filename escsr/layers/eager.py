"""Functions that `torch.compile` does not compile."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch._compile import _disable_dynamo

P = ParamSpec("P")
T = TypeVar("T")


def never_compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function uncompiled, even within compiled networks.

    For code whose shapes and tables depend on numbers that change from picture to picture: it
    would be recompiled for each size, and some of it cannot be compiled.
    `torch.compiler.disable` does the same, but imports the compiler (two seconds) into every
    program.

    Args:
        function: A function or method.

    Returns:
        The function, which the compiler treats as a break between two graphs.
    """
    apart = _disable_dynamo(function)  # imports the compiler at the first call

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_dynamo_compiling():
            return apart(*args, **kwargs)
        return function(*args, **kwargs)

    return call
