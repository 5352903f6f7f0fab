"""Contract checks for our networks and for those of plug-ins.

Each function raises `AssertionError` with a sentence that explains the failure. They need no test
runner:

    >>> from escsr.testing import check_network
    >>> check_network(escsr.build("esc_tiny", head="dysample", scale=2))  # or a head of your own
"""

import copy
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from escsr.build import load
from escsr.checkpoints import save
from escsr.heads import QueryHead
from escsr.layers import Band, RowSource, WindowAttention, make_cells, make_coords
from escsr.model import Features, SuperResolver

__all__ = [
    "check_autocast",
    "check_batches",
    "check_gradients",
    "check_input_untouched",
    "check_network",
    "check_queries",
    "check_rows",
    "check_save_and_load",
    "check_sizes",
]

SIZES = ((1, 1), (1, 70), (7, 2), (17, 31), (33, 16), (70, 70))
# (H, W) to (H_out, W_out): stretched, a single pixel, an odd and a fractional scale.
QUERIED = (((1, 1), (3, 5)), ((5, 7), (15, 21)), ((9, 14), (23, 40)))
# (H, W) of features whose results are computed in bands.
BANDED = ((1, 3), (6, 5), (23, 8))
# Tolerance between different summation orders in float32, for outputs of about one.
TOLERANCE = 2e-5


def check_network(model: SuperResolver, *, sizes: Iterable[tuple[int, int]] = SIZES) -> None:
    """Run all checks on a network, including query checks if its head supports queries.

    Args:
        model: The network; not changed.
        sizes: (H, W) of the pictures to try.

    Raises:
        AssertionError: If the network breaks its contract.
    """
    model = copy.deepcopy(model)
    check_sizes(model, sizes)
    check_batches(model)
    check_input_untouched(model)
    check_gradients(model)
    check_autocast(model)
    check_save_and_load(model)
    check_rows(model)
    if isinstance(model.head, QueryHead):
        check_queries(model)


