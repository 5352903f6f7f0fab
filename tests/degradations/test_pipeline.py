"""Pipelines. Oracles: the probabilities of the paper (chi-square), JSON, the literal pipeline."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from escsr.degradations import (
    Blur,
    Draw,
    GaussianNoise,
    InOrder,
    Maybe,
    OneOf,
    Pipeline,
    Quantize,
    Resize,
    ResizeToLq,
    Shuffled,
    degrade,
    list_presets,
    preset,
)
from escsr.degradations.literal import degrade_literally
from escsr.degradations.pipeline import _groups
from escsr.degradations.throughput import measure_throughput
from tests.degradations.conftest import pictures

REAL_KINDS = {
    "gaussian_iso": 0.45,
    "gaussian_aniso": 0.25,
    "generalized_iso": 0.12,
    "generalized_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}


def likely(counts: Counter, shares: dict) -> float:
    """p of the counts under the shares."""
    assert set(counts) <= set(shares)
    total = sum(counts.values())
    observed = [counts[key] for key in shares]
    return chisquare(observed, [share * total for share in shares.values()]).pvalue


@pytest.fixture(scope="module")
def thousand() -> list[Draw]:
    rng = np.random.default_rng(2024)
    pipeline = preset("real")
    return [pipeline.draw(rng, size=(256, 256), lq_size=(64, 64)) for _ in range(1000)]


def split(draw: Draw):
    """Steps of a draw of "real" by their place: first and second round, and the end."""
    names = [step.effect for step in draw.steps]
    assert names[:3] == ["usm_sharpen", "blur", "resize"]
    assert names[3].endswith("_noise")
    assert names[4] == "jpeg_differentiable"
    has_second_blur = names[5] == "blur"
    second = draw.steps[5 : 8 if has_second_blur else 7]
    return draw.steps[1:5], second, draw.steps[5 + len(second) :]


def test_shares_of_the_first_round(thousand):
    first = [split(draw)[0] for draw in thousand]
    blurs = [steps[0] for steps in first]
    sinc = Counter(blur.kind == "sinc" for blur in blurs)
    assert likely(sinc, {True: 0.1, False: 0.9}) > 1e-3
    kinds = Counter(blur.kind for blur in blurs if blur.kind != "sinc")
    assert likely(kinds, REAL_KINDS) > 1e-3
    assert likely(Counter(b.size for b in blurs), dict.fromkeys(range(7, 22, 2), 1 / 8)) > 1e-3
    ways = Counter(np.sign(steps[1].size[0] - 256) for steps in first)
    # A factor that rounds back to 256 counts as none: 1/256 of 0.5 upwards, 0 of the others.
    assert likely(ways, {1: 0.2, -1: 0.7, 0: 0.1}) > 1e-3
    modes = Counter(steps[1].mode for steps in first)
    assert likely(modes, dict.fromkeys(("area", "bilinear", "bicubic"), 1 / 3)) > 1e-3
    noises = Counter((steps[2].effect, steps[2].gray) for steps in first)
    shares = {
        (f"{name}_noise", gray): 0.5 * (0.4 if gray else 0.6)
        for name in ("gaussian", "poisson")
        for gray in (True, False)
    }
    assert likely(noises, shares) > 1e-3


def test_shares_of_the_second_round(thousand):
    seconds, ends = zip(*(split(draw)[1:] for draw in thousand), strict=True)
    blurred = Counter(len(steps) == 3 for steps in seconds)
    assert likely(blurred, {True: 0.8, False: 0.2}) > 1e-3
    ways = Counter(np.sign(steps[-2].size[0] - 64) for steps in seconds)
    # Here 0.2 / 1.2 of the factors upwards are below 65 / 64: they round back to 64.
    lost = 0.3 * (1 / 64) / 0.2
    assert likely(ways, {1: 0.3 - lost, -1: 0.4, 0: 0.3 + lost}) > 1e-3
    noises = Counter((steps[-1].effect, steps[-1].gray) for steps in seconds)
    assert likely(noises, dict(zip(noises, _halves(noises), strict=True))) > 1e-3
    orders = Counter(steps[0].effect for steps in ends)
    assert likely(orders, {"resize": 0.5, "jpeg_differentiable": 0.5}) > 1e-3
    sincs = Counter("blur" in [step.effect for step in steps] for steps in ends)
    assert likely(sincs, {True: 0.8, False: 0.2}) > 1e-3
    for steps in ends:
        for step in steps:
            if step.effect == "blur":
                assert step.kind == "sinc"
                assert step.cutoff >= np.pi / 3


def _halves(noises):
    return [0.5 * (0.4 if gray else 0.6) for _, gray in noises]


def test_ranges_are_uniform(thousand):
    """Oracle: ten equal parts of each range of the paper."""
    values = {"sigma1": [], "sigma2": [], "poisson": [], "quality": [], "noise2": []}
    for draw in thousand:
        first, second, _ = split(draw)
        if first[0].kind != "sinc":
            values["sigma1"].append((first[0].sigma_x - 0.2) / 2.8)
        if len(second) == 3 and second[0].kind != "sinc":
            values["sigma2"].append((second[0].sigma_x - 0.2) / 1.3)
        if first[2].effect == "poisson_noise":
            values["poisson"].append((first[2].scale - 0.05) / 2.95)
        if second[-1].effect == "gaussian_noise":
            values["noise2"].append((second[-1].sigma - 1) / 24)
        values["quality"].append((first[3].quality - 30) / 65)
    for drawn in values.values():
        counts = Counter(int(value * 10) for value in drawn)
        assert likely(counts, dict.fromkeys(range(10), 0.1)) > 1e-3


@pytest.mark.parametrize(
    ("count", "largest"), [(60, 110), pytest.param(1000, 400, marks=pytest.mark.slow)]
)
def test_every_draw_gives_a_sound_picture(count, largest):
    """Sizes from 32 and scales from 1 to 8, each axis its own: finite, right size, in [0, 1]."""
    rng = np.random.default_rng(7)
    pipeline = preset("real")
    for number in range(count):
        # As many between 32 and 64 as between 200 and 400.
        height, width = (round(32 * (largest / 32) ** part) for part in rng.random(2))
        lq_size = tuple(max(1, int(s / rng.uniform(1, 8))) for s in (height, width))
        draw = pipeline.draw(rng, size=(height, width), lq_size=lq_size)
        lq = degrade(pictures(1, height, width, seed=number), [draw])
        assert lq.shape == (1, 3, *lq_size)
        assert lq.isfinite().all()
        assert lq.min() >= 0
        assert lq.max() <= 1


@pytest.mark.parametrize("name", list_presets())
def test_presets_replay_and_batch(name):
    """Bit for bit: from JSON, alone and in a batch of 8, with one thread and with three."""
    rng = np.random.default_rng(1)
    pipeline = preset(name)
    images = pictures(8, 64, 52)
    draws = [pipeline.draw(rng, size=(64, 52), lq_size=(23, 30)) for _ in range(8)]
    together = pipeline.apply(images, draws)
    assert together.shape == (8, 3, 23, 30)
    assert torch.equal(together, (together * 255).round() / 255)
    threads = torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            for index, draw in enumerate(draws):
                again = Draw.from_json(draw.to_json(about={"name": "x"}))
                assert again == draw
                alone = degrade(images[index : index + 1], [again])
                assert torch.equal(alone[0], together[index])
    finally:
        torch.set_num_threads(threads)


def test_larger_pictures_do_not_depend_on_threads():
    """Sizes at which PyTorch's bilinear and Fourier transforms do."""
    rng = np.random.default_rng(3)
    images = pictures(1, 251, 173)
    pipeline = preset("real")
    draws = [pipeline.draw(rng, size=(251, 173), lq_size=(126, 87)) for _ in range(6)]
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            results.append(torch.cat([degrade(images, [draw]) for draw in draws]))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_real_is_what_its_definition_says():
    """Oracle: the literal pipeline, step by step on the same input, and as a whole.

    A last bit may round a coefficient of JPEG to its neighbour, so means are compared; as a whole
    that now and then leads Poisson noise to other numbers, so the median is.
    """
    rng = np.random.default_rng(5)
    pipeline = preset("real")
    whole = []
    for number in range(12):
        image = first = pictures(1, 120, 104, seed=number)
        draw = pipeline.draw(rng, size=(120, 104), lq_size=(60, 52))
        for step in draw.steps:
            alone = Draw(
                size=tuple(image.shape[-2:]),
                lq_size=step.size_after(tuple(image.shape[-2:])),
                steps=(step,),
            )
            expected = degrade_literally(image, alone)
            image = degrade(image, [alone])
            assert (image - expected).abs().mean() * 255 < 0.02, step
        whole.append((degrade(first, [draw]) - degrade_literally(first, draw)).abs().mean() * 255)
    assert np.median(whole) < 0.01


