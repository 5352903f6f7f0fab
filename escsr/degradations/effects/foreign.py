"""Any albumentations transform as an effect that can be replayed."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from escsr.degradations.bounds import SEED, checked_by
from escsr.degradations.effect import EFFECTS, Effect, Frame, Parameters
from escsr.degradations.effects import _drawing as drawing


def _check_json(name: str, value: Any) -> None:
    try:
        json.loads(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be JSON text, got {value!r}") from error


@EFFECTS.register("albumentations")
@dataclass(frozen=True, kw_only=True)
class AlbumentationsParameters(Parameters):
    """An albumentations transform and its random seed.

    Replays are exact for one version of albumentations.

    Attributes:
        transform: Its ``albumentations.to_dict`` form, as JSON text.
        seed: Seed of the transform's own draws, 0 to 2^53; it is taken modulo 2^32.
    """

    effect: ClassVar[str] = "albumentations"
    transform: str = field(metadata=checked_by(_check_json))
    seed: int = field(metadata=SEED.one)

    @classmethod
    def apply(cls, images: Tensor, parameters: Sequence[Self]) -> Tensor:
        """Run each picture's transform on the CPU, on float32 in [0, 1].

        Raises:
            ModuleNotFoundError: Albumentations is missing; the message explains how to install it.
            ValueError: The transform changes the size.
        """
        albumentations = _albumentations()
        results = []
        for image, one in zip(images.detach().clamp(0, 1), parameters, strict=True):
            transform = albumentations.from_dict(json.loads(one.transform))
            seeded = albumentations.Compose([transform], seed=one.seed % 2**32)
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().float().numpy())
            found = seeded(image=pixels)["image"]
            if found.shape != pixels.shape:
                raise ValueError(
                    f"{one.describe()} makes {found.shape} of {pixels.shape}; "
                    "only transforms that keep the size can be effects"
                )
            results.append(torch.from_numpy(np.ascontiguousarray(found.transpose(2, 0, 1))))
        return torch.stack(results).to(images).clamp(0, 1)

    def describe(self) -> str:
        """Name of the transform."""
        name = json.loads(self.transform).get("transform", {}).get("__class_fullname__", "?")
        return str(name).rpartition(".")[2]


@dataclass(frozen=True, kw_only=True)
class Albumentations(Effect[AlbumentationsParameters]):
    """Draws the seed of a transform, which determines the transform's own draws.

    Needs albumentations (``pip install "escsr[train]"``).

    Attributes:
        transform: A pixel transform that keeps the size, or its ``albumentations.to_dict`` form as
            JSON text. Its own probability ``p`` counts too.

    Raises:
        TypeError: It is neither.
        ValueError: The text is not JSON.

    Example:
        >>> import albumentations as A
        >>> effect = Albumentations(transform=A.ISONoise(p=1))  # doctest: +SKIP
    """

    transform: Any

    def __post_init__(self) -> None:
        """Serialise the transform, so that the effect is plain data."""
        if isinstance(self.transform, str):
            _check_json("transform", self.transform)
            return
        if not hasattr(self.transform, "to_dict"):
            raise TypeError(
                f"transform must be a transform of albumentations, got {self.transform!r}"
            )
        text = json.dumps(_albumentations().to_dict(self.transform))
        object.__setattr__(self, "transform", text)

    def draw(self, rng: np.random.Generator, frame: Frame) -> AlbumentationsParameters:
        """Draw a seed."""
        return AlbumentationsParameters(transform=self.transform, seed=drawing.seed(rng))


def _albumentations() -> Any:
    # Without this it checks online for a newer version on import.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        import albumentations
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'this effect needs albumentations, which is not installed: pip install "escsr[train]"'
        ) from error
    return albumentations
