"""Places between pixels. Oracles: fractions, `F.interpolate` and `F.grid_sample` in float64."""

from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from escsr.layers import make_cells, make_coords
from escsr.layers.coords import bilinear_at, grid_phases, grid_taps, point_taps

LENGTHS = [(1, 1), (5, 1), (3, 3), (9, 3), (8, 4), (7, 3), (10, 4), (25, 10), (31, 30)]


def places(length_out: int, length_in: int) -> list[Fraction]:
    """In pixels, 0 at the centre of the first."""
    return [
        Fraction((2 * i + 1) * length_in, 2 * length_out) - Fraction(1, 2)
        for i in range(length_out)
    ]


@pytest.mark.parametrize(("length_out", "length_in"), LENGTHS)
def test_grid_taps_equal_fractions(length_out: int, length_in: int) -> None:
    found: dict[int, list[tuple[int, float, float]]] = {}
    for group in grid_taps(length_out, length_in):
        for k, place in enumerate(group.places.tolist()):
            assert place not in found
            found[place] = [
                (int(group.pixels[t, k]), float(group.offsets[t, k]), float(group.weights[t, k]))
                for t in range(len(group.pixels))
            ]
    for i, place in enumerate(places(length_out, length_in)):
        low = place.numerator // place.denominator
        inside = {min(max(p, 0), length_in - 1) for p in (low, low + 1)}
        wanted = {low: 1 - (place - low), low + 1: place - low}
        if len(inside) == 1:
            wanted = {inside.pop(): Fraction(1)}
        wanted = {p: weight for p, weight in wanted.items() if weight}
        assert {p: weight for p, _, weight in found[i]} == pytest.approx(
            {p: float(weight) for p, weight in wanted.items()}, abs=1e-15
        )
        for pixel, offset, _ in found[i]:
            assert offset == pytest.approx(float(2 * (place - pixel)), abs=1e-14)


@pytest.mark.parametrize(("length_out", "length_in"), LENGTHS)
def test_nearest_pixels_and_phases_equal_fractions(length_out: int, length_in: int) -> None:
    (group,) = grid_taps(length_out, length_in, ensemble=False)
    phases = grid_phases(length_out, length_in)
    points = point_taps(make_coords((length_out, 1))[:, 0], length_in, ensemble=False)[0]
    wanted = [int(place + Fraction(1, 2)) for place in places(length_out, length_in)]
    assert group.pixels[0].tolist() == phases.pixels.tolist() == wanted
    assert points.pixels.tolist() == wanted
    offsets = [2 * (p - i) for p, i in zip(places(length_out, length_in), wanted, strict=True)]
    assert phases.offsets[phases.indices] == pytest.approx([float(o) for o in offsets], abs=1e-14)
    assert len(phases.offsets) == len(set(offsets))
    assert phases.repeats == (length_out % length_in == 0)
    places_of = [[i for i, p in enumerate(wanted) if p == pixel] for pixel in range(length_in)]
    starts = phases.starts.tolist()
    found = [list(range(*starts[pixel : pixel + 2])) for pixel in range(length_in)]
    assert found == places_of
    whole = len(phases.offsets)
    assert whole * phases.repetitions == length_out
    assert phases.period * phases.repetitions == length_in
    for i in range(length_out - whole):  # what lies a period further has the same offset
        assert wanted[i + whole] == wanted[i] + phases.period
        assert phases.indices[i + whole] == phases.indices[i]
    groups = {pixel: list(range(part.start, part.stop)) for pixel, part in phases.groups()}
    assert groups == {p: places_of[p] for p in range(phases.period) if places_of[p]}


def test_bilinear_at_points_equals_pytorch() -> None:
    state = np.random.RandomState(0)
    for own in ((4, 7), (1, 1), (5, 3)):
        picture = torch.from_numpy(state.rand(2, 3, *own))
        coords = torch.from_numpy(state.uniform(-1.1, 1.1, (2, 20, 2)))
        sampled = F.grid_sample(
            picture, coords.flip(-1)[:, None], padding_mode="border", align_corners=False
        )
        assert (bilinear_at(picture, coords) - sampled[:, :, 0].mT).abs().max() < 1e-12


def test_coordinates() -> None:
    coords = make_coords((3, 2), dtype=torch.float64)
    wanted = [[y, x] for y in (-2 / 3, 0, 2 / 3) for x in (-0.5, 0.5)]
    assert coords.tolist() == pytest.approx(np.array(wanted))
    assert make_cells((3, 2), dtype=torch.float64).tolist() == [[[2 / 3, 1.0]]]


def test_published_coordinates_round_as_published() -> None:
    """Oracle: the published expression in NumPy's float32."""
    size = (71, 97)
    rows, columns = (
        np.float32(-1 + 1 / n) + np.float32(2 / n) * np.arange(n, dtype=np.float32) for n in size
    )
    found = make_coords(size, published=True).reshape(*size, 2).numpy()
    assert np.array_equal(found[:, 0, 0], rows)
    assert np.array_equal(found[0, :, 1], columns)
    exact = make_coords(size).reshape(*size, 2).numpy()
    assert 0 < np.abs(found - exact).max() < 2e-7
