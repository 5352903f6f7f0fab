"""Latent modulated functions: almost all of the work at the size of the features.

A perceptron at each pixel of the features writes the scales and shifts of a tiny perceptron,
16 wide, which is all that runs at each pixel of the result.

Source: "Latent Modulated Function for Computational Optimal Continuous Image Representation",
CVPR 2024, arXiv 2404.16451. Written from the paper; the widths are those published.
"""

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS
from escsr.heads.implicit import ImageSkip, ImplicitHead, Places, check_positive, perceptron
from escsr.heads.lte import waves
from escsr.layers.derived import being_recorded
from escsr.layers.inplace import add, relu
from escsr.layers.linear import linear


class _LatentModulated(ImplicitHead, abc.ABC):
    """The base of both kinds: scales and shifts from the features, and the tiny perceptron.

    Layer l of it computes relu((W_l x + b_l) · (1 + scale_l) + shift_l). Since scales and shifts
    belong to a pixel of the features, b_l is put into the shift there.
    """

    def __init__(
        self,
        *,
        latent: list[int],
        render_dim: int,
        render_inputs: int,
        depth: int,
        code: int,
        local_ensemble: bool,
        cell_decode: bool,
        cell_max_scale: float | None,
        image_skip: ImageSkip,
        memory_mib: float,
    ) -> None:
        super().__init__(
            local_ensemble=local_ensemble,
            cell_max_scale=cell_max_scale,
            image_skip=image_skip,
            memory_mib=memory_mib,
        )
        self.cell_decode = cell_decode
        self.depth = depth
        self.render_dim = render_dim
        self.latent = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(latent, latent[1:], strict=False)
        )
        # Scales of all layers, then shifts of all layers, then the code.
        self.modulate = nn.Linear(latent[-1], 2 * depth * render_dim + code)
        inputs = [render_inputs, *[render_dim] * (depth - 1)]
        self.layers = nn.ModuleList(nn.Linear(width, render_dim) for width in inputs)
        for layer in self._dense():
            # PyTorch's default would leave little of the signal after eight narrow layers.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.last = nn.Linear(render_dim, 3)

    @property
    def widths(self) -> tuple[int, int]:
        """See `ImplicitHead`."""
        hidden = self.modulate.in_features
        # Two stages of the latent perceptron are alive at once.
        return self.modulate.out_features + 2 * hidden, self.render_dim

    def modulations(self, found: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Scales and shifts of each layer, and the code, from the latent perceptron's input.

        Args:
            found: (B, h, w, width of the latent perceptron).

        Returns:
            Scales with the one added, shifts with the biases in them, (B, h, w, render_dim)
            for each layer; and (B, h, w, channels of the code).
        """
        found = perceptron(found, self.latent)
        mixed = linear(found, self.modulate.weight, self.modulate.bias)
        width = self.depth * self.render_dim
        scales, shifts = mixed[..., :width] + 1, mixed[..., width : 2 * width]
        code = mixed[..., 2 * width :]
        biases = torch.cat([layer.bias for layer in self._dense()])
        shifts = torch.addcmul(shifts, scales, biases.to(scales.dtype))
        first, second = (
            [m.contiguous() for m in part.chunk(self.depth, dim=-1)] for part in (scales, shifts)
        )
        return first, second, code

    def render(self, found: Tensor, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """Layers of the tiny perceptron from the second on; ``maps`` alternate scale and shift."""
        for layer, scale, shift in zip(self._dense()[1:], maps[::2], maps[1::2], strict=True):
            found = self.modulated(linear(found, layer.weight, None), scale, shift, places)
        return found

    @staticmethod
    def modulated(found: Tensor, scale: Tensor, shift: Tensor, places: Places) -> Tensor:
        """relu(found · scale + shift) with the neighbours' scales and shifts."""
        scale, shift = places.take(scale), places.take(shift)
        if torch.is_grad_enabled() or not found.dtype == scale.dtype == shift.dtype:
            return relu(found * scale + shift)
        return shift.addcmul_(found, scale).relu_()

    def one_cell(self, cell: Tensor) -> Tensor:
        """The cell of each picture, (B or 1, 1, 2): its queries share one set of modulations.

        A picture whose queries differ in it is an error on a CPU. On other devices that check would
        force a synchronisation on every call, so there such a picture is NaN.

        Raises:
            ValueError: If the queries of a picture differ in it, on a CPU.
        """
        first = cell[:, :1]
        if cell.shape[1] == 1:
            return first
        differs = (cell != first).flatten(1).any(1)
        if cell.device.type != "cpu" or being_recorded():
            return first.masked_fill(differs[:, None, None], torch.nan)
        if bool(differs.any()):
            raise ValueError(
                f"head {type(self).__name__} takes one cell for all queries of a picture, and "
                "these differ: ask for each size in a call of its own"
            )
        return first

    def _dense(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


@HEADS.register(
    "lmf_liif",
    about="Low cost: LIIF with most of the work done at the input's size.",
)
class LMFLIIF(_LatentModulated):
    """`LIIF` as a latent modulated function: about 17 k multiplications a pixel at ×4.

    Args:
        in_channels: Channels of the features.
        hidden_dim: Width of the perceptron at the pixels of the features.
        depth: Hidden layers of the tiny perceptron.
        render_dim: Its width.
        local_ensemble: See `ImplicitHead`.
        unfold: See the 3×3 pixels around a pixel of the features, not only itself.
        cell_decode: Give both perceptrons the size of the requested pixel. All queries of a picture
            share it.
        cell_max_scale: See `ImplicitHead`.
        image_skip: See `ImplicitHead`; published without.
        memory_mib: See `ImplicitHead`.

    Raises:
        ValueError: If an argument is impossible.

    Source:
        LM-LIIF, arXiv 2404.16451.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        hidden_dim: int = 208,
        depth: int = 6,
        render_dim: int = 16,
        local_ensemble: bool = True,
        unfold: bool = True,
        cell_decode: bool = True,
        cell_max_scale: float | None = 4,
        image_skip: ImageSkip = None,
        memory_mib: float = 128,
    ) -> None:
        check_positive(hidden_dim=hidden_dim, depth=depth, render_dim=render_dim)
        super().__init__(
            latent=[hidden_dim],
            render_dim=render_dim,
            render_inputs=render_dim + (4 if cell_decode else 2),
            depth=depth,
            code=render_dim,
            local_ensemble=local_ensemble,
            cell_decode=cell_decode,
            cell_max_scale=cell_max_scale,
            image_skip=image_skip,
            memory_mib=memory_mib,
        )
        side = 3 if unfold else 1
        self.see = nn.Conv2d(in_channels, hidden_dim, side, padding=side // 2)
        self.see_cell = nn.Linear(2, hidden_dim, bias=False) if cell_decode else None

    def prepare(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """Scale and shift of each layer, by turns; the code is in the first shift."""
        cell = self.one_cell(cell)[:, :, None]
        seen = self.see(features).permute(0, 2, 3, 1).contiguous()
        if self.see_cell is not None:
            seen = add(seen, F.linear(cell, self.see_cell.weight))
        scales, shifts, code = self.modulations(relu(seen))
        first = self._dense()[0].weight
        inner = linear(code, first[:, : self.render_dim], None)
        if self.cell_decode:
            inner = add(inner, F.linear(cell, first[:, self.render_dim + 2 :]))
        shifts[0] = add(inner * scales[0], shifts[0])
        return tuple(m for pair in zip(scales, shifts, strict=True) for m in pair)

    def hidden(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """The tiny perceptron up to its last layer."""
        weight = self._dense()[0].weight
        y, x = weight[:, self.render_dim], weight[:, self.render_dim + 1]
        found = self.modulated(places.y * y + places.x * x, maps[0], maps[1], places)
        return self.render(found, maps[2:], places)


@HEADS.register(
    "lmf_lte",
    about="Low cost: LTE with most of the work done at the input's size.",
)
class LMFLTE(_LatentModulated):
    """`LTE` as a latent modulated function: about 23 k multiplications a pixel at ×4.

    Args:
        in_channels: Channels of the features.
        hidden_dim: Width of the perceptron at the pixels of the features.
        depth: Hidden layers of the tiny perceptron.
        render_dim: Its width, and that of the waves it is fed; even.
        basis_dim: Amplitudes of the waves that the other perceptron is fed; even.
        local_ensemble: See `ImplicitHead`.
        cell_decode: Shift all phases according to the size of the requested pixel. All queries of a
            picture share it.
        cell_max_scale: See `ImplicitHead`.
        image_skip: See `ImplicitHead`.
        memory_mib: See `ImplicitHead`.

    Raises:
        ValueError: If an argument is impossible.

    Source:
        LM-LTE, arXiv 2404.16451.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        hidden_dim: int = 288,
        depth: int = 8,
        render_dim: int = 16,
        basis_dim: int = 128,
        local_ensemble: bool = True,
        cell_decode: bool = True,
        cell_max_scale: float | None = 4,
        image_skip: ImageSkip = "bilinear",
        memory_mib: float = 128,
    ) -> None:
        check_positive(
            hidden_dim=hidden_dim, depth=depth, render_dim=render_dim, basis_dim=basis_dim
        )
        for name, width in (("render_dim", render_dim), ("basis_dim", basis_dim)):
            if width % 2:
                raise ValueError(f"{name} must be even (cosines and sines), not {width}")
        super().__init__(
            latent=[basis_dim, hidden_dim],
            render_dim=render_dim,
            render_inputs=render_dim,
            depth=depth,
            code=2 * render_dim,
            local_ensemble=local_ensemble,
            cell_decode=cell_decode,
            cell_max_scale=cell_max_scale,
            image_skip=image_skip,
            memory_mib=memory_mib,
        )
        self.coef = nn.Conv2d(in_channels, basis_dim, 3, padding=1)
        # Only the sum of a wave's two frequencies counts where nothing is enlarged yet.
        self.freq = nn.Conv2d(in_channels, basis_dim // 2, 3, padding=1)
        self.phase = nn.Linear(2, basis_dim // 2, bias=False) if cell_decode else None
        self.render_phase = nn.Linear(2, render_dim // 2, bias=False) if cell_decode else None

    def prepare(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """Amplitudes, frequencies times π, then scale and shift of each layer, by turns."""
        cell = self.one_cell(cell)[:, :, None]
        amplitude, angle = (
            conv(features).permute(0, 2, 3, 1).contiguous() for conv in (self.coef, self.freq)
        )
        if self.phase is not None:
            angle = add(angle, F.linear(cell, self.phase.weight))
        scales, shifts, code = self.modulations(waves(amplitude, angle * math.pi))
        amplitude, frequency = code.chunk(2, dim=-1)
        modulations = (m for pair in zip(scales, shifts, strict=True) for m in pair)
        return amplitude.contiguous(), frequency * math.pi, *modulations

    def hidden(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """The tiny perceptron up to its last layer."""
        frequency_y, frequency_x = places.take(maps[1]).chunk(2, dim=-1)
        angle = add(frequency_y * places.y, frequency_x * places.x)
        if self.render_phase is not None:
            angle = add(angle, math.pi * F.linear(places.cell, self.render_phase.weight))
        found = linear(waves(places.take(maps[0]), angle), self._dense()[0].weight, None)
        found = self.modulated(found, maps[2], maps[3], places)
        return self.render(found, maps[4:], places)
