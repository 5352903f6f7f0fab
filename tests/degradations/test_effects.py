"""What holds for every effect. Oracles: its own single-picture result, JSON, the registry."""

import dataclasses
import json
import re
import sys

import numpy as np
import pytest
import torch

from escsr.degradations import (
    EFFECTS,
    Albumentations,
    Blur,
    Bounds,
    CameraNoise,
    Choice,
    ChromaSubsampling,
    DefocusBlur,
    Effect,
    FileCodec,
    Frame,
    GaussianNoise,
    JpegDifferentiable,
    MatlabBicubic,
    MotionBlur,
    Oversharpen,
    PoissonNoise,
    Quantize,
    Resize,
    ResizeToLq,
    UsmSharpen,
    VideoFrame,
    parameters_from_dict,
)
from escsr.resize import imresize
from tests.degradations.conftest import EIGHT, ISO_NOISE, pictures

FRAME = Frame((40, 52), (13, 18))
DRAWERS = [
    Blur(),
    Blur(sinc=1.0),
    MotionBlur(),
    DefocusBlur(),
    UsmSharpen(weight=(0.1, 1)),
    Oversharpen(),
    Resize(),
    Resize(of="lq", antialias=True),
    ResizeToLq(),
    MatlabBicubic(),
    GaussianNoise(),
    PoissonNoise(),
    CameraNoise(),
    JpegDifferentiable(),
    FileCodec(),
    FileCodec(file_format="webp"),
    ChromaSubsampling(),
    Quantize(levels=(16, 64)),
    Albumentations(transform=ISO_NOISE),
    VideoFrame(),
]


def needed(name):
    if name == "video_codec":
        pytest.importorskip("av")
    if name == "albumentations":
        pytest.importorskip("albumentations")


def test_every_effect_is_tested_here():
    assert set(EIGHT) == set(EFFECTS)
    assert {type(drawer.draw(np.random.default_rng(0), FRAME)) for drawer in DRAWERS} == {
        EFFECTS.get(name) for name in EFFECTS
    }
    for name in EFFECTS:
        assert EFFECTS.get(name).effect == name


@pytest.mark.parametrize("name", list(EIGHT))
def test_batch_equals_singles_and_replays(name):
    """Bit for bit: each picture alone, in a batch, and again from JSON."""
    needed(name)
    images = pictures(8, 40, 52)
    before = images.clone()
    groups: dict[object, list[int]] = {}
    for index, parameters in enumerate(EIGHT[name]):
        groups.setdefault(parameters.batch_key(), []).append(index)
    for indices in groups.values():
        parameters = [EIGHT[name][index] for index in indices]
        together = EFFECTS.get(name).apply(images[indices], parameters)
        for result, index in zip(together, indices, strict=True):
            one = EIGHT[name][index]
            again = parameters_from_dict(json.loads(json.dumps(one.to_dict())))
            assert again == one
            alone = type(again).apply(images[index : index + 1], [again])
            assert torch.equal(alone[0], result)
            assert alone.shape[-2:] == one.size_after((40, 52))
            assert alone.isfinite().all()
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", sorted(set(EIGHT) - {"matlab_bicubic", "resize"}))
def test_every_effect_does_something(name):
    needed(name)
    image = pictures(1, 40, 52)
    changed = EFFECTS.get(name).apply(image, EIGHT[name][3:4])
    assert 0.001 < (changed - image).abs().mean() < 0.3


@pytest.mark.parametrize("name", list(EIGHT))
def test_descriptions_are_short(name):
    for parameters in EIGHT[name]:
        assert 0 < len(parameters.describe()) < 40


@pytest.mark.parametrize("drawer", DRAWERS, ids=lambda drawer: type(drawer).__name__)
def test_draws_come_from_the_generator_alone(drawer):
    one, same, other = (
        [drawer.draw(np.random.default_rng(seed), FRAME) for _ in range(1)] for seed in (1, 1, 2)
    )
    assert one == same
    fixed = ("MatlabBicubic",)
    if type(drawer).__name__ not in fixed and not isinstance(drawer, ResizeToLq):
        stream = np.random.default_rng(0)
        drawn = [drawer.draw(stream, FRAME) for _ in range(30)]
        assert any(parameters != drawn[0] for parameters in drawn)
    assert other[0].effect == one[0].effect


