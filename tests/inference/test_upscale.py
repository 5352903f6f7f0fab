"""Pictures of every kind through `escsr.upscale`. Oracles: the network itself, and imresize."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import escsr
from escsr import models
from escsr.images import Display, Picture, encode_image, read_image, to_float, write_image
from escsr.inference import UpscaleNotice, choose_model, estimate_memory
from escsr.resize import imresize

pytestmark = pytest.mark.filterwarnings("ignore::escsr.inference.UpscaleNotice")


@pytest.fixture(scope="module")
def model() -> escsr.SuperResolver:
    torch.manual_seed(0)
    return escsr.build("esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1})


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (13, 18, 3), dtype=np.uint8)


def by_hand(model: escsr.SuperResolver, pixels: np.ndarray) -> np.ndarray:
    """(3, H, W) in [0, 1]."""
    with torch.inference_mode():
        return model.eval()(torch.from_numpy(to_float(pixels))[None])[0].clamp(0, 1).numpy()


def test_array(model: escsr.SuperResolver, pixels: np.ndarray) -> None:
    before = pixels.copy()
    result = escsr.upscale(pixels, scale=2, model=model)
    expected = np.rint(by_hand(model, pixels) * 255).astype(np.uint8).transpose(1, 2, 0)
    assert np.abs(result.astype(int) - expected).max() == 0
    assert np.array_equal(pixels, before)


def test_every_kind_comes_back_as_it_came(
    model: escsr.SuperResolver, pixels: np.ndarray, tmp_path: Path
) -> None:
    expected = escsr.upscale(pixels, scale=2, model=model)
    image = escsr.upscale(Image.fromarray(pixels), scale=2, model=model)
    assert isinstance(image, Image.Image)
    assert np.array_equal(np.asarray(image), expected)
    picture = escsr.upscale(
        Picture(pixels=pixels, display=Display(icc=b"profile")), scale=2, model=model
    )
    assert isinstance(picture, Picture)
    assert picture.icc == b"profile"
    assert np.array_equal(picture.pixels, expected)
    write_image(tmp_path / "in.png", Picture(pixels=pixels))
    assert np.array_equal(escsr.upscale(tmp_path / "in.png", scale=2, model=model).pixels, expected)
    floats = escsr.upscale((pixels / 255).astype(np.float32), scale=2, model=model)
    assert floats.dtype == np.float32
    assert np.abs(floats * 255 - expected).max() <= 0.51
    tensor = torch.from_numpy(to_float(pixels))
    single = escsr.upscale(tensor, scale=2, model=model)
    assert tuple(single.shape) == (3, 26, 36)
    assert np.abs(single.numpy() - by_hand(model, pixels)).max() < 1e-6
    pair = escsr.upscale(torch.stack([tensor, tensor]), scale=2, model=model)
    assert torch.equal(pair[1], pair[0])
    assert (pair[1] - single).abs().max() < 2e-5  # a batch goes through together


def test_pil_keeps_orientation_profile_and_depth(
    model: escsr.SuperResolver, pixels: np.ndarray, tmp_path: Path
) -> None:
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # lies on its side
    image.save(tmp_path / "turned.png", exif=exif, icc_profile=b"profile")
    with Image.open(tmp_path / "turned.png") as turned:
        result = escsr.upscale(turned, scale=2, model=model)
    assert result.size == (26, 36)
    assert result.info["icc_profile"] == b"profile"
    upright = escsr.upscale(np.rot90(pixels, -1), scale=2, model=model)
    assert np.array_equal(np.asarray(result), upright)
    for mode in ("L", "LA", "RGBA"):
        assert escsr.upscale(image.convert(mode), scale=2, model=model).mode == mode
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    assert escsr.upscale(deep, scale=2, model=model).mode == "I;16"


def test_stretching_is_said(model: escsr.SuperResolver, pixels: np.ndarray) -> None:
    with pytest.warns(UpscaleNotice, match="stretches the picture: 3 times in height, 2 times"):
        escsr.upscale(pixels, size=(39, 36), model=model)


def test_depth_gray_and_alpha(model: escsr.SuperResolver, pixels: np.ndarray) -> None:
    deep = escsr.upscale(pixels.astype(np.uint16) * 257, scale=2, model=model)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - escsr.upscale(pixels, scale=2, model=model)).max() <= 0.51
    gray = escsr.upscale(pixels[..., 0], scale=2, model=model)
    rgb = by_hand(model, np.repeat(pixels[..., :1], 3, axis=2))
    assert gray.shape == (26, 36)
    assert np.abs(gray - rgb.mean(0) * 255).max() <= 0.51
    rgba = np.dstack([pixels, pixels[..., 0].clip(1)])
    result = escsr.upscale(rgba, scale=2, model=model)
    assert np.array_equal(result[..., :3], escsr.upscale(pixels, scale=2, model=model))
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    assert (escsr.upscale(opaque, scale=2, model=model)[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("request_", "size"),
    [({"scale": 3}, (39, 54)), ({"scale": 1.37}, (18, 25)), ({"size": (41, 18)}, (41, 18))],
)
def test_other_scales_are_resized_and_said(
    model: escsr.SuperResolver, pixels: np.ndarray, request_: dict, size: tuple[int, int]
) -> None:
    with pytest.warns(UpscaleNotice, match=f"×2 only.*resized to {size[1]}×{size[0]}"):
        result = escsr.upscale(pixels, model=model, **request_)
    expected = imresize(by_hand(model, pixels).transpose(1, 2, 0), size=size)
    assert result.shape == (*size, 3)
    assert np.abs(result - np.clip(expected, 0, 1) * 255).max() <= 0.51


def test_untrained_networks_are_told(model: escsr.SuperResolver, pixels: np.ndarray) -> None:
    with pytest.warns(UpscaleNotice, match="untrained"):
        escsr.upscale(pixels, scale=2, model=model)


def test_model_is_left_as_it_was(model: escsr.SuperResolver, pixels: np.ndarray) -> None:
    model.train()
    escsr.upscale(pixels, scale=2, model=model)
    assert model.training
    assert not any(m._forward_hooks for m in model.modules())


def test_progress(model: escsr.SuperResolver, pixels: np.ndarray) -> None:
    shares: list[float] = []
    escsr.upscale(pixels, scale=2, model=model, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0}, "above 0 and up to 30, not 0"),
        ({"scale": 30.1}, "above 0 and up to 30, not 30.1"),
        ({"scale": float("nan")}, "above 0 and up to 30, not nan"),
        ({"size": (391, 18)}, r"18×391 pixels .* 18×13 is an enlargement of 30.08 times"),
        ({"size": (0, 18)}, r"at least 1, not \(0, 18\)"),
        ({"width": 541}, "enlargement of 30"),
        ({"max_side": 0}, "max_side must be at least 1 pixel"),
        ({"scale": 2, "size": (26, 36)}, r"give one of scale, .*not scale=2 and size=\(26, 36\)"),
        ({"width": 40, "height": 40}, "not width=40 and height=40"),
        ({"scale": 2, "precision": "fp8"}, "bf16, fp16, fp32"),
        ({"scale": 2, "device": "cuda:99"}, "cannot be used on this machine"),
        ({"scale": 2, "device": "abacus"}, "cannot be used on this machine"),
    ],
)
def test_wrong_requests(
    model: escsr.SuperResolver, pixels: np.ndarray, change: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        escsr.upscale(pixels, model=model, **change)


def test_wrong_pictures(model: escsr.SuperResolver) -> None:
    for wrong in (
        np.zeros((4, 5, 5), np.uint8),
        np.zeros((4, 5, 3), np.int32),
        np.full((4, 5, 3), 1.5),
        np.full((4, 5, 3), np.nan),
        np.zeros((0, 5, 3), np.uint8),
        torch.zeros(4, 5, 6),
        torch.full((3, 5, 6), 255.0),
        torch.full((3, 5, 6), float("nan")),
    ):
        with pytest.raises(ValueError, match="must|empty"):
            escsr.upscale(wrong, scale=2, model=model)
    picture = np.zeros((4, 5, 3), np.uint8)
    for size in ("100x50", 100, (50,), (50.5, 60)):
        with pytest.raises(TypeError, match="size must be two whole numbers"):
            escsr.upscale(picture, size=size, model=model)
    for scale in ("2", (2, 3), True):
        with pytest.raises(TypeError, match="scale must be a number"):
            escsr.upscale(picture, scale=scale, model=model)
    for pixels in (100.0, "100", True):
        with pytest.raises(TypeError, match="width must be a whole number of pixels"):
            escsr.upscale(picture, width=pixels, model=model)
    with pytest.raises(TypeError, match="cannot upscale a list"):
        escsr.upscale([[1]], scale=2, model=model)


def test_too_large_is_refused_with_the_figures(
    model: escsr.SuperResolver, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escsr.inference.planning.free_memory", lambda _: 1 << 20)
    with pytest.raises(MemoryError, match=r"18×13 pixels would take about .* GiB.* can be had"):
        escsr.upscale(pixels, scale=2, model=model)


def test_estimate_grows_with_the_picture(model: escsr.SuperResolver) -> None:
    small, middle, large = (
        estimate_memory(model, side, side, (2 * side, 2 * side)) for side in (128, 256, 512)
    )
    assert (large - middle) / (middle - small) == pytest.approx(4, rel=0.1)
    # At least what the widest layer holds: input, output and hidden channels of one ConvFFN.
    assert middle > 256 * 256 * 4 * (32 + 64 + 64)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision(model: escsr.SuperResolver, pixels: np.ndarray, precision: str) -> None:
    exact = escsr.upscale(pixels, scale=2, model=model).astype(int)
    half = escsr.upscale(pixels, scale=2, model=model, precision=precision).astype(int)
    assert np.abs(half - exact).max() <= 8


@pytest.mark.parametrize("alias", models.ALIASES)
def test_aliases_are_trained_networks_of_any_scale(alias: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = choose_model(alias)
    assert network.scale is None
    assert network.trained
    assert network is choose_model(models.ALIASES[alias])  # opened once


def test_embedded_networks_beat_bicubic() -> None:
    # Held out of training: see examples/README.md.
    photo = read_image(Path(__file__).parents[2] / "examples" / "photo.jpg").pixels
    for scale in (2, 4):
        lq = imresize(photo, scale=1 / scale)
        errors = [
            np.square(result.astype(float) - photo).mean()
            for result in (escsr.upscale(lq, scale=scale), imresize(lq, scale=scale))
        ]
        assert errors[0] < 0.9 * errors[1]


def test_encoded_pictures_come_back_encoded(
    model: escsr.SuperResolver, pixels: np.ndarray, tmp_path: Path
) -> None:
    expected = escsr.upscale(pixels, scale=2, model=model)
    for suffix, magic in ((".png", b"\x89PNG"), (".tif", b"II*\0"), (".jpg", b"\xff\xd8\xff")):
        data = encode_image(Picture(pixels=pixels), suffix)
        result = escsr.upscale(data, scale=2, model=model)
        assert isinstance(result, bytes)
        assert result.startswith(magic)
        if suffix != ".jpg":
            assert np.array_equal(read_image(result).pixels, expected)
        (tmp_path / "in").write_bytes(data)
        with (tmp_path / "in").open("rb") as file:
            stream = escsr.upscale(file, scale=2, model=model)
        assert isinstance(stream, io.BytesIO)
        assert stream.read() == result


def test_colours_under_transparency_do_not_bleed() -> None:
    """A white disc on transparent black, larger and smaller, stays white on white."""
    y, x = np.mgrid[:48, :48]
    cover = np.rint(255 * np.clip(16.5 - np.hypot(y - 23.5, x - 23.5), 0, 1)).astype(np.uint8)
    rgba = np.dstack([np.where(cover > 0, 255, 0).astype(np.uint8)] * 3 + [cover])
    for scale in (0.5, 1.7, 2, 4):
        for name in ("default", "esc_tiny_x2"):
            result = escsr.upscale(rgba, scale=scale, model=name).astype(float)
            share = result[..., 3:] / 255
            assert (result[..., :3] * share + 255 * (1 - share)).min() >= 250


def test_outlines_of_transparency_are_as_sharp_as_a_networks() -> None:
    """Oracle: a logo (ring and bar) drawn at four times the size from its equations."""

    def logo(side: int) -> np.ndarray:
        """Coverage of the unit square, by 8 x 8 samples a pixel."""
        fine = (np.arange(8 * side) + 0.5) / (8 * side)
        y, x = fine[:, None], fine[None]
        ring = np.abs(np.hypot(y - 0.45, x - 0.5) - 0.28) < 0.07
        bar = np.abs((y - 0.85) + 0.2 * (x - 0.5)) < 0.05
        return (ring | bar).reshape(side, 8, side, 8).mean(axis=(1, 3))

    def picture(side: int) -> np.ndarray:
        cover = np.rint(255 * logo(side)).astype(np.uint8)
        return np.dstack([np.full((side, side, 3), (200, 30, 40), np.uint8), cover])

    small, truth = picture(64), picture(256)
    result = escsr.upscale(small, scale=4)
    soft = imresize(small[..., 3], scale=4, round_between=False)
    errors = [np.square(a.astype(float) - truth[..., 3]).mean() for a in (result[..., 3], soft)]
    assert errors[0] < 0.6 * errors[1]
    # What is clear or opaque stays so, and uniform colours stay uniform under the outline.
    inside, outside = (
        np.kron(
            cv2.erode((small[..., 3] == level).astype(np.uint8), np.ones((7, 7))), np.ones((4, 4))
        )
        for level in (255, 0)
    )
    assert (result[..., 3][inside > 0] == 255).all()
    assert (result[..., 3][outside > 0] == 0).all()
    assert np.abs(result[..., :3].astype(int) - (200, 30, 40)).max() <= 6
