"""Complete networks: a backbone and a head."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from escsr.backbones import Backbone
from escsr.heads import FixedScaleHead, Head, QueryHead
from escsr.heads.base import query_heads
from escsr.layers import WindowAttention
from escsr.layers.attention import check_attention_mode
from escsr.layers.bands import as_rows, as_tensor
from escsr.model._requests import (
    check_enlargement,
    check_picture,
    check_rows,
    check_size,
    scaled,
)
from escsr.model.config import ModelConfig
from escsr.model.features import Features
from escsr.model.sharing import Shareable


class SuperResolver(Shareable, nn.Module):
    """A super-resolution network: a backbone for features, and a head for the picture.

    Made by `escsr.build` or `escsr.load`.

    Args:
        backbone: From picture to features.
        head: From features to the enlarged picture.
        config: Description of both.

    Attributes:
        trained: False while the weights are random, before anything was loaded or trained.
        facts: Facts about its weights (recipe, steps, data, source).

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
        """The fixed scale of the network, or None if it supports any."""
        if not isinstance(self.head, FixedScaleHead):
            return None
        scale = self.head.scale / self.backbone.stride
        return int(scale) if scale == int(scale) else scale

    if TYPE_CHECKING:  # PyTorch's declaration returns Any

        def __call__(  # noqa: D102
            self, lq: Tensor, scale: float | None = None, size: tuple[int, int] | None = None
        ) -> Tensor: ...

    def forward(
        self, lq: Tensor, scale: float | None = None, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Enlarge pictures.

        Args:
            lq: (B, 3, H, W), RGB in [0, 1], floating point; any H and W from 1.
            scale: Enlargement of both sides, from 1 to 30; sides are rounded to whole pixels.
                May be left out if the network supports only one.
            size: (H_out, W_out) instead of ``scale``; the two sides may be enlarged differently.

        Returns:
            (B, 3, H_out, W_out), about [0, 1].

        Raises:
            ValueError: If the network does not support the shapes, scale or size.
            TypeError: If ``lq`` is not a floating-point tensor.
        """
        size = self.output_size(lq, scale=scale, size=size)
        return self.render(self.encode(lq), size=size)

    def encode(self, lq: Tensor) -> Features:
        """Compute the features of pictures, from which `render` makes results of any size.

        Args:
            lq: See `forward`.

        Returns:
            The features, with the picture.

        Raises:
            ValueError: If the network does not support the shape.
            TypeError: If ``lq`` is not a floating-point tensor.

        Example:
            >>> model = escsr.load("default")
            >>> features = model.encode(torch.rand(1, 3, 48, 64))
            >>> [model.render(features, scale=scale).shape[-1] for scale in (2, 2.5, 4)]
            [128, 160, 256]
        """
        check_picture(lq)
        self._check_folding(*lq.shape[-2:])
        picture = self._to_range_of_head(lq)
        return Features(self.backbone(picture), picture)

    def render(
        self,
        features: Features,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        rows: tuple[int, int] | None = None,
    ) -> Tensor:
        """Make the enlarged picture, or some rows of it, from features.

        Args:
            features: Features from `encode`.
            scale: See `forward`.
            size: See `forward`; the size of the whole result.
            rows: The first row of the result to make, and the one after the last; by default all.

        Returns:
            (B, 3, H_out or rows, W_out), about [0, 1].

        Raises:
            ValueError: If the network does not support the scale, size or rows.

        Example:
            >>> whole = model.render(features, scale=4)
            >>> band = model.render(features, scale=4, rows=(100, 150))
            >>> (band - whole[:, :, 100:150]).abs().max() < 1e-5
            tensor(True)
        """
        size = self._size_of(*features.size, scale=scale, size=size)
        if rows is None and isinstance(features.map, Tensor):
            sr: Tensor = self.head(features.map, as_tensor(features.picture), size)
            return self._to_unit_range(sr)
        rows = (0, size[0]) if rows is None else check_rows(rows, size[0])
        sources = as_rows(features.map), as_rows(features.picture)
        return self._to_unit_range(self.head.rows(*sources, size, rows))

    def at(self, features: Features, coords: Tensor, cells: Tensor) -> Tensor:
        """Compute the colours at arbitrary points of pictures from their features.

        Args:
            features: Features from `encode`.
            coords: See `query`.
            cells: See `query`.

        Returns:
            (B, Q, 3), RGB, about [0, 1].

        Raises:
            ValueError: If the head answers no queries, or shapes do not fit.
        """
        maps = as_tensor(features.map), as_tensor(features.picture)
        return self._to_unit_range(self._query_head().query(*maps, coords, cells))

    def query(self, lq: Tensor, coords: Tensor, cells: Tensor) -> Tensor:
        """Compute the colours at arbitrary points of pictures.

        Args:
            lq: See `forward`.
            coords: (B, Q, 2), order (y, x), in [-1, 1]: pixel i of n has its centre at
                -1 + (2 i + 1) / n (`escsr.layers.make_coords`).
            cells: (B, Q, 2) or (B, 1, 2): 2 / H_out and 2 / W_out, height and width of the
                requested pixel (`escsr.layers.make_cells`).

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
        self._query_head()
        return self.at(self.encode(lq), coords, cells)

    def _query_head(self) -> QueryHead:
        if isinstance(self.head, QueryHead):
            return self.head
        raise ValueError(
            f"head {self.config.head!r} answers no queries; these do: {', '.join(query_heads())}"
        )

    def _to_range_of_head(self, lq: Tensor) -> Tensor:
        """The picture in the range that the head expects."""
        low, high = self.head.pixel_range
        return lq if (low, high) == (0, 1) else lq * (high - low) + low

    def _to_unit_range(self, sr: Tensor) -> Tensor:
        """The result in [0, 1]; in inference written into ``sr``, which may be large."""
        low, high = self.head.pixel_range
        if (low, high) == (0, 1):
            return sr
        if torch.is_grad_enabled():
            return (sr - low) / (high - low)
        return sr.sub_(low).div_(high - low)

    def output_size(
        self, lq: Tensor, *, scale: float | None = None, size: tuple[int, int] | None = None
    ) -> tuple[int, int]:
        """Check a request like `forward` and return the resulting size.

        Args:
            lq: See `forward`.
            scale: See `forward`.
            size: See `forward`.

        Returns:
            (H_out, W_out).
        """
        check_picture(lq)
        return self._size_of(*lq.shape[-2:], scale=scale, size=size)

    def _size_of(
        self, height: int, width: int, *, scale: float | None, size: tuple[int, int] | None
    ) -> tuple[int, int]:
        if scale is not None and size is not None:
            raise ValueError(f"give scale or size, not both (got scale={scale}, size={size})")
        own = self.scale
        if scale is None and size is None and own is None:
            raise ValueError("this network supports any scale: pass scale=… or size=(H, W)")
        if scale is not None and not scale >= 1:
            raise ValueError(f"scale must be at least 1, not {scale}")
        wanted = own if scale is None else scale
        asked = scaled(height, width, wanted) if size is None else check_size(size)
        if own is None:
            check_enlargement(asked, (height, width), scale)
            self._check_folding(height, width)
        if own is None or (scale is None and size is None):
            return asked
        makes = scaled(height, width, own)
        if asked != makes:
            request = f"scale {scale}" if scale is not None else f"size {asked[0]}×{asked[1]}"
            raise ValueError(
                f"this network makes ×{own} only (head {self.config.head!r}), so "
                f"{makes[0]}×{makes[1]} of {height}×{width}, and not {request}; "
                "escsr.upscale resizes its result to any scale"
            )
        return asked

    def _check_folding(self, height: int, width: int) -> None:
        """Coordinates span the features, so the features must span exactly the picture."""
        stride = self.backbone.stride
        if isinstance(self.head, QueryHead) and (height % stride or width % stride):
            raise ValueError(
                f"the backbone folds {stride}×{stride} pixels into one, so under head "
                f"{self.config.head!r} both sides must be multiples of {stride}, not "
                f"{height}×{width}: crop the picture, or build the backbone without folding"
            )

    def set_attention(self, mode: str) -> "SuperResolver":
        """Choose how window attention is computed: "auto", "math", "sdpa", "flex" or "concat".

        "concat" is for biases that are products; attention with a table uses "sdpa" instead.

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


def unwrapped(model: nn.Module) -> SuperResolver:
    """The network inside the wrappers of `torch.compile`, DistributedDataParallel or AveragedModel.

    Args:
        model: A network, wrapped any number of times or not at all.

    Raises:
        TypeError: If there is no `SuperResolver` in it.

    Example:
        >>> unwrapped(torch.compile(model)) is model
        True
    """
    inner: object = model
    while isinstance(inner, nn.Module) and not isinstance(inner, SuperResolver):
        modules = inner._modules
        inner = modules.get("_orig_mod", modules.get("module"))
    if isinstance(inner, SuperResolver):
        return inner
    raise TypeError(
        "a network of escsr.build or escsr.load is wanted, as it is or wrapped by PyTorch, not "
        f"a {type(model).__name__}"
    )
