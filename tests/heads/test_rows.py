"""Rows of the result from bands of the features. Oracle: the whole picture in one piece."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import escsr
from escsr import testing
from escsr.heads import HEADS, FixedScaleHead, Head, ImplicitHead
from escsr.layers.bands import Band
from escsr.layers.interpolation import interpolate_rows, interpolation_rows
from tests.conftest import TOLERANCE

CHANNELS = 8
NARROW: dict[str, dict[str, Any]] = {
    "liif": {"hidden_dim": 12, "depth": 2, "image_skip": "bilinear"},
    "lte": {"hidden_dim": 12, "depth": 2},
    "lte_fast": {"hidden_dim": 12, "depth": 2},
    "metasr": {"hidden_dim": 12, "image_skip": "bilinear"},
    "lmf_liif": {"hidden_dim": 12, "depth": 2, "render_dim": 6},
    "lmf_lte": {"hidden_dim": 12, "depth": 2, "render_dim": 6, "basis_dim": 8},
}
FIXED: list[tuple[str, int, dict[str, Any]]] = [
    *[("pixel_shuffle", scale, {}) for scale in (1, 2, 3, 4, 5)],
    ("pixel_shuffle", 3, {"image_skip": "bicubic"}),
    ("pixel_shuffle", 2, {"image_skip": None}),
    ("conv", 1, {}),
    *[("pixel_shuffle_multi", scale, {}) for scale in (1, 2, 3, 4, 8)],
    *[("nearest_conv", scale, {}) for scale in (1, 2, 3, 4, 8)],
    *[("nearest_conv", scale, {"conv_first": True}) for scale in (1, 2, 3, 4)],
    *[("dysample", scale, {}) for scale in (1, 2, 3, 4)],
    ("dysample", 2, {"mid_dim": 12}),
]
HEIGHTS = [(1, 7), (2, 1), (3, 4), (17, 3), (40, 5)]


def drawn(name: str, dtype: torch.dtype, **arguments: Any) -> Head:
    """A head with weights that answer with numbers of about one, and far offsets."""
    head = HEADS.get(name)(CHANNELS, **arguments)
    generator = torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 16
        parameter.data.normal_(std=fan_in**-0.5, generator=generator)
    if name == "dysample":
        head.offset.weight.data.mul_(4)  # several pixels
    return head.to(dtype)


def given(shape: tuple[int, int], dtype: torch.dtype, stride: int = 1) -> tuple[Tensor, Tensor]:
    state = np.random.RandomState(shape[0] + 7 * shape[1])
    features = state.standard_normal((2, CHANNELS, *shape))
    lq = state.standard_normal((2, 3, *(stride * side for side in shape)))
    return torch.from_numpy(features).to(dtype), torch.from_numpy(lq).to(dtype)


def from_bands(
    head: Head, features: Tensor, lq: Tensor, size: tuple[int, int], rows: tuple[int, int]
) -> Tensor:
    """Rows made of no more than the head says that it needs."""
    bands = []
    for whole, needed in ((features, head.source_rows), (lq, head.picture_rows)):
        top, bottom = needed(rows, size=size, height=whole.shape[2])
        assert 0 <= top <= bottom <= whole.shape[2]
        bands.append(Band(whole[:, :, top:bottom].clone(), top, whole.shape[2]))
    return head.rows(*bands, size, rows)


def check_rows(head: Head, features: Tensor, lq: Tensor, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        whole = head(features, lq, size)
        scale = max(1.0, float(whole.abs().max()))
        state = np.random.RandomState(size[0])
        cuts = [0, *sorted({int(n) for n in state.randint(0, size[0] + 1, 4)} - {0, size[0]})]
        ranges = [*zip(cuts, [*cuts[1:], size[0]], strict=True), (0, 1), (size[0] - 1, size[0])]
        for rows in ranges:
            found = from_bands(head, features, lq, size, rows)
            assert found.shape == (len(features), 3, rows[1] - rows[0], size[1])
            difference = (found - whole[:, :, rows[0] : rows[1]]).abs().max()
            assert difference < TOLERANCE[features.dtype] * scale, f"{rows} of {size}"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(("name", "scale", "knobs"), FIXED, ids=str)
def test_fixed_scales(name: str, scale: int, knobs: dict[str, Any], dtype: torch.dtype) -> None:
    head = drawn(name, dtype, scale=scale, **knobs)
    for shape in HEIGHTS:
        features, lq = given(shape, dtype)
        check_rows(head, features, lq, (scale * shape[0], scale * shape[1]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", NARROW)
def test_any_scale(name: str, dtype: torch.dtype) -> None:
    head = drawn(name, dtype, **NARROW[name])
    for scale in (1, 2, 2.7, 3, 4, math.pi):
        for shape in HEIGHTS:
            features, lq = given(shape, dtype)
            check_rows(head, features, lq, (round(scale * shape[0]), round(scale * shape[1])))


@pytest.mark.parametrize("name", NARROW)
def test_features_of_a_folded_picture(name: str) -> None:
    head = drawn(name, torch.float64, **NARROW[name])
    features, lq = given((9, 4), torch.float64, stride=2)
    check_rows(head, features, lq, (45, 20))


@pytest.mark.parametrize("mode", ["nearest", "bicubic"])
def test_cropped_result_of_a_folded_picture(mode: str) -> None:
    """A picture of 7 rows folded by 2 to 4, and enlarged 3 times: 21 rows of 24."""
    head = drawn("pixel_shuffle", torch.float64, scale=6, image_skip=mode)
    features, _ = given((4, 3), torch.float64)
    _, lq = given((7, 5), torch.float64)
    check_rows(head, features, lq, (21, 15))
    check_rows(head, features, lq, (10, 8))  # and at a broken enlargement of the picture


@pytest.mark.parametrize(
    ("own", "size", "way"),
    [
        ((12, 17), (24, 51), "_shuffled"),
        ((60, 80), (150, 200), "_strided"),  # 5/2: the period is two pixels
        ((60, 80), (64, 160), "_strided"),  # 16/15 and 2
        ((23, 31), (52, 67), "_pixel_by_pixel"),
    ],
)
@pytest.mark.parametrize("memory_mib", [128, 1e-3])
def test_metasr_by_every_way(own: Any, size: Any, way: str, memory_mib: float) -> None:
    head = drawn("metasr", torch.float64, memory_mib=memory_mib)
    features, lq = given(own, torch.float64)
    ways = {"_shuffled", "_strided", "_picked", "_pixel_by_pixel", "_without_skip"}
    taken = set()
    for name in ways & vars(type(head)).keys() - {"_without_skip"}:
        original = getattr(head, name)

        def noted(*arguments: Any, name: str = name, original: Any = original) -> Tensor:
            taken.add(name)
            return original(*arguments)

        setattr(head, name, noted)
    check_rows(head, features, lq, size)
    assert way in taken
    # While gradients are recorded it goes by other ways.
    whole = head(features, lq, size)
    part = from_bands(head, features, lq, size, (5, 17))
    assert (whole[:, :, 5:17] - part).abs().max() < 1e-9


@pytest.mark.parametrize("name", ["lte", "metasr", "dysample", "pixel_shuffle"])
def test_bands_in_half_precision(name: str) -> None:
    head = drawn(name, torch.float32, **NARROW.get(name, {"scale": 2}))
    features, lq = given((20, 6), torch.float32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        whole = head(features, lq, (40, 12)).float()
        part = from_bands(head, features, lq, (40, 12), (11, 30)).float()
    assert (whole[:, :, 11:30] - part).abs().max() < 2**-6 * whole.abs().max()


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_interpolation_equals_pytorch(mode: Any) -> None:
    """Oracle: `F.interpolate` in float64."""
    state = np.random.RandomState(0)
    corners = {} if mode == "nearest" else {"align_corners": False}
    for own, size in (((4, 7), (9, 7)), ((1, 1), (3, 2)), ((5, 3), (15, 31)), ((20, 2), (60, 5))):
        picture = torch.from_numpy(state.rand(2, 3, *own))
        wanted = F.interpolate(picture, size, mode=mode, **corners)
        for rows in ((0, size[0]), *((i, i + 1) for i in range(size[0])), (1, size[0])):
            top, bottom = interpolation_rows(rows, size[0], own[0], mode=mode)
            band = Band(picture[:, :, top:bottom], top, own[0])
            found = interpolate_rows(band, size, rows, mode=mode)
            assert (found - wanted[:, :, rows[0] : rows[1]]).abs().max() < 1e-12


def test_few_rows_are_needed() -> None:
    """What a head says that it needs does not grow with the picture, but for DySample."""
    size = (40000, 100)
    for name in (*NARROW, "pixel_shuffle", "pixel_shuffle_multi", "nearest_conv"):
        fixed = name not in NARROW
        head = drawn(name, torch.float32, **({"scale": 4} if fixed else NARROW[name]))
        top, bottom = head.source_rows((20000, 20100), size=size, height=10000)
        assert 5000 - 4 <= top <= 5000 - 1
        assert 5025 + 1 <= bottom <= 5025 + 4
        top, bottom = head.picture_rows((20000, 20100), size=size, height=10000)
        assert bottom - top <= 28
    assert drawn("dysample", torch.float32, scale=4).source_rows(
        (20000, 20100), size=size, height=10000
    ) == (0, 10000)


def test_dysample_reads_only_where_its_offsets_lead() -> None:
    head = drawn("dysample", torch.float64, scale=2)
    features, lq = given((400, 3), torch.float64)
    read: list[tuple[int, int]] = []

    class Watched(Band):
        def read(self, top: int, bottom: int) -> Tensor:
            read.append((top, bottom))
            return super().read(top, bottom)

    with torch.inference_mode():
        head.rows(Watched(features, 0, 400), Band.whole(lq), (800, 6), (400, 420))
    assert min(top for top, _ in read) > 200 - 60
    assert max(bottom for _, bottom in read) < 210 + 60


# ------------------------------------------------------------------ heads of others


class Turned(Head):
    """A head that only writes `forward`, and looks at the whole picture."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.to_rgb = nn.Conv2d(in_channels, 3, 1)

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """Upside down."""
        rgb: Tensor = self.to_rgb(F.interpolate(features, size, mode="bilinear"))
        return rgb.flip(2) + lq.mean((2, 3), keepdim=True)


