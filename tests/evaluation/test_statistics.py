"""Oracles: the plain loop of the bootstrap, and the normal law for many pictures."""

import numpy as np
import pytest

from escsr.evaluation import compare_means


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_interval_equals_the_plain_loop():
    a, b = rng(1).normal(30, 2, 14), rng(2).normal(30, 2, 14)
    found = compare_means(a, b, rng=rng(), draws=500)
    generator, means = rng(), []
    for row in generator.integers(0, 14, (500, 14)):
        means.append(sum(a[i] - b[i] for i in row) / 14)
    means.sort()
    assert found.mean == pytest.approx(np.mean(a) - np.mean(b))
    # The quantiles lie between neighbours of the sorted means. For 14 pictures they are wider than
    # 2.5 %: the normal law at -sqrt(14 / 13) · 2.1604 (Student's t, 13 degrees) is 1.248 %.
    place = 499 * 0.01248
    assert means[int(place)] <= found.low <= means[int(place) + 1]
    assert means[498 - int(place)] <= found.high <= means[499 - int(place)]
    assert found == compare_means(a, b, rng=rng(), draws=500)


def test_many_pictures_follow_the_normal_law():
    differences = rng(3).normal(0.1, 0.4, 2000)
    found = compare_means(differences, np.zeros(2000), rng=rng())
    half = 1.96 * differences.std() / np.sqrt(2000)
    assert found.low == pytest.approx(differences.mean() - half, abs=0.002)
    assert found.high == pytest.approx(differences.mean() + half, abs=0.002)


def test_few_pictures_are_covered_nearly_as_promised():
    """Oracle: simulation; without the expansion 88 of 100 intervals would hold the mean."""
    generator, held = rng(4), 0
    for _ in range(300):
        differences = generator.normal(0.1, 0.3, 5)
        found = compare_means(differences, np.zeros(5), rng=generator, draws=1000)
        held += found.low <= 0.1 <= found.high
    assert held / 300 > 0.9


@pytest.mark.parametrize(
    ("differences", "better", "verdict"),
    [
        ([0.3, 0.2, 0.4, 0.3, 0.2, 0.3], "higher", "a better"),
        ([0.3, 0.2, 0.4, 0.3, 0.2, 0.3], "lower", "b better"),
        ([-0.3, -0.2, -0.4, -0.3, -0.2], "higher", "b better"),
        ([0.3, -0.2, 0.4, -0.3, 0.2, -0.3], "higher", "no difference shown"),
        ([0.01, 0.012, 0.009, 0.01, 0.011], "higher", "negligible"),
        ([0.0] * 6, "higher", "no difference shown"),
        ([0.3, 0.2, 0.4, 0.3], "higher", "too few pictures"),
        ([0.3], "higher", "too few pictures"),
    ],
)
def test_verdicts(differences, better, verdict):
    base = np.linspace(25, 35, len(differences))
    found = compare_means(base + differences, base, rng=rng(), better=better, meaningful=0.02)
    assert found.verdict == verdict
    assert found.pictures == len(differences)


def test_errors():
    with pytest.raises(ValueError, match="2 and 1 values"):
        compare_means([1, 2], [1], rng=rng())
    with pytest.raises(ValueError, match="0 and 0"):
        compare_means([], [], rng=rng())
    with pytest.raises(ValueError, match="finite"):
        compare_means([float("inf")], [1], rng=rng())
