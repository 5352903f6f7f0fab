"""Local texture estimator, in its two published layouts of weights."""

import math
import re
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads.base import HEADS
from escsr.heads.implicit import ImageSkip, ImplicitHead, Places, check_positive, perceptron
from escsr.layers.inplace import add


@HEADS.register(
    "lte",
    about="Quality first: the head ESC was published with for any scale.",
)
class LTE(ImplicitHead):
    """Waves of estimated frequencies, amplitudes and phases, and a perceptron to colours.

    The defaults are those published.

    Args:
        in_channels: Channels of the features.
        hidden_dim: Amplitudes, two for each frequency, and width of the hidden layers; even.
        depth: Number of hidden layers.
        local_ensemble: See `ImplicitHead`.
        cell_decode: Shift the phases according to the size of the requested pixel.
        cell_max_scale: See `ImplicitHead`.
        image_skip: See `ImplicitHead`.
        memory_mib: See `ImplicitHead`.

    Raises:
        ValueError: If an argument is impossible.

    Source:
        Local Texture Estimator for Implicit Representation Function, arXiv 2111.08918.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        hidden_dim: int = 256,
        depth: int = 3,
        local_ensemble: bool = True,
        cell_decode: bool = True,
        cell_max_scale: float | None = 4,
        image_skip: ImageSkip = "bilinear",
        memory_mib: float = 128,
    ) -> None:
        super().__init__(
            local_ensemble=local_ensemble,
            cell_max_scale=cell_max_scale,
            image_skip=image_skip,
            memory_mib=memory_mib,
        )
        check_positive(hidden_dim=hidden_dim, depth=depth)
        if hidden_dim % 2:
            raise ValueError(f"hidden_dim must be even (cosines and sines), not {hidden_dim}")
        self.coef = nn.Conv2d(in_channels, hidden_dim, 3, padding=1)
        self.freq = nn.Conv2d(in_channels, hidden_dim, 3, padding=1)
        self.phase = nn.Linear(2, hidden_dim // 2, bias=False) if cell_decode else None
        self.layers = nn.ModuleList(self._dense(hidden_dim, hidden_dim) for _ in range(depth))
        self.last = self._dense(hidden_dim, 3)

    @staticmethod
    def _dense(width_in: int, width_out: int) -> nn.Linear | nn.Conv2d:
        return nn.Linear(width_in, width_out)

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of ``freq``, those for y first."""
        order = _halves(self.freq.out_channels, self.freq.weight.device)
        assert self.freq.bias is not None
        return self.freq.weight[order], self.freq.bias[order]

    @property
    def widths(self) -> tuple[int, int]:
        """See `ImplicitHead`."""
        return 2 * self.coef.out_channels, self.coef.out_channels

    def prepare(self, features: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
        """Amplitudes, and frequencies times π (y in the first half), (B, h, w, hidden_dim)."""
        weight, bias = self.frequencies()
        frequencies = F.conv2d(features, weight * math.pi, bias * math.pi, padding=1)
        maps = (self.coef(features), frequencies)
        return tuple(m.permute(0, 2, 3, 1).contiguous() for m in maps)

    def hidden(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """All layers but the last."""
        return perceptron(self._waves(maps, places), self.layers)

    def _waves(self, maps: tuple[Tensor, ...], places: Places) -> Tensor:
        """Amplitudes times cosines and sines, (B, …, hidden_dim)."""
        frequency_y, frequency_x = places.take(maps[1]).chunk(2, dim=-1)
        angle = add(frequency_y * places.y, frequency_x * places.x)
        if self.phase is not None:
            angle = add(angle, math.pi * F.linear(places.cell, self.phase.weight))
        return waves(places.take(maps[0]), angle)


def waves(amplitude: Tensor, angle: Tensor) -> Tensor:
    """Amplitudes times the cosines, then the sines, of angles.

    Args:
        amplitude: (…, 2 n), freshly made.
        angle: (…, n) in radians, freshly made.

    Returns:
        (…, 2 n), of the wider number type of the two.
    """
    if torch.is_grad_enabled() or amplitude.dtype != angle.dtype:
        return amplitude * torch.cat([angle.cos(), angle.sin()], dim=-1)
    cosines, sines = amplitude.chunk(2, dim=-1)
    cosines.mul_(angle.cos())
    sines.mul_(angle.sin_())
    return amplitude


@HEADS.register(
    "lte_fast",
    about='LTE for weights in the layout of the published "lte-fast".',
)
class LTEFast(LTE):
    """The same function as `LTE` with the weights in the layout of the published "lte-fast".

    The frequencies for y come first, then those for x, instead of by turns, and the perceptron
    is stored as 1×1 convolutions. `lte_to_fast` and `fast_to_lte` convert without loss.

    Args:
        in_channels: See `LTE`, also for the other arguments.

    Source:
        The faster form of LTE that accompanies arXiv 2503.06671.
    """

    @staticmethod
    def _dense(width_in: int, width_out: int) -> nn.Linear | nn.Conv2d:
        return nn.Conv2d(width_in, width_out, 1)

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """See `LTE.frequencies`."""
        assert self.freq.bias is not None
        return self.freq.weight, self.freq.bias


def lte_to_fast(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the state of an `LTE` head into that of an `LTEFast` head with the same function.

    Args:
        state: By our names, with or without prefix (``head.freq.weight``); tensors of other
            parts of a network are taken over.

    Returns:
        The converted state.

    Raises:
        ValueError: If it is not the state of an `LTE` head.

    Example:
        >>> fast = escsr.build("esc", head="lte_fast")
        >>> fast.load_state_dict(lte_to_fast(escsr.build("esc", head="lte").state_dict()))
        <All keys matched successfully>
    """
    return _converted(state, dims=2, order=_halves)


def fast_to_lte(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `lte_to_fast`.

    Args:
        state: State of an `LTEFast` head or of a network with one.

    Returns:
        The converted state.

    Raises:
        ValueError: If it is not the state of an `LTEFast` head.
    """
    return _converted(state, dims=4, order=lambda n, device: _halves(n, device).argsort())


def _halves(channels: int, device: torch.device) -> Tensor:
    """Places of the even channels, then of the odd ones."""
    return torch.arange(channels, device=device).reshape(-1, 2).t().flatten()


def _converted(
    state: Mapping[str, Tensor], *, dims: int, order: Callable[[int, torch.device], Tensor]
) -> dict[str, Tensor]:
    dense = {name for name in state if re.fullmatch(r"(head\.)?(layers\.\d+|last)\.weight", name)}
    if not dense or any(state[name].ndim != dims for name in dense):
        kind, other = ("lte", "lte_fast") if dims == 2 else ("lte_fast", "lte")
        raise ValueError(
            f"not the state of a head {kind!r}: its weights 'layers.…' have {dims} dimensions; "
            f"is it one of {other!r} already?"
        )
    converted = dict(state)
    for name in dense:
        weight = state[name]
        converted[name] = weight[:, :, None, None] if dims == 2 else weight.flatten(1)
    for name in state:
        if re.fullmatch(r"(head\.)?freq\.(weight|bias)", name):
            converted[name] = state[name][order(len(state[name]), state[name].device)]
    return converted