def test_literal_refuses_other_effects():
    draw = preset("bicubic").draw(np.random.default_rng(0), size=(32, 32), lq_size=(8, 8))
    with pytest.raises(ValueError, match="matlab_bicubic has no literal form"):
        degrade_literally(pictures(1, 32, 32), draw)


def test_throughput_is_measured():
    found = measure_throughput(size=48, batch=2, batches=1, repeats=1)
    assert found.literal > 0
    assert found.escsr > 0
    assert found.difference < 2


def test_sharpening_can_be_left_out():
    rng = np.random.default_rng(0)
    draw = preset("real", sharpen=False).draw(rng, size=(64, 64), lq_size=(16, 16))
    assert draw.steps[0].effect == "blur"


def test_shuffled_orders_are_all_equally_likely():
    rule = Shuffled((Blur(), GaussianNoise(), Quantize()))
    rng = np.random.default_rng(0)
    frame = _frame()
    orders = Counter(tuple(step.effect for step in rule.steps(rng, frame)) for _ in range(1200))
    assert len(orders) == 6
    assert likely(orders, dict.fromkeys(orders, 1 / 6)) > 1e-3


def test_shuffled_keeps_the_order_asked_for():
    rule = Shuffled((Blur(), Resize(), Quantize(), ResizeToLq()), ordered=(1, 3))
    rng = np.random.default_rng(0)
    places = Counter()
    for _ in range(600):
        steps = rule.steps(rng, _frame())
        sizes = [index for index, step in enumerate(steps) if step.effect == "resize"]
        assert steps[sizes[1]].size == (16, 16)
        places[tuple(sizes)] += 1
    assert likely(places, dict.fromkeys(places, 1 / 6)) > 1e-3


