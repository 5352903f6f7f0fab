"""The head against its contract, and against what it promises.

Oracles: `escsr.testing`, a loop over single pixels, and the head itself on another grid.
"""

import pytest
import torch
from escsr_point_head import PointHead, places

import escsr
from escsr.testing import check_network


def network() -> escsr.SuperResolver:
    """A tiny network with this head, found by its name."""
    torch.manual_seed(0)
    small = {"num_blocks": 1, "conv_blocks": 1}
    return escsr.build("esc_tiny", head="point", backbone_args=small)


def test_contract() -> None:
    """Sizes, batches, gradients, half precision, saving: all that escsr asks of a head."""
    check_network(network())


@pytest.mark.parametrize(
    ("given", "made"), [((1, 1), (3, 5)), ((17, 31), (100, 64)), ((9, 9), (9, 9))]
)
def test_exact_sizes(given: tuple[int, int], made: tuple[int, int]) -> None:
    """The size asked, whatever its shape."""
    assert network()(torch.rand(1, 3, *given), size=made).shape == (1, 3, *made)


def test_places_by_a_loop() -> None:
    """Every place, computed for one pixel at a time."""
    got = places(torch.zeros(1, 4, 5, 3, dtype=torch.float64), (7, 11))[0]
    for y in range(7):
        for x in range(11):
            for value, index, given, made in ((got[0], y, 5, 7), (got[1], x, 3, 11)):
                centre = (index + 0.5) * given / made - 0.5
                off = min((centre - pixel for pixel in range(given)), key=abs)
                assert abs(value[y, x].item() - off) < 1e-12


def test_a_larger_grid_shows_the_same_picture() -> None:
    """At three times the size, every third pixel lies where a pixel was, and is the same."""
    torch.manual_seed(0)
    head = PointHead(8).double()
    torch.nn.init.normal_(head.to_rgb.weight)
    features = torch.randn(1, 8, 6, 7, dtype=torch.float64)
    lq = torch.rand(1, 3, 6, 7, dtype=torch.float64)
    coarse, fine = head(features, lq, (9, 11)), head(features, lq, (27, 33))
    torch.testing.assert_close(fine[..., 1::3, 1::3], coarse)


def test_wrong_width() -> None:
    """An impossible argument is refused by name."""
    with pytest.raises(ValueError, match="hidden_dim must be at least 1, not 0"):
        PointHead(8, hidden_dim=0)
