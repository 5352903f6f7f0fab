"""The contract of backbones, and their registry."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from escsr.backbones.stages import Stage
from escsr.registry import Registry


class Backbone(nn.Module, abc.ABC):
    """From a picture to features.

    ``forward`` takes (B, 3, H, W), RGB in [0, 1], any H and W from 1, and gives
    (B, out_channels, ceil(H / stride), ceil(W / stride)). It computes the same function in
    training and in evaluation for any batch size and never writes to its input.

    Attributes:
        out_channels: Channels of the features, the only thing a head knows about a backbone.
        stride: Pixels of the picture per pixel of the features, along each side.
        default_head: The head that `escsr.build` uses if none is named.
        head_defaults: Arguments of a head that this family was published with, by the
            head's name; the user's arguments take precedence.

    Example:
        >>> @BACKBONES.register("three_convs")
        ... class ThreeConvs(Backbone):
        ...     def __init__(self, *, dim: int = 32) -> None: ...
    """

    out_channels: int
    stride: int = 1
    default_head: ClassVar[str] = "pixel_shuffle"
    head_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @classmethod
    def args_for_scale(cls, scale: float) -> dict[str, Any]:
        """Default arguments of this family under a head of one fixed scale."""
        return {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Drop the parent's stages if ``forward`` is overridden."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "stages" not in vars(cls):
            cls.stages = Backbone.stages  # type: ignore[method-assign]

    @abc.abstractmethod
    def forward(self, lq: Tensor) -> Tensor:
        """Make the features of a picture."""

    def stages(self) -> Sequence[Stage] | None:
        """How ``forward`` is computed, so that large pictures can be made in bands of rows.

        ``forward`` of a backbone with stages is `run_whole` of these. Other backbones are run on
        overlapping tiles of large pictures, which is an approximation.

        Returns:
            The stages in their order, for one picture or batch; None if there are none.
        """
        return None


BACKBONES: Registry[Callable[..., Backbone]] = Registry(
    "backbone", entry_point_group="escsr.backbones", contract=Backbone
)
"""Backbones by name, plug-ins included."""