def test_weights_of_one_of():
    rule = OneOf(((3, Blur()), (1, InOrder((Quantize(), Maybe(0.5, Quantize()))))))
    rng = np.random.default_rng(0)
    lengths = Counter()
    for _ in range(1000):
        steps = rule.steps(rng, _frame())
        lengths[(steps[0].effect, len(steps))] += 1
    shares = {("blur", 1): 0.75, ("quantize", 1): 0.125, ("quantize", 2): 0.125}
    assert likely(lengths, shares) > 1e-3


def _frame():
    from escsr.degradations import Frame

    return Frame((64, 64), (16, 16))


class _OnGpu:
    """Stands in for a picture on a GPU: only its shape and device are looked at."""

    device = torch.device("cuda")

    def __init__(self, *shape: int) -> None:
        self.shape = shape


def test_on_a_gpu_equal_effects_and_sizes_go_together():
    rng = np.random.default_rng(0)
    blur, noise = Blur().draw(rng, _frame()), GaussianNoise().draw(rng, _frame())
    small, large = _OnGpu(1, 3, 8, 8), _OnGpu(1, 3, 9, 8)
    samples = [small, small, large, small, small]
    assert _groups(samples, [blur, noise, blur, blur, None]) == [[0, 3], [1], [2]]
    here = list(pictures(2, 8, 8).split(1))
    assert _groups(here, [blur, blur]) == [[0], [1]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu():
    """Oracle: the CPU, with noise left out: a GPU has generators of its own."""
    rng = np.random.default_rng(0)
    images = pictures(8, 96, 96)
    pipeline = Pipeline((Blur(), Resize(), Blur(sinc=1.0), ResizeToLq()))
    draws = [pipeline.draw(rng, size=(96, 96), lq_size=(24, 24)) for _ in range(8)]
    found = degrade(images.cuda(), draws)
    assert found.is_cuda
    assert (found.cpu() - degrade(images, draws)).abs().max() < 1e-4
    draws = [preset("real").draw(rng, size=(96, 96), lq_size=(24, 24)) for _ in range(8)]
    one, again = (degrade(images.cuda(), draws) for _ in range(2))
    assert torch.equal(one, again)
    assert (one.cpu() - degrade(images, draws)).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="x"), "format"),
        (lambda d: d.pop("size"), "damaged"),
        (lambda d: d.update(size=3), "damaged"),
        (lambda d: d.update(steps=[3]), "damaged"),
        (lambda d: d["steps"][0].update(effect="blurr"), "unknown effect"),
        (lambda d: d.update(lq_size=[5, 5]), "end at"),
    ],
)
def test_damaged_json_is_refused(change, message):
    draw = preset("real").draw(np.random.default_rng(0), size=(64, 64), lq_size=(16, 16))
    values = json.loads(draw.to_json())
    change(values)
    with pytest.raises(ValueError, match=message):
        Draw.from_json(json.dumps(values))
    with pytest.raises(ValueError, match="not JSON"):
        Draw.from_json("{")


def test_refusals():
    rng = np.random.default_rng(0)
    pipeline = preset("real_light")
    draw = pipeline.draw(rng, size=(32, 32), lq_size=(8, 8))
    image = pictures(1, 32, 32)
    with pytest.raises(ValueError, match="Did you mean 'real_light'"):
        preset("reallight")
    with pytest.raises(TypeError, match="numpy.random.Generator"):
        pipeline.draw(np.random, size=(32, 32), lq_size=(8, 8))
    with pytest.raises(ValueError, match="ResizeToLq"):
        Pipeline((Blur(),)).draw(rng, size=(32, 32), lq_size=(8, 8))
    with pytest.raises(ValueError, match="lq_size"):
        pipeline.draw(rng, size=(32, 32), lq_size=(0, 8))
    with pytest.raises(TypeError, match="effects and rules"):
        Pipeline(("blur",))
    with pytest.raises(ValueError, match="rising positions"):
        Shuffled((Blur(), Quantize()), ordered=(1, 0))
    with pytest.raises(ValueError, match="as many draws"):
        degrade(image, [])
    with pytest.raises(ValueError, match="draw is for a picture"):
        degrade(image[..., :30], [draw])
    other = pipeline.draw(rng, size=(32, 32), lq_size=(9, 8))
    with pytest.raises(ValueError, match="one LQ size"):
        degrade(pictures(2, 32, 32), [draw, other])
    with pytest.raises(TypeError, match="float16"):
        degrade(image.half(), [draw])