class Wide(FixedScaleHead):
    """A head of a fixed scale that does not say how far it looks."""

    def __init__(self, in_channels: int, *, scale: int) -> None:
        super().__init__(scale=scale)
        self.conv = nn.Conv2d(in_channels, 3 * scale**2, 9, padding=4)

    def enlarge(self, features: Tensor) -> Tensor:
        """One wide convolution."""
        return F.pixel_shuffle(self.conv(features), self.scale)


class WidePixelShuffle(HEADS.get("pixel_shuffle")):  # type: ignore[misc]
    """A head of ours, looking farther."""

    def enlarge(self, features: Tensor) -> Tensor:
        """The same of features that are blurred first."""
        return super().enlarge(F.avg_pool2d(features, 5, 1, 2))


class OtherForward(HEADS.get("lte")):  # type: ignore[misc]
    """A head of ours with another `forward`."""

    def forward(self, features: Tensor, lq: Tensor, size: tuple[int, int]) -> Tensor:
        """The same, and upside down."""
        return super().forward(features, lq, size).flip(2)


@pytest.mark.parametrize("kind", [Turned, Wide, WidePixelShuffle, OtherForward])
def test_heads_that_know_nothing_of_rows(kind: Any) -> None:
    torch.manual_seed(0)
    fixed = issubclass(kind, FixedScaleHead)
    head = kind(CHANNELS, **({"scale": 2} if fixed else {})).double()
    features, lq = given((17, 5), torch.float64)
    check_rows(head, features, lq, (34, 10))
    assert head.source_rows((10, 12), size=(34, 10), height=17) == (0, 17)


