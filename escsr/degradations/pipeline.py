"""Pipelines: effects in order, drawn per picture, stored, and applied to a batch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from escsr.degradations._checks import Size, check_images, check_one_each, check_rng, check_size
from escsr.degradations.composing import InOrder, check_nodes
from escsr.degradations.effect import Frame, Node, Parameters, parameters_from_dict

FORMAT = "escsr-degradation-1"
"""Format marker in the JSON of a draw."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """All steps applied to one picture: small, plain, and replayed bit for bit on a CPU.

    Attributes:
        size: (H, W) of the picture it was drawn for, in pixels.
        lq_size: (H, W) of the result.
        steps: Parameters of the effects, in order.

    Example:
        >>> draw = preset("real").draw(
        ...     np.random.default_rng(0), size=(64, 64), lq_size=(16, 16)
        ... )
        >>> Draw.from_json(draw.to_json()) == draw
        True
    """

    size: Size
    lq_size: Size
    steps: tuple[Parameters, ...]

    def __post_init__(self) -> None:
        """Check that the steps lead from one size to the other."""
        check_size("size", self.size)
        check_size("lq_size", self.lq_size)
        end = Frame(self.size, self.lq_size).after(self.steps).size
        if end != self.lq_size:
            raise ValueError(
                f"the effects end at {end}, not at lq_size {self.lq_size}: "
                "let the last change of size be ResizeToLq or MatlabBicubic"
            )

    def describe(self) -> str:
        """The steps in a few words, for a caption or a log."""
        return " · ".join(step.describe() for step in self.steps)

    def to_json(self, *, about: Mapping[str, Any] | None = None) -> str:
        """Write the draw as JSON.

        Args:
            about: Notes for people, kept under "about"; `from_json` ignores them.
        """
        notes = {"about": dict(about)} if about else {}
        steps = [step.to_dict() for step in self.steps]
        head = {"format": FORMAT, **notes, "size": self.size, "lq_size": self.lq_size}
        return json.dumps({**head, "steps": steps}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Draw":
        """Read the output of `to_json`.

        Raises:
            ValueError: It is not the JSON of a draw, or has an unknown effect or value.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ValueError(f"this is not JSON: {error}") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f'this is not a draw of a degradation ("format" must be "{FORMAT}")')
        try:
            size, lq_size, steps = tuple(values["size"]), tuple(values["lq_size"]), values["steps"]
            return cls(
                size=size,
                lq_size=lq_size,
                steps=tuple(parameters_from_dict(step) for step in steps),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this draw is damaged: {error!r}") from None


@dataclass(frozen=True)
class Pipeline:
    """A degradation as data: effects and rules for them.

    Attributes:
        nodes: Parts, in order. The last change of size must go to the LQ size.

    Example:
        >>> pipeline = Pipeline((Blur(), ResizeToLq(), GaussianNoise(), Quantize()))
        >>> rng = np.random.default_rng(0)
        >>> draws = [pipeline.draw(rng, size=(64, 96), lq_size=(24, 36)) for _ in range(2)]
        >>> pipeline.apply(torch.rand(2, 3, 64, 96), draws).shape
        torch.Size([2, 3, 24, 36])
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Check the parts."""
        check_nodes("the parts of a pipeline", self.nodes)

    def draw(self, rng: np.random.Generator, *, size: Size, lq_size: Size) -> Draw:
        """Draw all parameters for one picture.

        Args:
            rng: Generator of every number; seeds of noise fields are drawn from it too.
            size: (H, W) of the picture, in pixels.
            lq_size: (H, W) of the result: any size, so the scale is free on each axis.

        Raises:
            TypeError: ``rng`` is not a numpy generator.
            ValueError: A size is not in whole pixels, or the pipeline does not end at the LQ size.
        """
        check_rng(rng)
        check_size("size", size)
        check_size("lq_size", lq_size)
        steps = InOrder(self.nodes).steps(rng, Frame(size, lq_size))
        return Draw(size=size, lq_size=lq_size, steps=tuple(steps))

    @staticmethod
    def apply(images: Tensor, draws: Sequence[Draw]) -> Tensor:
        """Apply draws, one for each picture; see `degrade`."""
        return degrade(images, draws)


def degrade(images: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Apply draws to a batch, each picture with its own.

    On a CPU pictures are processed one by one: each stays in the cache and gives the same bits as
    it does alone, for any number of threads. On a GPU pictures at the same effect and of the same
    size are processed together. Codecs always run on the CPU.

    Args:
        images: (B, 3, H, W) float32 or float64 RGB in [0, 1]; not changed.
        draws: One for each picture, of its size, with one LQ size.

    Returns:
        (B, 3, *lq_size) in [0, 1].

    Raises:
        TypeError: Pictures that are no floats.
        ValueError: Another shape, number or size than the draws are for.

    Example:
        >>> gt = torch.rand(2, 3, 64, 64)
        >>> rng = np.random.default_rng(0)
        >>> draws = [preset("real").draw(rng, size=(64, 64), lq_size=(16, 16)) for _ in gt]
        >>> degrade(gt, draws).shape
        torch.Size([2, 3, 16, 16])
    """
    check_images(images)
    check_one_each("draws", draws, images)
    for draw in draws:
        if draw.size != tuple(images.shape[-2:]):
            raise ValueError(
                f"this draw is for a picture of (H, W) = {draw.size}, "
                f"and the picture is {tuple(images.shape[-2:])}"
            )
        if draw.lq_size != draws[0].lq_size:
            raise ValueError(
                f"one batch has one LQ size, and these draws have {draws[0].lq_size} and "
                f"{draw.lq_size}: apply them apart"
            )
    samples = list(torch.split(images, 1))
    for steps in zip_longest(*(draw.steps for draw in draws)):
        for indices in _groups(samples, steps):
            parameters = [steps[index] for index in indices]
            batch = torch.cat([samples[index] for index in indices])
            results = type(parameters[0]).apply(batch, parameters)
            for index, result in zip(indices, torch.split(results, 1), strict=True):
                samples[index] = result
    return torch.cat(samples).clamp(0, 1)


def _groups(samples: Sequence[Tensor], steps: Sequence[Parameters | None]) -> list[list[int]]:
    """Groups of pictures processed together at this step; finished pictures are left out."""
    together: dict[Any, list[int]] = {}
    for index, (sample, step) in enumerate(zip(samples, steps, strict=True)):
        if step is not None:
            alone = index if sample.device.type == "cpu" else -1
            key = alone, type(step), tuple(sample.shape), step.batch_key()
            together.setdefault(key, []).append(index)
    return list(together.values())
