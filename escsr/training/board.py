"""The curves of a run, sent to TensorBoard and other trackers together."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from torch import nn

from escsr.training.tensorboard import TensorBoard
from escsr.training.trackers import Trackers


class Board:
    """TensorBoard and trackers as one.

    Args:
        tensorboard: Receives curves and pictures.
        trackers: Receive curves.
    """

    def __init__(self, tensorboard: TensorBoard, trackers: Trackers) -> None:
        self._tensorboard = tensorboard
        self._trackers = trackers
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Open both."""
        with ExitStack() as stack:
            stack.enter_context(self._tensorboard)
            stack.enter_context(self._trackers)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write and send the remaining data."""
        self._open.close()

    def scalars(self, step: int, figures: Mapping[str, float | None], *, group: str) -> None:
        """Add a point to the curve of each figure that is not None."""
        self._tensorboard.scalars(step, figures, group=group)
        self._trackers.log(step, figures, group=group)

    def panels(self, step: int, validation: object, model: nn.Module) -> None:
        """See `TensorBoard.panels`."""
        self._tensorboard.panels(step, validation, model)
