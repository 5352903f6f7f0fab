"""The eight flips and rotations. Oracle: numpy's rot90 and fliplr."""

import numpy as np
import pytest

from escsr.data import D4_VARIANTS, d4

IMAGE = np.arange(4 * 5 * 3).reshape(4, 5, 3)


def test_variants_are_the_dihedral_group():
    rotations = [np.rot90(IMAGE, k) for k in range(4)]
    expected = {a.tobytes() + bytes(a.shape) for r in rotations for a in (r, np.fliplr(r))}
    got = {a.tobytes() + bytes(a.shape) for a in (d4(IMAGE, v) for v in range(D4_VARIANTS))}
    assert len(expected) == 8
    assert got == expected


def test_zero_is_the_identity_and_the_input_is_left_alone():
    before = IMAGE.copy()
    assert np.array_equal(d4(IMAGE, 0), IMAGE)
    for variant in range(D4_VARIANTS):
        d4(IMAGE, variant)
    assert np.array_equal(IMAGE, before)


@pytest.mark.parametrize("variant", range(D4_VARIANTS))
def test_pairs_stay_aligned(variant):
    # oracle: nearest-neighbour enlargement commutes with every flip and rotation
    gray = IMAGE[..., 0]
    large = gray.repeat(3, axis=0).repeat(3, axis=1)
    assert np.array_equal(d4(large, variant), d4(gray, variant).repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("variant", [-1, 8])
def test_unknown_variant_is_refused(variant):
    with pytest.raises(ValueError, match=str(variant)):
        d4(IMAGE, variant)
