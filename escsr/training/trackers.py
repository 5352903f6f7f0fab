"""Services that follow runs (Weights & Biases, MLflow, …), through Hugging Face accelerate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch


class Trackers:
    """Sends a run's figures to trackers that accelerate knows; does nothing if none are named.

    Where a tracker keeps its data, and under which account, is set by its own environment
    variables, such as ``WANDB_MODE``.

    Args:
        names: Names such as "wandb" or "mlflow"; empty in all processes but the main one.
        project: The project's name in the trackers.
        folder: Folder for trackers that write files.
        config: The recipe's values.
        device: Where the run computes.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        project: str,
        folder: Path,
        config: Mapping[str, Any],
        device: torch.device,
    ) -> None:
        self._names = list(names)
        self._project = project
        self._folder = folder
        self._config = _plain(config)
        self._device = device
        self._accelerator: Any = None

    def __enter__(self) -> Self:
        """Start tracking the run."""
        if self._names:
            from accelerate import Accelerator

            self._accelerator = Accelerator(
                cpu=self._device.type == "cpu",
                log_with=self._names,
                project_dir=str(self._folder / "trackers"),
            )
            self._accelerator.init_trackers(self._project, config=self._config)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send the remaining data."""
        if self._accelerator is not None:
            for tracker in self._accelerator.trackers:
                tracker.finish()

    def log(self, step: int, figures: Mapping[str, float | None], *, group: str) -> None:
        """Send the figures that are not None."""
        if self._accelerator is not None:
            values = {f"{group}/{name}": v for name, v in figures.items() if v is not None}
            self._accelerator.log(values, step=step)


def _plain(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values flattened to dotted names, as trackers expect them."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _plain(value, f"{prefix}{name}.")
        else:
            simple = value is None or isinstance(value, str | int | float | bool)
            flat[prefix + name] = value if simple else str(value)
    return flat
