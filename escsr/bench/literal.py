"""LIIF and LTE written out as their papers define them, as the reference to measure by.

All coordinates of the result are listed, each of the four neighbours is fetched with
``grid_sample``, and whole perceptrons run on all of them.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.heads import LIIF, LTE, Head
from escsr.layers import make_cells, make_coords

# The nearest pixel of a coordinate between two is decided by this much.
_EPSILON = 1e-6


def literal_picture(head: Head, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
    """Make a picture by the definition, word for word.

    Args:
        head: A `LIIF`, with ``unfold`` and its cell, or an `LTE` with its cell; with the local
            ensemble.
        features: (B, in_channels, h, w).
        lq: (B, 3, H, W).
        size: (H_out, W_out).

    Returns:
        (B, 3, H_out, W_out). Where a query lies on an edge that its neighbours are clamped to,
        rounding decides about it; `escsr.heads` gives the limit there.

    Raises:
        ValueError: If the head is another.

    Source:
        arXiv 2012.09161 and 2111.08918.
    """
    batch, _, height, width = features.shape
    if isinstance(head, LIIF) and head.local_ensemble and head.kernel_size == 3:
        perceptron = [head.first, *head.layers]
        maps = F.unfold(features, 3, padding=1).reshape(batch, -1, height, width)
    elif isinstance(head, LTE) and head.local_ensemble and head.phase is not None:
        perceptron = list(head.layers)
        maps = torch.cat(
            [head.coef(features), F.conv2d(features, *head.frequencies(), padding=1)], 1
        )
    else:
        raise ValueError(f"only LIIF and LTE as published are written out, not {head}")
    coords = make_coords(size).to(features).expand(batch, -1, -1)
    centres = make_coords((height, width)).to(features).mT.reshape(1, 2, height, width)
    sides = features.new_tensor([height, width])
    cell = (make_cells(size).to(features) * sides).expand_as(coords)
    if head.cell_max_scale is not None:
        cell = cell.clamp(min=2 / head.cell_max_scale)
    answers, areas = [], []
    for shift in itertools.product((-1, 1), repeat=2):
        moved = coords + features.new_tensor(shift) / sides + _EPSILON
        moved = moved.clamp(-1 + _EPSILON, 1 - _EPSILON)
        away = (coords - _sample(centres.expand(batch, -1, -1, -1), moved)) * sides
        found = _sample(maps, moved)
        if isinstance(head, LTE):
            found = _waves(head, found, away, cell)
        else:
            found = torch.cat([found, away, cell], dim=-1)
        for layer in perceptron:
            found = F.relu(_dense(layer, found))
        answers.append(_dense(head.last, found))
        areas.append(away.prod(-1).abs() + 1e-9)
    total = torch.stack(areas).sum(0)
    rgb = sum(a * (area / total)[..., None] for a, area in zip(answers, areas[::-1], strict=True))
    if head.image_skip is not None:
        rgb = rgb + _sample(lq, coords, mode="bilinear", padding_mode="border")
    assert isinstance(rgb, Tensor)
    return rgb.mT.reshape(batch, 3, *size)


def _sample(
    picture: Tensor, coords: Tensor, *, mode: str = "nearest", padding_mode: str = "zeros"
) -> Tensor:
    """(B, C, h, w) at (B, Q, 2) to (B, Q, C)."""
    places = coords.flip(-1)[:, None]
    found = F.grid_sample(
        picture, places, mode=mode, padding_mode=padding_mode, align_corners=False
    )
    return found[:, :, 0].mT


def _waves(head: LTE, found: Tensor, away: Tensor, cell: Tensor) -> Tensor:
    assert head.phase is not None
    amplitude, frequency = found.chunk(2, dim=-1)
    frequency_y, frequency_x = frequency.chunk(2, dim=-1)
    angle = frequency_y * away[..., :1] + frequency_x * away[..., 1:] + head.phase(cell)
    return amplitude * torch.cat([torch.cos(math.pi * angle), torch.sin(math.pi * angle)], dim=-1)


def _dense(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return F.linear(x, layer.weight.flatten(1), layer.bias)
