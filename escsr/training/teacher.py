"""Learning from another network: a loss against a teacher's result for the same small picture."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from escsr.build import load
from escsr.data.on_device import resized
from escsr.model import SuperResolver
from escsr.models import NotFetchedError, locate
from escsr.recipe import Part
from escsr.training.losses import L1


class Teacher(nn.Module):
    """Distance of the network's picture from a teacher's.

    A teacher's picture has no noise and no detail that cannot be inferred from the small picture,
    so a small network learns more from it in a short time than from photographs alone. Use it as a
    term next to the loss against the ground truth, see `WeightedSum`.

    The teacher's pictures come with the data, from `escsr.data.TeacherDataset`, or are made during
    training by a network, which costs time in every step. If the network makes one scale only, its
    pictures are reduced to smaller scales by MATLAB's bicubic filter.

    Args:
        network: None: the pictures come with the data. Otherwise the weights of a network, as for
            `escsr.load`, or ``network()`` gives one: a module called as ``network(lq)`` that
            enlarges by a whole number.
        distance: ``distance()`` gives the loss that compares the two pictures.

    Raises:
        FileNotFoundError: If there are no such weights.
        TypeError: If ``distance()`` or ``network()`` does not give a module.

    Shape:
        ``sr`` (B, 3, H, W) or (B, Q, 3), and the batch, to a scalar ≥ 0.

    Example:
        >>> loss = partial(
        ...     WeightedSum,
        ...     truth=partial(L1),
        ...     teacher=partial(Teacher),
        ...     factors={"truth": 0.5, "teacher": 0.5},
        ... )

    Source:
        Knowledge distillation, arXiv 1503.02531.
    """

    uses_batch = True
    """The engine calls it as ``loss(sr, gt, batch=batch)``."""

    def __init__(
        self,
        *,
        network: str | Part | None = None,
        distance: Part = partial(L1),  # noqa: B008 - called only below
    ) -> None:
        super().__init__()
        if isinstance(network, str):
            with suppress(NotFetchedError):  # `prepare` will fetch it
                locate(network)
        self.describes = network
        self.distance: nn.Module = distance()
        if not isinstance(self.distance, nn.Module):
            raise TypeError(f"distance must give a torch.nn.Module, got {self.distance!r}")
        self.network: nn.Module | None = None

    @property
    def needs_teacher_pictures(self) -> bool:
        """Whether the data must supply the teacher's pictures."""
        return self.describes is None

    @property
    def needs_pictures(self) -> bool:
        """Whether only whole pictures can be compared."""
        return getattr(self.distance, "needs_pictures", False) or self.describes is not None

    @property
    def to_download(self) -> str | None:
        """The network that `prepare` will fetch, if it is not on this machine."""
        if isinstance(self.describes, str):
            try:
                locate(self.describes)
            except NotFetchedError:
                return self.describes
        return None

    def prepare(self) -> None:
        """Open the network; a second call does nothing."""
        if self.describes is None or self.network is not None:
            return
        network = load(self.describes) if isinstance(self.describes, str) else self.describes()
        if not isinstance(network, nn.Module):
            raise TypeError(f"network must give a torch.nn.Module, got {type(network).__name__}")
        self.network = network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Switch the mode; the teacher stays in evaluation."""
        super().train(mode)
        if self.network is not None:
            self.network.eval()
        return self

    def forward(self, sr: Tensor, gt: Tensor, *, batch: Mapping[str, Tensor]) -> Tensor:
        """Compare with the teacher.

        Args:
            sr: The network's picture.
            gt: Only its shape is used.
            batch: The batch from the data, with ``teacher``, of the shape of ``gt``, or ``lq``.

        Raises:
            ValueError: If the data has no teacher's pictures and there is no network, or its
                pictures are too small.
        """
        if self.describes is not None:
            self.prepare()
            made = self._enlarged(batch["lq"], (gt.shape[-2], gt.shape[-1]))
        elif "teacher" in batch:
            made = batch["teacher"]
        else:
            raise ValueError(
                "the data has no teacher's pictures: use TeacherDataset, or give the loss a network"
            )
        distance: Tensor = self.distance(sr, made)
        return distance

    @torch.no_grad()
    def _enlarged(self, lq: Tensor, size: tuple[int, int]) -> Tensor:
        assert self.network is not None
        network: Any = self.network
        if isinstance(network, SuperResolver) and network.scale is None:
            made: Tensor = network(lq, size=size)
            return made
        made = network(lq).float()
        if made.shape[-2] < size[0] or made.shape[-1] < size[1]:
            raise ValueError(
                f"the teacher makes {tuple(made.shape[-2:])} of {tuple(lq.shape[-2:])}, and {size} "
                "is wanted: take a teacher of a larger scale, or smaller scales of the data"
            )
        return resized(made.permute(0, 2, 3, 1), size).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """Show where the pictures come from, in ``print(loss)``."""
        return "with the data" if self.describes is None else f"made by {self.describes}"