def picture(height: int, width: int, *, batch: int = 1, seed: int = 0) -> Tensor:
    """A (batch, 3, height, width) picture of noise in [0, 1], the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=generator)


def check_sizes(model: SuperResolver, sizes: Iterable[tuple[int, int]] = SIZES) -> None:
    """Any size from one pixel up gives a finite picture of exactly the requested size.

    Raises:
        AssertionError: If not.
    """
    model.eval()
    scale = model.scale or 2.5
    for height, width in sizes:
        lq = picture(height, width)
        with torch.inference_mode():
            sr = model(lq) if model.scale else model(lq, scale=scale)
        wanted = (1, 3, round(height * scale), round(width * scale))
        assert tuple(sr.shape) == wanted, f"{height}×{width} gave {tuple(sr.shape)}, not {wanted}"
        assert torch.isfinite(sr).all(), f"{height}×{width} gave values that are not finite"


def check_batches(model: SuperResolver) -> None:
    """A batch gives the same results as its pictures one by one, in training and evaluation.

    Raises:
        AssertionError: If not.
    """
    batch = picture(19, 35, batch=3)
    with torch.no_grad():
        singles = torch.cat([_run(model.eval(), one[None]) for one in batch])
        for training in (False, True):
            model.train(training)
            difference = (_run(model, batch) - singles).abs().max().item()
            mode = "training" if training else "evaluation"
            assert difference <= TOLERANCE * max(1.0, singles.abs().max().item()), (
                f"a batch of 3 in {mode} differs from three singles by {difference:.1e}"
            )


def check_input_untouched(model: SuperResolver) -> None:
    """Neither training nor evaluation writes to the input picture.

    Raises:
        AssertionError: If one does.
    """
    lq = picture(18, 21, batch=2)
    before = lq.clone()
    for training in (False, True):
        with torch.no_grad():
            _run(model.train(training), lq)
        assert torch.equal(lq, before), f"the input was written to (training={training})"


def check_gradients(model: SuperResolver) -> None:
    """Every parameter receives a finite, nonzero gradient in both modes.

    Raises:
        AssertionError: If some do not; the message names all of them.
    """
    lq = picture(20, 23, batch=2)
    for training in (False, True):
        model.train(training).zero_grad(set_to_none=True)
        torch.autograd.backward(_run(model, lq).square().mean())
        without = _without_gradient(model)
        assert not without, f"no gradient reaches (training={training}): {', '.join(without)}"
    model.zero_grad(set_to_none=True)


def check_queries(
    model: SuperResolver,
    sizes: Iterable[tuple[tuple[int, int], tuple[int, int]]] = QUERIED,
) -> None:
    """Queries at pixel centres reproduce the whole picture, in any order, with gradients.

    Args:
        model: A network whose head is a `QueryHead`.
        sizes: Pairs of (H, W) of a picture and (H_out, W_out) of its result.

    Raises:
        AssertionError: If not.
    """
    model.eval()
    for (height, width), size in sizes:
        lq, cells = picture(height, width, batch=2), make_cells(size)
        order = torch.randperm(size[0] * size[1], generator=torch.Generator().manual_seed(1))
        coords = make_coords(size)[order].expand(2, -1, -1)
        with torch.no_grad():
            sr = model(lq, size=size)
            assert sr.shape == (2, 3, *size), f"{size} was asked, {tuple(sr.shape)} came"
            answers = model.query(lq, coords, cells)
            by_each = model.query(lq, coords, cells.expand(2, len(order), 2))
        wanted = sr.flatten(2).transpose(1, 2)[:, order]
        difference = max((found - wanted).abs().max().item() for found in (answers, by_each))
        assert difference <= TOLERANCE * max(1.0, sr.abs().max().item()), (
            f"queries differ by {difference:.1e} from the picture, {height}×{width} to {size}"
        )
    model.train().zero_grad(set_to_none=True)
    torch.autograd.backward(model.query(lq, coords, cells).square().mean())
    without = _without_gradient(model)
    assert not without, f"no gradient of queries reaches: {', '.join(without)}"
    model.zero_grad(set_to_none=True)


def check_rows(model: SuperResolver, sizes: Iterable[tuple[int, int]] = BANDED) -> None:
    """Rows computed from bands of the features equal those of the whole picture.

    The bands hold only the rows that the head says it needs. The features are reused, so a head
    must not write to them.

    Raises:
        AssertionError: If not.
    """
    model.eval()
    head, stride = model.head, model.backbone.stride
    for height, width in sizes:
        # Backbones that fold pad to multiples of their stride, and heads crop the padding.
        odd = stride // 2 if model.scale else 0
        lq = picture(height * stride - odd, width * stride - odd, batch=2)
        scale = model.scale or 2.7
        with torch.no_grad():
            features = model.encode(lq)
            whole = model.render(features, scale=scale)
            size = (whole.shape[2], whole.shape[3])
            for rows in _some_rows(size[0]):
                bands = (
                    _band(features.map, head.source_rows, rows, size),
                    _band(features.picture, head.picture_rows, rows, size),
                )
                made = model.render(Features(*bands), size=size, rows=rows)
                wanted = whole[:, :, rows[0] : rows[1]]
                assert made.shape == wanted.shape, (
                    f"rows {rows} of {size} have the shape {tuple(made.shape)}, not "
                    f"{tuple(wanted.shape)}"
                )
                difference = (made - wanted).abs().max().item()
                assert difference <= TOLERANCE * max(1.0, whole.abs().max().item()), (
                    f"rows {rows} of {size} made from bands differ by {difference:.1e} from the "
                    "whole picture: does the head state its reach?"
                )


def _some_rows(height: int) -> list[tuple[int, int]]:
    cuts = sorted({0, 1, height // 3, height // 2 + 1, height})
    return [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if b <= height]


def _band(
    values: Tensor | RowSource,
    needed: Callable[..., tuple[int, int]],
    rows: tuple[int, int],
    size: tuple[int, int],
) -> Band:
    assert isinstance(values, Tensor)
    height = values.shape[2]
    top, bottom = needed(rows, size=size, height=height)
    assert 0 <= top <= bottom <= height, (
        f"rows {rows} of {size} are said to need {top} to {bottom} of {height}"
    )
    return Band(values[:, :, top:bottom].clone(), top, height)


def check_autocast(model: SuperResolver, *, device: str = "cpu") -> None:
    """Half precision under autocast is finite and close to single precision.

    Raises:
        AssertionError: If not.
    """
    model.eval().to(device)
    lq = picture(24, 20).to(device)
    with torch.no_grad():
        exact = _run(model, lq)
        for dtype, bits in ((torch.bfloat16, 8), (torch.float16, 11)):
            with torch.autocast(device, dtype):
                sr = _run(model, lq).float()
            assert torch.isfinite(sr).all(), f"{dtype} gives values that are not finite"
            # Rounding errors add up over dozens of layers.
            allowed = 2.0**-bits * 16 * max(1.0, exact.abs().max().item())
            difference = (sr - exact).abs().max().item()
            assert difference <= allowed, f"{dtype} is off by {difference:.1e} > {allowed:.1e}"


def check_save_and_load(model: SuperResolver) -> None:
    """After saving and loading, the network gives exactly the same picture.

    Raises:
        AssertionError: If not.
    """
    lq = picture(13, 18)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder, "network.safetensors")
        save(model, path)
        again = load(path)
        assert again.config == model.config, f"{again.config} was loaded for {model.config}"
        assert again.trained == model.trained, "loading changed whether the network is trained"
        for own, loaded in zip(model.modules(), again.modules(), strict=True):
            if isinstance(own, WindowAttention) and isinstance(loaded, WindowAttention):
                loaded.mode = own.mode  # files do not store how attention is computed
        assert torch.equal(_run(again, lq), _run(model.eval(), lq)), "loading changed the output"


def _without_gradient(model: SuperResolver) -> list[str]:
    return [
        name
        for name, p in model.named_parameters()
        if p.grad is None or not p.grad.any() or not torch.isfinite(p.grad).all()
    ]


def _run(model: SuperResolver, lq: Tensor) -> Tensor:
    sr: Tensor = model(lq) if model.scale else model(lq, scale=2.5)
    return sr
