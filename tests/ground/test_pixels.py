"""Integer pixels and floats.

Oracle: exact rounding in fractions of integers; the two implementations against each other.
"""

from fractions import Fraction

import numpy as np
import pytest
import torch

from escsr.pixels import (
    from_float,
    from_tensor,
    to_float,
    to_levels,
    to_levels_tensor,
    to_tensor,
)

DEPTHS = [(8, np.uint8), (16, np.uint16)]


@pytest.mark.parametrize(("depth", "dtype"), DEPTHS)
def test_every_value_survives(depth, dtype):
    every = np.arange(2**depth, dtype=dtype).reshape(-1, 4, 1)
    assert np.array_equal(from_float(to_float(every), depth=depth), every)
    assert np.array_equal(from_tensor(to_tensor(every), depth=depth), every)
    assert np.array_equal(from_tensor(to_tensor(every).double(), depth=depth), every)


@pytest.mark.parametrize(("depth", "dtype"), DEPTHS)
def test_rounding_is_to_the_nearest(depth, dtype):
    values = np.random.default_rng(0).uniform(-0.1, 1.1, 2000)
    top = 2**depth - 1
    clipped = np.clip(values, 0, 1).tolist()
    exact = [int((Fraction(value) * top + Fraction(1, 2)) // 1) for value in clipped]
    found = to_levels(values, depth=depth)
    assert found.dtype == dtype
    assert found.tolist() == exact


def test_halves_go_upwards():
    halves = (np.arange(255) + 0.5) / 255  # of which rounding to even takes half downwards
    assert to_levels(halves).tolist() == list(range(1, 256))
    assert to_levels_tensor(torch.from_numpy(halves)).tolist() == list(range(1, 256))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("depth", [8, 16])
def test_pytorch_and_numpy_give_the_same(depth, dtype):
    values = (torch.rand(3, 50, 70, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1).to(
        dtype
    )
    wide = values if dtype == torch.float64 else values.float()
    wanted = from_float(wide.numpy(), depth=depth)
    assert np.array_equal(from_tensor(values.requires_grad_(), depth=depth), wanted)
    levels = to_levels_tensor(values, depth=depth)
    assert np.array_equal(levels.numpy().transpose(1, 2, 0), wanted)


def test_nothing_is_written_to_the_input():
    values = np.linspace(-1, 2, 12, dtype=np.float32).reshape(3, 2, 2)
    before, tensor = values.copy(), torch.from_numpy(values.copy())
    from_float(values)
    to_levels_tensor(tensor)
    from_tensor(tensor)
    assert np.array_equal(values, before)
    assert np.array_equal(tensor.numpy(), before)


def test_gray_and_alpha():
    assert to_float(np.zeros((2, 5), np.uint8)).shape == (1, 2, 5)
    assert to_tensor(np.zeros((2, 5, 4), np.uint16)).shape == (4, 2, 5)


def test_what_is_refused():
    nan = np.full((3, 2, 2), np.nan, np.float32)
    for refused in (from_float, to_levels):
        with pytest.raises(ValueError, match="NaN"):
            refused(nan)
    for refused in (from_tensor, to_levels_tensor):
        with pytest.raises(ValueError, match="NaN"):
            refused(torch.from_numpy(nan))
    with pytest.raises(ValueError, match="8 or 16, got 10"):
        to_levels(np.zeros(3), depth=10)
    with pytest.raises(ValueError, match="8 or 16, got 10"):
        to_levels_tensor(torch.zeros(3), depth=10)
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        from_float(np.zeros((2, 2)))
    with pytest.raises(TypeError, match="int64; allowed: uint8, uint16"):
        to_float(np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match="got"):
        to_tensor(np.zeros(2, np.uint8))
