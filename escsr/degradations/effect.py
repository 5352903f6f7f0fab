"""The base of effects: serialisable parameters, and a rule to draw them."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from torch import Tensor

from escsr.degradations._checks import Size
from escsr.degradations.bounds import check_fields
from escsr.names import unknown_name
from escsr.registry import Registry


class Parameters(ABC):
    """The parameters of one effect on one picture, as plain numbers.

    Subclasses are frozen dataclasses of numbers, strings, booleans and tuples of them, registered
    in `EFFECTS`. The metadata of a field gives its allowed values (`Bounds.one`, `Choice.one`),
    which are checked on construction. The same parameters give the same picture, bit for bit on a
    CPU.

    Raises:
        ValueError: A value is not what the metadata of its field allows.
    """

    effect: ClassVar[str]
    """The name in `EFFECTS`."""

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)

    @classmethod
    @abstractmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Apply the effect to a batch, each picture with its own parameters.

        Args:
            images: (B, 3, H, W) float in [0, 1].
            parameters: One for each picture, with equal `batch_key`.

        Returns:
            (B, 3, H', W').
        """

    def size_after(self, size: Size) -> Size:
        """Size (H, W) of the result for a picture of ``size``."""
        return size

    def batch_key(self) -> Hashable:
        """The key that must be equal for pictures to be processed together."""
        return None

    def describe(self) -> str:
        """A few words for a caption."""
        return self.effect

    def to_dict(self) -> dict[str, Any]:
        """The parameters as JSON values, including the effect's name."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"effect": self.effect, **fields}


EFFECTS: Registry[type[Parameters]] = Registry(
    "effect", entry_point_group="escsr.effects", contract=Parameters
)
"""Effects by name: the classes of their parameters."""


def parameters_from_dict(values: Mapping[str, Any]) -> Parameters:
    """Rebuild parameters from the output of `Parameters.to_dict`.

    Raises:
        ValueError: An unknown effect, an unknown or missing parameter, or a value out of range.

    Example:
        >>> parameters_from_dict({"effect": "quantize", "levels": 8})
        QuantizeParameters(levels=8)
    """
    given = {key: _tuples(value) for key, value in values.items()}
    name = given.pop("effect", None)
    if not isinstance(name, str):
        raise ValueError(f"an effect needs its name under 'effect', got {dict(values)!r}")
    kind: type[Any] = EFFECTS.get(name)
    fields = dataclasses.fields(kind)
    options = [field.name for field in fields]
    for key in given:
        if key not in options:
            raise ValueError(unknown_name(f"parameter of {name!r}", key, options))
    missing = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.name not in given
    ]
    if missing:
        raise ValueError(f"the effect {name!r} lacks {', '.join(missing)}")
    made: Parameters = kind(**given)
    return made


def _tuples(value: Any) -> Any:
    """JSON has no tuples."""
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Frame:
    """The state of a drawing.

    Attributes:
        size: (H, W) of the picture after the effects drawn so far, in pixels.
        lq_size: (H, W) of the final result.
    """

    size: Size
    lq_size: Size

    def after(self, steps: Sequence[Parameters]) -> "Frame":
        """The frame after these effects."""
        size = self.size
        for step in steps:
            size = step.size_after(size)
        return Frame(size, self.lq_size)


class Node(ABC):
    """A part of a pipeline: an effect, or a rule for several.

    Subclasses are frozen dataclasses. The metadata of a field gives its allowed values.

    Raises:
        ValueError: A value is not what the metadata of its field allows.
    """

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)

    @abstractmethod
    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Draw the steps for one picture, in order; there may be none."""


P = TypeVar("P", bound=Parameters)


class Effect(Node, Generic[P]):
    """Draws the parameters of one effect.

    Subclasses are frozen dataclasses of ranges, probabilities and choices, each with its bounds in
    the metadata of the field (`Bounds.range`, `Bounds.one`, `Choice.several`).

    Example:
        >>> effect = GaussianNoise(sigma=(1, 30))
        >>> parameters = effect.draw(np.random.default_rng(0), Frame((64, 64), (16, 16)))
        >>> effect.apply(torch.rand(1, 3, 64, 64), [parameters]).shape
        torch.Size([1, 3, 64, 64])
    """

    @abstractmethod
    def draw(self, rng: np.random.Generator, frame: Frame) -> P:
        """Draw the parameters for one picture.

        Args:
            rng: Generator of every number.
            frame: Sizes that some effects depend on.
        """

    @staticmethod
    def apply(images: Tensor, parameters: Sequence[P]) -> Tensor:
        """Apply drawn parameters, one for each picture; see `Parameters.apply`."""
        return type(parameters[0]).apply(images, parameters)

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """One step: this effect."""
        return [self.draw(rng, frame)]