def test_ranges_are_kept():
    """Oracle: the ranges themselves, over 500 draws."""
    rng = np.random.default_rng(0)
    for _ in range(500):
        blur = Blur(sinc=0.3).draw(rng, FRAME)
        assert blur.size in (7, 9, 11, 13, 15, 17, 19, 21)
        if blur.kind == "sinc":
            assert (np.pi / 3 if blur.size < 13 else np.pi / 5) <= blur.cutoff <= np.pi
        else:
            assert 0.2 <= min(blur.sigma_x, blur.sigma_y) <= max(blur.sigma_x, blur.sigma_y) <= 3
            low, high = {"gen": (0.5, 4), "pla": (1, 2)}.get(blur.kind[:3], (1, 1))
            assert low <= blur.beta <= high
        noise = CameraNoise().draw(rng, FRAME)
        assert 0.01 <= noise.shot <= 0.12
        assert 0.001 <= noise.read <= 0.02
        assert 30 <= FileCodec(quality=(30, 33)).draw(rng, FRAME).quality <= 33
        small = Resize().draw(rng, FRAME).size
        assert int(0.15 * 40) <= small[0] <= 60
        assert int(0.15 * 52) <= small[1] <= 78


def test_matlab_bicubic_is_imresize():
    """Oracle: `escsr.resize.imresize` on 8 bits, itself tested against MATLAB's files."""
    image = pictures(1, 40, 52)
    pixels = (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
    found = EFFECTS.get("matlab_bicubic").apply(image, EIGHT["matlab_bicubic"][:1])
    expected = imresize(np.ascontiguousarray(pixels), size=(20, 31))
    assert np.array_equal((found[0] * 255).round().byte().permute(1, 2, 0).numpy(), expected)
    assert torch.equal(found, (found * 255).round() / 255)


def test_albumentations_own_transform():
    """Oracle: albumentations itself with the same seed."""
    albumentations = pytest.importorskip("albumentations")
    effect = Albumentations(transform=albumentations.ISONoise(p=1.0, intensity=(0.3, 0.6)))
    drawn = effect.draw(np.random.default_rng(0), FRAME)
    image = pictures(1, 40, 52)
    own = albumentations.Compose(
        [albumentations.ISONoise(p=1.0, intensity=(0.3, 0.6))], seed=drawn.seed
    )
    expected = own(image=image[0].permute(1, 2, 0).numpy())["image"]
    found = effect.apply(image, [drawn])[0].permute(1, 2, 0).numpy()
    assert np.array_equal(found, np.clip(expected, 0, 1))
    assert drawn.describe() == "ISONoise"


def test_albumentations_that_change_the_size_are_refused():
    albumentations = pytest.importorskip("albumentations")
    effect = Albumentations(transform=albumentations.CenterCrop(8, 8))
    with pytest.raises(ValueError, match="keep the size"):
        effect.apply(pictures(1, 40, 52), [effect.draw(np.random.default_rng(0), FRAME)])


def test_missing_albumentations_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    effect = Albumentations(transform=ISO_NOISE)
    with pytest.raises(ModuleNotFoundError, match=r"escsr\[train\]"):
        effect.apply(pictures(1, 9, 9), [effect.draw(np.random.default_rng(0), FRAME)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"effect": "blurr", "size": 3}, "Did you mean 'blur'"),
        ({"effect": "quantize", "level": 3}, "Did you mean 'levels'"),
        ({"effect": "quantize"}, "lacks levels"),
        ({"levels": 3}, "needs its name"),
        ({"effect": "quantize", "levels": "3"}, "number"),
        ({"effect": "quantize", "levels": True}, "number"),
        ({"effect": "gaussian_noise", "sigma": 1, "gray": "no", "seed": 1}, "gray"),
        ({"effect": "poisson_noise", "scale": 1, "gray": False, "seed": 0.5}, "whole number"),
        ({"effect": "resize", "size": [0, 3], "mode": "area"}, "at least 1"),
        ({"effect": "resize", "size": [3], "mode": "area"}, "whole pixels"),
        ({"effect": "blur", "kind": "sinc", "size": 4}, "odd"),
        ({"effect": "albumentations", "transform": "{", "seed": 0}, "JSON text"),
        ({"effect": "video_codec", "codec": "h264", "quality": 99}, "quality"),
        ({"effect": "video_codec", "codec": "h264", "quality": 9, "motion": [1]}, "motion"),
        ({"effect": "blur", "kind": "gaussian_aniso", "size": 3, "theta": float("nan")}, "theta"),
    ],
)
def test_damaged_parameters_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        parameters_from_dict(values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blur(sigma=(3, 1)), "low <= high"),
        (lambda: Blur(sigma=(0, 1)), "sigma"),
        (lambda: Blur(sizes=(8,)), "odd"),
        (lambda: Blur(kinds=(("gaussian", 1.0),)), "gaussian_iso"),
        (lambda: Blur(kinds=(("gaussian_iso", 0.0),)), "above 0"),
        (lambda: Blur(sinc=1.5), "0 to 1"),
        (lambda: Resize(scale=(0.2, 0.9)), "enclose 1"),
        (lambda: Resize(up=0, down=0, keep=0), "above 0"),
        (lambda: Resize(modes=()), "at least one"),
        (lambda: ResizeToLq(modes=("lanczos",)), "area, bilinear"),
        (lambda: GaussianNoise(sigma=(1, 256)), "sigma"),
        (lambda: PoissonNoise(gray=-0.1), "gray"),
        (lambda: CameraNoise(grain=(0, 9)), "grain"),
        (lambda: JpegDifferentiable(quality=(0, 50)), "quality"),
        (lambda: FileCodec(file_format="gif"), "jpeg, webp, avif"),
        (lambda: FileCodec(subsamplings=()), "at least one"),
        (lambda: ChromaSubsampling(factors=(0,)), "factors"),
        (lambda: Quantize(levels=(1, 8)), "levels"),
        (lambda: UsmSharpen(radius=0), "radius"),
        (lambda: Oversharpen(sigma=(0, 1)), "sigma"),
        (lambda: MotionBlur(length=(1, 999)), "length"),
        (lambda: DefocusBlur(radius=3), "pair"),
        (lambda: VideoFrame(quality=(20, 60)), "quality"),
        (lambda: VideoFrame(quality=(30, 20)), "low <= high"),
        (lambda: VideoFrame(codec="mpeg4", quality=(20, 38)), "quality"),
        (lambda: FileCodec(quality=(30.5, 95)), "whole number"),
        (lambda: Quantize(levels=(16, 64.5)), "whole number"),
    ],
)
def test_impossible_ranges_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def bounded_fields():
    """(class, field, bounds, whether it is a range) of every number that has bounds."""
    kinds = {*(EFFECTS.get(name) for name in EFFECTS), *(type(drawer) for drawer in DRAWERS)}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        for field in dataclasses.fields(kind):
            check = next(iter(field.metadata.values()), None)
            bounds = getattr(check, "__self__", None)
            if isinstance(bounds, Bounds):
                yield pytest.param(
                    kind, field.name, bounds, check, id=f"{kind.__name__}.{field.name}"
                )


