"""The network that users hold: a backbone and a head."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from escsr.backbones import Backbone
from escsr.heads import FixedScaleHead, Head, QueryHead
from escsr.heads.base import query_heads
from escsr.layers import WindowAttention
from escsr.layers.attention import check_attention_mode

__all__ = ["MAX_SCALE", "ModelConfig", "SuperResolver"]

MAX_SCALE = 30
"""Largest enlargement: far beyond what networks are trained for, so that more is a mistake."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a network is made of: enough to build it again.

    Attributes:
        backbone: Name in the registry of backbones.
        head: Name in the registry of heads.
        backbone_args: Its keyword arguments where they differ from the named variant.
        head_args: Likewise; the scale of a fixed-scale head is among them.
    """

    backbone: str
    head: str
    backbone_args: Mapping[str, Any] = field(default_factory=dict)
    head_args: Mapping[str, Any] = field(default_factory=dict)


class SuperResolver(nn.Module):
    """A super-resolution network: features by a backbone, the picture by a head.

    Made by `escsr.build` or `escsr.load`.

    Args:
        backbone: From picture to features.
        head: From features to the enlarged picture.
        config: What both are made of.

    Attributes:
        trained: False while the weights are drawn and nothing was loaded or trained.
        facts: What is known of its weights (recipe, steps, data, source).

    Shape:
        ``lq`` (B, 3, H, W), RGB in [0, 1], to (B, 3, H_out, W_out), not clipped.

    Example:
        >>> model = escsr.build("esc_light", scale=2)
        >>> model(torch.rand(1, 3, 48, 64)).shape
        torch.Size([1, 3, 96, 128])
    """

    def __init__(self, backbone: Backbone, head: Head, *, config: ModelConfig) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.config = config
        self.trained = False
        self.facts: dict[str, Any] = {}

    @property
    def scale(self) -> float | None:
        """The one scale that the network makes, or None if it makes any."""
        if not isinstance(self.head, FixedScaleHead):
            return None
        scale = self.head.scale / self.backbone.stride
        return int(scale) if scale == int(scale) else scale

    def forward(
        self, lq: Tensor, scale: float | None = None, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Enlarge pictures.

        Args:
            lq: (B, 3, H, W), RGB in [0, 1], floating point; any H and W from 1.
            scale: Enlargement of both sides, from 1 to 30; sides are rounded to whole pixels.
                May be left out where the network makes only one.
            size: (H_out, W_out) instead of ``scale``; the two sides may be enlarged differently.

        Returns:
            (B, 3, H_out, W_out), about [0, 1].

        Raises:
            ValueError: If shapes, scale or size are not what the network takes.
            TypeError: If ``lq`` is not a floating-point tensor.
        """
        size = self.output_size(lq, scale=scale, size=size)
        picture = self._seen(lq)
        features = self.backbone(picture)
        sr: Tensor = self.head(features, picture, size)
        return self._shown(sr)

    def query(self, lq: Tensor, coords: Tensor, cells: Tensor) -> Tensor:
        """Find the colours at free points of pictures.

        Args:
            lq: See `forward`.
            coords: (B, Q, 2), order (y, x), in [-1, 1]: pixel i of n has its centre at
                -1 + (2 i + 1) / n (`escsr.layers.make_coords`).
            cells: (B, Q, 2) or (B, 1, 2): 2 / H_out and 2 / W_out, height and width of the pixel
                that is asked for (`escsr.layers.make_cells`).

        Returns:
            (B, Q, 3), RGB, about [0, 1].

        Raises:
            ValueError: If the head answers no queries, or shapes do not fit.
            TypeError: If ``lq`` is not a floating-point tensor.

        Example:
            >>> model = escsr.build("esc_tiny", head="lte")
            >>> centre, cells = torch.zeros(1, 1, 2), make_cells((96, 96))
            >>> model.query(torch.rand(1, 3, 24, 24), centre, cells).shape
            torch.Size([1, 1, 3])
        """
        if not isinstance(self.head, QueryHead):
            raise ValueError(
                f"head {self.config.head!r} answers no queries; these do: "
                f"{', '.join(query_heads())}"
            )
        _check_picture(lq)
        self._check_folding(lq)
        picture = self._seen(lq)
        return self._shown(self.head.query(self.backbone(picture), picture, coords, cells))

    def _seen(self, lq: Tensor) -> Tensor:
        """The picture in the range that the head asks for."""
        low, high = self.head.pixel_range
        return lq if (low, high) == (0, 1) else lq * (high - low) + low

    def _shown(self, sr: Tensor) -> Tensor:
        """The answer in [0, 1]; written into ``sr`` in inference, which may be large."""
        low, high = self.head.pixel_range
        if (low, high) == (0, 1):
            return sr
        if torch.is_grad_enabled():
            return (sr - low) / (high - low)
        return sr.sub_(low).div_(high - low)

    def output_size(
        self, lq: Tensor, *, scale: float | None = None, size: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """Check a request and say what size it gives, as `forward` does.

        Args:
            lq: See `forward`.
            scale: See `forward`.
            size: See `forward`.

        Returns:
            (H_out, W_out).
        """
        _check_picture(lq)
        height, width = lq.shape[-2:]
        if scale is not None and size is not None:
            raise ValueError(f"give scale or size, not both (got scale={scale}, size={size})")
        own = self.scale
        if scale is None and size is None and own is None:
            raise ValueError("this network makes any scale: say scale=… or size=(H, W)")
        if scale is not None and not scale >= 1:
            raise ValueError(f"scale must be at least 1, not {scale}")
        wanted = own if scale is None else scale
        asked = _scaled(height, width, wanted) if size is None else _check_size(size)
        if own is None:
            _check_enlargement(asked, (height, width), scale)
            self._check_folding(lq)
        if own is None or (scale is None and size is None):
            return asked
        makes = _scaled(height, width, own)
        if asked != makes:
            request = f"scale {scale}" if scale is not None else f"size {asked[0]}×{asked[1]}"
            raise ValueError(
                f"this network makes ×{own} only (head {self.config.head!r}), so "
                f"{makes[0]}×{makes[1]} of {height}×{width}, and not {request}; "
                "escsr.upscale resizes its result to any scale"
            )
        return asked

    def _check_folding(self, lq: Tensor) -> None:
        """Coordinates span the features, so these must span the picture and no more."""
        height, width = lq.shape[-2:]
        stride = self.backbone.stride
        if isinstance(self.head, QueryHead) and (height % stride or width % stride):
            raise ValueError(
                f"the backbone folds {stride}×{stride} pixels into one, so under head "
                f"{self.config.head!r} both sides must be multiples of {stride}, not "
                f"{height}×{width}: crop the picture, or build the backbone without folding"
            )

    def set_attention(self, mode: str) -> "SuperResolver":
        """Choose how window attention is computed: "auto", "math", "sdpa" or "flex".

        Returns:
            The network itself.

        Raises:
            ValueError: If the name is unknown or this PyTorch does not have it.
        """
        check_attention_mode(mode)
        for module in self.modules():
            if isinstance(module, WindowAttention):
                module.mode = mode
        return self

    def extra_repr(self) -> str:
        """One line for ``print(model)``."""
        scale = "any scale" if self.scale is None else f"×{self.scale}"
        trained = "" if self.trained else ", untrained"
        return f"{self.config.backbone} + {self.config.head}, {scale}{trained}"


def _check_picture(lq: Tensor) -> None:
    if not isinstance(lq, Tensor) or not lq.is_floating_point():
        kind = lq.dtype if isinstance(lq, Tensor) else type(lq).__name__
        raise TypeError(f"lq must be a floating-point tensor in [0, 1], not {kind}")
    if lq.ndim != 4 or lq.shape[1] != 3 or 0 in lq.shape:
        raise ValueError(f"lq must have the shape (B, 3, H, W), not {tuple(lq.shape)}")


def _scaled(height: int, width: int, scale: float | None) -> tuple[int, int]:
    assert scale is not None
    # Whole scales without rounding: sizes may be symbols while a network is exported.
    if isinstance(scale, int):
        return height * scale, width * scale
    return round(height * scale), round(width * scale)


def _check_enlargement(size: tuple[int, int], own: tuple[int, int], scale: float | None) -> None:
    """For networks of any scale: from 1 to `MAX_SCALE` along both sides."""
    if (
        size[0] >= own[0]
        and size[1] >= own[1]
        and (
            scale <= MAX_SCALE
            if scale is not None
            else max(size[0] / own[0], size[1] / own[1]) <= MAX_SCALE
        )
    ):
        return
    request = f"scale {scale}" if scale is not None else f"size {size[0]}×{size[1]}"
    raise ValueError(
        f"{request} is impossible for a picture of {own[0]}×{own[1]}: this network enlarges "
        f"each side by 1 to {MAX_SCALE}; resize its result for other sizes"
    )


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if int(height) != height or int(width) != width or height < 1 or width < 1:
        raise ValueError(f"size must be two whole numbers (H, W) from 1, not {size}")
    return int(height), int(width)