# ------------------------------------------------------------------ whole networks


@pytest.mark.parametrize("name", ["default", "esc_tiny_x2"])
def test_encode_once_render_often(name: str) -> None:
    """Oracle: the network called as a whole."""
    model = escsr.load(name)
    lq = testing.picture(21, 14, batch=2)
    with torch.inference_mode():
        features = model.encode(lq)
        assert features.size == (21, 14)
        for scale in (2,) if model.scale else (2, 2.5, 4):
            whole = model(lq, scale=scale)
            assert torch.equal(model.render(features, scale=scale), whole)
            assert torch.equal(model.render(features, size=whole.shape[2:]), whole)
            part = model.render(features, scale=scale, rows=(3, 30))
            assert (part - whole[:, :, 3:30]).abs().max() < TOLERANCE[torch.float32]


def test_points_from_features() -> None:
    model = escsr.load("default")
    lq = testing.picture(9, 7)
    coords = torch.tensor([[[-0.3, 0.2], [0.9, -1.0]]])
    cells = escsr.layers.make_cells((20, 15))
    with torch.inference_mode():
        assert torch.equal(
            model.at(model.encode(lq), coords, cells), model.query(lq, coords, cells)
        )


def test_impossible_requests_are_refused() -> None:
    model = escsr.load("esc_tiny_x2")
    features = model.encode(testing.picture(5, 6))
    for rows in ((-1, 3), (3, 3), (0, 11), (0.5, 2)):
        with pytest.raises(ValueError, match="from 0 to 10"):
            model.render(features, rows=rows)
    with pytest.raises(ValueError, match="×2 only"):
        model.render(features, scale=3)
    with pytest.raises(ValueError, match="answers no queries"):
        model.at(features, torch.zeros(1, 1, 2), torch.ones(1, 1, 2))
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        model.encode(torch.rand(3, 5, 6))
    with pytest.raises(ValueError, match="rows 0 to 3 are needed, but the band holds rows 2 to 4"):
        Band(torch.rand(1, 3, 2, 4), 2, 9).read(0, 3)
    assert issubclass(HEADS.get("lte"), ImplicitHead)