EXAMPLES = {type(one): one for several in EIGHT.values() for one in several}
EXAMPLES |= {type(drawer): drawer for drawer in DRAWERS}


@pytest.mark.parametrize(("kind", "name", "bounds", "check"), list(bounded_fields()))
def test_bounds_of_fields_hold(kind, name, bounds, check):
    """Oracle: the numbers in the docstring, and values just inside and just outside of them."""
    wrap = {
        "check": lambda value: value,
        "check_range": lambda value: (value, value),
        "check_several": lambda value: (value,),
    }[check.__name__]
    step = 1 if bounds.whole else 1e-6
    least, most = (int(end) if bounds.whole else end for end in (bounds.least, bounds.most))
    for value in (least, most):
        dataclasses.replace(EXAMPLES[kind], **{name: wrap(value)})
    for value in (least - step, most * (1 + 1e-9) + step, float("nan"), "1", True):
        with pytest.raises(ValueError, match=name):
            dataclasses.replace(EXAMPLES[kind], **{name: wrap(value)})
    said = kind.__doc__.partition(f"        {name}: ")[2]
    documented = re.match(r"(?:.|\n(?! {8}\w))*?\b(-?[\d.]+) to ([\d.]+)(?!\^)\b", said)
    if documented is not None:
        assert tuple(map(float, documented.groups())) == (least, most)


def test_an_effect_of_ones_own_is_checked():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Darken(Effect):
        factor: tuple[float, float] = dataclasses.field(
            default=(0.5, 1.0), metadata=Bounds(0, 1).range
        )
        mode: str = dataclasses.field(default="even", metadata=Choice(("even", "corners")).one)

        def draw(self, rng, frame):
            raise NotImplementedError

    Darken()
    with pytest.raises(ValueError, match=r"factor must be a number, 0 to 1, got 2"):
        Darken(factor=(0, 2))
    with pytest.raises(ValueError, match=r"factor must be a pair \(low, high\)"):
        Darken(factor=0.5)
    with pytest.raises(ValueError, match="mode must be one of even, corners, got 'odd'"):
        Darken(mode="odd")


def test_wrong_transform_is_refused():
    with pytest.raises(TypeError, match="transform of albumentations"):
        Albumentations(transform=3)


@pytest.mark.parametrize("name", list(EIGHT))
def test_every_number_is_documented(name):
    """Each parameter stands in the docstring's list of attributes."""
    kind = EFFECTS.get(name)
    for field in dataclasses.fields(kind):
        assert f"        {field.name}: " in (kind.__doc__ or "")


# In the order of the list: the workers of pytest-xdist must collect the same tests.
@pytest.mark.parametrize(
    "kind", dict.fromkeys(type(drawer) for drawer in DRAWERS), ids=lambda kind: kind.__name__
)
def test_every_range_is_documented(kind):
    for field in dataclasses.fields(kind):
        assert f"        {field.name}: " in (kind.__doc__ or "")
