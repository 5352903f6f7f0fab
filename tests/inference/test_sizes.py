"""What size a request means. Oracles: exact fractions, and figures worked out by hand."""

from fractions import Fraction

import numpy as np
import pytest

from escsr.inference import SizeRequest


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"scale": 2.5}, (2700, 4800)),
        ({"scale": 1}, (1080, 1920)),
        ({"scale": 0.5}, (540, 960)),
        ({"size": (2160, 4000)}, (2160, 4000)),
        ({"width": 3840}, (2160, 3840)),
        ({"height": 2160}, (2160, 3840)),
        ({"min_side": 2160}, (2160, 3840)),
        ({"max_side": 3840}, (2160, 3840)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_every_way_to_ask(asked: dict, size: tuple[int, int]) -> None:
    request = SizeRequest(**asked)
    assert request.of(1080, 1920) == size
    assert not request.is_open
    # The same picture on its side: what was a width is a height.
    turned = {"width": "height", "height": "width"}
    asked = {turned.get(name, name): value for name, value in asked.items()}
    if "size" in asked:
        asked["size"] = asked["size"][::-1]
    assert SizeRequest(**asked).of(1920, 1080) == size[::-1]


def test_a_square_has_no_shorter_side() -> None:
    assert SizeRequest(min_side=300).of(100, 100) == SizeRequest(max_side=300).of(100, 100)


def test_the_other_side_is_the_nearest_that_keeps_the_shape() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        height, width = (int(side) for side in rng.integers(1, 5000, 2))
        asked = int(rng.integers(1, 30 * width + 1))
        made = SizeRequest(width=asked).of(height, width)
        exact = Fraction(height * asked, width)
        assert made[1] == asked
        assert made[0] >= 1
        assert abs(made[0] - exact) <= Fraction(1, 2) or (made[0] == 1 and exact < 1)
        # The limit is on what was asked, not on what rounding makes of the other side.
        assert made[0] <= 30 * height


def test_limits() -> None:
    assert SizeRequest(scale=30).of(7, 3) == (210, 90)
    assert SizeRequest(scale=0.001).of(7, 3) == (1, 1)
    assert SizeRequest(size=(30, 1)).of(1, 1) == (30, 1)
    with pytest.raises(ValueError, match="enlargement of 31 times; at most 30"):
        SizeRequest(size=(31, 1)).of(1, 1)
    with pytest.raises(ValueError, match="no size was asked"):
        SizeRequest().of(1, 1)
    assert SizeRequest().is_open


def test_numbers_of_numpy_are_numbers() -> None:
    assert SizeRequest(width=np.int64(20)).of(5, 10) == (10, 20)
    made = SizeRequest(size=(np.int32(7), np.int32(9))).of(5, 5)
    assert made == (7, 9)
    assert all(type(side) is int for side in made)
