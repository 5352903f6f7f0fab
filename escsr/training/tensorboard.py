"""The TensorBoard files of a run: curves, and pictures side by side."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import nn

PANELS = 4
"""Number of photos shown at each validation."""


class TensorBoard:
    """Writes TensorBoard's files into a run's folder; does nothing if it is not wanted.

    Args:
        folder: The run's folder; files go to ``tensorboard`` in it.
        start: Step from which the run writes; later entries of an earlier part of the run are not
            shown.
        wanted: Whether to write at all.
    """

    def __init__(self, folder: Path, *, start: int, wanted: bool) -> None:
        self._folder = folder / "tensorboard"
        self._start = start
        self._wanted = wanted
        self._writer: Any = None

    @staticmethod
    def available() -> bool:
        """Whether TensorBoard is installed."""
        return importlib.util.find_spec("tensorboard") is not None

    def __enter__(self) -> Self:
        """Open the files."""
        if self._wanted:
            from torch.utils.tensorboard import SummaryWriter

            purge = self._start + 1 if self._start else None
            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the remaining data, and close."""
        if self._writer is not None:
            self._writer.close()

    def scalars(self, step: int, figures: Mapping[str, float | None], *, group: str) -> None:
        """Add a point to the curve of each figure that is not None."""
        if self._writer is not None:
            for name, value in figures.items():
                if value is not None:
                    self._writer.add_scalar(f"{group}/{name}", value, step)

    def panels(self, step: int, validation: object, model: nn.Module) -> None:
        """Add LQ, bicubic, SR and GT side by side, if the validation has pictures to show.

        Args:
            step: Steps done.
            validation: A validation with ``panels(model, count)``, such as
                `escsr.training.CropValidation`.
            model: The network.
        """
        if self._writer is not None and hasattr(validation, "panels"):
            for name, panel in validation.panels(model, PANELS).items():
                self._writer.add_image(f"lq, bicubic, sr, gt/{name}", panel, step, None, "HWC")


def side_by_side(*pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put pictures of one height in a row, with a white line between them.

    Args:
        pictures: (H, W_i, 3) uint8 each.

    Returns:
        (H, ΣW_i + 2 (n - 1), 3) uint8.
    """
    line = np.full((pictures[0].shape[0], 2, 3), 255, np.uint8)
    row: list[NDArray[np.uint8]] = []
    for picture in pictures:
        row += [picture, line]
    return np.concatenate(row[:-1], axis=1)
