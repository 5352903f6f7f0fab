"""Heads for any scale. Oracles: `literal.py` (plain loops, float64), and queries point by point."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import escsr
from escsr.heads import HEADS, ImplicitHead, fast_to_lte, lte_to_fast
from escsr.inference import estimate_memory
from escsr.layers import make_cells, make_coords
from escsr.layers.bands import Band
from escsr.layers.coords import grid_phases
from tests.conftest import TOLERANCE
from tests.heads.literal import Literal

NAMES = ("liif", "lte", "lte_fast", "metasr", "lmf_liif", "lmf_lte")
CHANNELS = 5
SMALL: dict[str, dict[str, Any]] = {
    "liif": {"hidden_dim": 12, "depth": 3},
    "lte": {"hidden_dim": 12, "depth": 2},
    "lte_fast": {"hidden_dim": 12, "depth": 2},
    "metasr": {"hidden_dim": 12},
    "lmf_liif": {"hidden_dim": 12, "depth": 3, "render_dim": 6},
    "lmf_lte": {"hidden_dim": 12, "depth": 3, "render_dim": 6, "basis_dim": 8},
}
KNOBS = [
    *[(name, {}) for name in NAMES],
    *[(name, {"local_ensemble": False}) for name in NAMES if name != "metasr"],
    *[(name, {"cell_decode": False}) for name in NAMES if name != "metasr"],
    *[(name, {"cell_max_scale": 1.5}) for name in NAMES],
    *[(name, {"cell_max_scale": None}) for name in NAMES],
    *[(name, {"image_skip": "bilinear"}) for name in NAMES],
    ("lte", {"image_skip": None}),
    ("liif", {"unfold": False}),
    ("lmf_liif", {"unfold": False}),
    ("liif", {"depth": 1}),
    ("lte", {"depth": 1}),
    ("lmf_lte", {"depth": 1}),
]
# (h, w) to (H_out, W_out): broken, odd, even, twice 1, of one pixel, stretched, three halves.
SIZES = [
    ((3, 4), (7, 9)),
    ((3, 2), (9, 6)),
    ((2, 3), (4, 6)),
    ((3, 3), (3, 3)),
    ((1, 1), (3, 5)),
    ((2, 4), (10, 4)),
    ((4, 2), (6, 3)),
]


def make(name: str, dtype: torch.dtype = torch.float64, **knobs: Any) -> ImplicitHead:
    """A narrow head whose weights are drawn so that it answers with numbers of about one."""
    head = HEADS.get(name)(CHANNELS, **SMALL[name] | knobs)
    generator = torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 16
        parameter.data.normal_(std=fan_in**-0.5, generator=generator)
    assert isinstance(head, ImplicitHead)
    return head.to(dtype)


def given(
    own: tuple[int, int], dtype: torch.dtype = torch.float64, batch: int = 1
) -> tuple[Tensor, Tensor]:
    """Features and picture."""
    state = np.random.RandomState(own[0] + 7 * own[1])
    drawn = (state.standard_normal((batch, n, *own)) for n in (CHANNELS, 3))
    features, lq = (torch.from_numpy(a).to(dtype) for a in drawn)
    return features, lq


@pytest.mark.parametrize(("name", "knobs"), KNOBS, ids=str)
def test_pictures_equal_the_definition(name: str, knobs: dict[str, Any]) -> None:
    head = make(name, **knobs)
    for own, size in SIZES if not knobs else SIZES[:2]:
        features, lq = given(own)
        wanted = Literal(head, features[0], lq[0]).picture(size)
        with torch.inference_mode():
            found = head(features, lq, size)[0]
        defined = ~wanted.isnan()
        assert defined.any()
        assert (found - wanted)[defined].abs().max() < TOLERANCE[torch.float64]
        assert found.isfinite().all()


@pytest.mark.parametrize(("name", "knobs"), KNOBS, ids=str)
def test_queries_equal_the_definition(name: str, knobs: dict[str, Any]) -> None:
    head = make(name, **knobs)
    features, lq = given((3, 4))
    literal = Literal(head, features[0], lq[0])
    state = np.random.RandomState(5)
    points = [[Fraction(int(n), 512) for n in state.randint(-511, 512, 2)] for _ in range(12)]
    # LMF takes one cell for all queries of a picture.
    shared = name.startswith("lmf")
    sides = [[2, 3]] * 12 if shared else state.randint(1, 40, (12, 2)).tolist()
    cells = [[Fraction(2, side) for side in pair] for pair in sides]
    wanted = np.stack([literal.at(*pair) for pair in zip(points, cells, strict=True)])
    coords, told = (
        torch.tensor([[float(n) for n in pair] for pair in pairs], dtype=torch.float64)[None]
        for pairs in (points, cells)
    )
    with torch.inference_mode():
        found = head.query(features, lq, coords, told[:, :1] if shared else told)
    assert (found[0] - torch.from_numpy(wanted)).abs().max() < TOLERANCE[torch.float64]


@pytest.mark.parametrize("name", ["liif", "lte", "lmf_liif", "lmf_lte"])
def test_undefined_pixels_are_the_limit(name: str) -> None:
    """Oracle: the definition a billionth of a pixel beside the place where it divides 0 by 0."""
    head = make(name)
    features, lq = given((3, 4))
    literal = Literal(head, features[0], lq[0])
    size = (9, 12)
    # The row s·h - (s + 1) / 2 and the column likewise, as one finds the edge clamped there.
    wanted = literal.picture(size)
    assert wanted.isnan().all(dim=0).nonzero().tolist() == [
        [i, j] for i in range(9) for j in range(12) if i == 7 or j == 10
    ]
    found = head(features, lq, size)[0].detach()
    cell = [Fraction(2, 9), Fraction(2, 12)]
    for i, j in ((7, 0), (7, 5), (7, 10), (2, 10), (3, 10)):
        place = [Fraction(2 * i + 1 - 9, 9), Fraction(2 * j + 1 - 12, 12)]
        near = literal.at([p - Fraction(1, 10**9) for p in place], cell)
        assert np.abs(found[:, i, j].numpy() - near).max() < 1e-7


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-8)], ids=str
)
def test_both_paths_agree_on_random_sizes(name: str, dtype: torch.dtype, tolerance: float) -> None:
    head = make(name, dtype)
    state = np.random.RandomState(3)
    for _ in range(40):
        own = tuple(state.randint(1, 24, 2).tolist())
        size = tuple(int(n * s) for n, s in zip(own, state.uniform(1, 6, 2), strict=True))
        features, lq = given(own, dtype, batch=2)
        coords = make_coords(size, dtype=torch.float64).expand(2, -1, -1)
        cells = make_cells(size, dtype=dtype)
        with torch.inference_mode():
            picture = head(features, lq, size).flatten(2).transpose(1, 2)
            points = head.query(features, lq, coords, cells)
            rounded = head.query(features, lq, coords.to(dtype), cells)
        assert (picture - points).abs().max() < tolerance, f"{own} to {size}"
        # Rounded coordinates lie elsewhere: that counts relative to what the picture varies by.
        largest = max(1.0, float(picture.abs().max()))
        assert (picture - rounded).abs().max() < tolerance * largest, f"{own} to {size}"


@pytest.mark.parametrize("name", NAMES)
def test_bands_and_blocks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: the same in one piece, which is how gradients are recorded."""
    head = make(name, image_skip="bilinear", memory_mib=1e-4)
    monkeypatch.setattr("escsr.heads.implicit._CPU_BLOCK", 4000)
    for own, size in (((40, 5), (60, 10)), ((40, 5), (97, 13)), ((33, 4), (99, 12))):
        features, lq = given(own, batch=2)
        whole = head(features, lq, size).detach()
        request = (Band.whole(features), size, (0, size[0]), head.widths[0])
        bands = len(list(head._bands(*request)))
        with torch.no_grad():
            assert len(list(head._bands(*request))) > bands == 1
            in_pieces = head(features, lq, size)
        assert (in_pieces - whole).abs().max() < TOLERANCE[torch.float64]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_both_paths_agree(name: str) -> None:
    head = make(name)
    features, lq = given((4, 5), batch=2)
    # Broken sizes, and for MetaSR one at which it becomes a convolution.
    for size in ((7, 11), (8, 10)):
        found = []
        for path in ("grid", "query"):
            head.zero_grad()
            leaf = features.clone().requires_grad_()
            if path == "grid":
                answers = head(leaf, lq, size).flatten(2).transpose(1, 2)
            else:
                coords = make_coords(size, dtype=torch.float64).expand(2, -1, -1)
                answers = head.query(leaf, lq, coords, make_cells(size, dtype=torch.float64))
            torch.autograd.backward(answers.square().sum())
            found.append([leaf.grad, *(p.grad for p in head.parameters())])
        for a, b in zip(*found, strict=True):
            assert (a - b).abs().max() < 1e-9 * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_finite_differences(name: str) -> None:
    head = make(name)
    features, lq = given((2, 3))
    points = torch.tensor([[[-0.9, 0.3], [0.2, 0.1]]], dtype=torch.float64)
    cells = make_cells((5, 7), dtype=torch.float64)
    leaf = features.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: head.query(f, lq, points, cells), leaf)
    assert torch.autograd.gradcheck(lambda f: head(f, lq, (3, 4)), leaf)


def test_lte_and_lte_fast_convert_into_each_other() -> None:
    lte, fast = make("lte"), make("lte_fast")
    features, lq = given((4, 3))
    fast.load_state_dict(lte_to_fast(lte.state_dict()))
    with torch.inference_mode():
        difference = (lte(features, lq, (9, 7)) - fast(features, lq, (9, 7))).abs().max()
    assert difference < TOLERANCE[torch.float64]
    back = fast_to_lte(fast.state_dict())
    assert back.keys() == lte.state_dict().keys()
    assert all(torch.equal(back[name], t) for name, t in lte.state_dict().items())
    # The published rule: rows 0, 2, …, 1, 3, … of "freq".
    order = [*range(0, 12, 2), *range(1, 12, 2)]
    assert torch.equal(fast.freq.weight, lte.freq.weight[order])


def test_whole_networks_convert_and_wrong_ones_do_not() -> None:
    lte = escsr.build("esc_tiny", head="lte", head_args={"hidden_dim": 8}).eval()
    fast = escsr.build("esc_tiny", head="lte_fast", head_args={"hidden_dim": 8}).eval()
    fast.load_state_dict(lte_to_fast(lte.state_dict()))
    lq = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (lte(lq, scale=2.5) - fast(lq, scale=2.5)).abs().max() < TOLERANCE[torch.float32]
    with pytest.raises(ValueError, match="'lte_fast' already"):
        lte_to_fast(fast.state_dict())
    with pytest.raises(ValueError, match="not the state of a head 'lte_fast'"):
        fast_to_lte({"conv.weight": torch.zeros(3, 3, 3, 3)})


def test_the_network_sees_and_answers_in_the_heads_range() -> None:
    model = escsr.build("esc_tiny", head="liif", head_args={"hidden_dim": 8}).eval()
    lq = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        inside = lq * 2 - 1
        wanted = (model.head(model.backbone(inside), inside, (8, 9)) + 1) / 2
        assert (model(lq, size=(8, 9)) - wanted).abs().max() < 1e-6


def test_planning_of_memory_knows_the_bands() -> None:
    """A budget for the maps bounds the estimate, which takes no longer for a large picture."""
    model = escsr.build("esc_tiny", head="lte", head_args={"memory_mib": 16})
    wide = escsr.build("esc_tiny", head="lte", head_args={"memory_mib": 2048})
    size = (1024, 1024)
    little, much = (estimate_memory(m, 512, 512, size) for m in (model, wide))
    maps = 2 * 256 * 4 * 512 * 512
    assert much - little > 0.5 * maps


# ------------------------------------------------------------------ what is refused


def test_queries_of_other_heads_are_refused() -> None:
    model = escsr.build("esc_tiny", scale=2)
    with pytest.raises(ValueError, match=r"'pixel_shuffle' answers no queries.*liif.*metasr"):
        model.query(torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 2), make_cells((8, 8)))


@pytest.mark.parametrize(
    ("coords", "cells", "message"),
    [
        ((1, 4, 3), (1, 1, 2), "coords must have the shape"),
        ((2, 4, 2), (1, 1, 2), "coords must have the shape"),
        ((4, 2), (1, 1, 2), "coords must have the shape"),
        ((1, 4, 2), (1, 3, 2), "cells must have the shape"),
        ((1, 4, 2), (1, 4), "cells must have the shape"),
    ],
)
def test_wrong_shapes_are_refused(coords: tuple, cells: tuple, message: str) -> None:
    head = make("lte")
    features, lq = given((3, 4))
    with pytest.raises(ValueError, match=message):
        head.query(features, lq, torch.zeros(coords), torch.ones(cells))


def test_lmf_refuses_several_cells_in_a_picture() -> None:
    head = make("lmf_lte")
    features, lq = given((3, 4))
    cells = torch.tensor([[[0.2, 0.2], [0.1, 0.2]]])
    with pytest.raises(ValueError, match="one cell for all queries"):
        head.query(features, lq, torch.zeros(1, 2, 2), cells)


def test_lmf_answers_nan_where_refusing_several_cells_would_be_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = make("lmf_lte")
    features, lq = given((3, 4), batch=2)
    coords = torch.zeros(2, 2, 2)
    same = torch.full((1, 2, 2), 0.2)
    cells = torch.cat([same, torch.tensor([[[0.2, 0.2], [0.1, 0.2]]])])
    expected = head.query(features, lq, coords, same.expand(2, -1, -1))
    monkeypatch.setattr("escsr.heads.lmf.being_recorded", lambda: True)
    found = head.query(features, lq, coords, cells)
    assert torch.equal(found[0], expected[0])
    assert found[1].isnan().all()


@pytest.mark.parametrize(
    ("name", "knobs", "message"),
    [
        ("liif", {"hidden_dim": 0}, "hidden_dim must be a whole number"),
        ("liif", {"depth": 1.5}, "depth must be a whole number"),
        ("liif", {"cell_max_scale": 0.5}, "cell_max_scale"),
        ("liif", {"image_skip": "nearest"}, "image_skip is 'bilinear' or None"),
        ("liif", {"memory_mib": 0}, "memory_mib"),
        ("lte", {"hidden_dim": 15}, "even"),
        ("lmf_lte", {"render_dim": 7}, "render_dim must be even"),
        ("lmf_liif", {"render_dim": -1}, "render_dim must be a whole number"),
        ("metasr", {"hidden_dim": -1}, "hidden_dim"),
    ],
)
def test_impossible_arguments_are_refused(name: str, knobs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HEADS.get(name)(CHANNELS, **knobs)


def test_folding_backbones_take_multiples_of_their_stride() -> None:
    small = {"num_blocks": 1, "conv_blocks": 1, "window_size": 4, "unshuffle": 2}
    model = escsr.build("esc_real", head="liif", backbone_args=small, head_args={"hidden_dim": 8})
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 6, 8), scale=1.5).shape == (1, 3, 9, 12)
        with pytest.raises(ValueError, match="multiples of 2, not 7×8"):
            model(torch.rand(1, 3, 7, 8), scale=1.5)
        with pytest.raises(ValueError, match="multiples of 2, not 6×9"):
            model.query(torch.rand(1, 3, 6, 9), torch.zeros(1, 1, 2), make_cells((9, 9)))


@pytest.mark.parametrize(
    ("own", "size", "way"),
    [
        ((12, 17), (24, 51), "_shuffled"),
        ((12, 10), (288, 250), "_shuffled"),  # 600 kernels
        ((60, 80), (150, 200), "_strided"),  # 5/2: the period is two pixels
        ((60, 80), (64, 160), "_strided"),  # 16/15 and 2
        ((60, 60), (60, 84), "_strided"),
        ((23, 31), (52, 67), "_pixel_by_pixel"),  # no period
        ((13, 11), (14, 12), "_pixel_by_pixel"),
    ],
)
def test_metasr_is_the_same_by_every_way(own, size, way) -> None:
    """Oracle: its definition at free coordinates."""
    torch.manual_seed(0)
    head = escsr.build("esc_tiny", head="metasr", head_args={"image_skip": "bilinear"}).head
    features, lq = torch.randn(2, 32, *own), torch.rand(2, 3, *own)
    phases = [grid_phases(*sides) for sides in zip(size, own, strict=True)]
    with torch.inference_mode():
        assert head._way(*phases, (0, size[0])).__name__ == way
        picture = head(features, lq, size)
        coords = make_coords(size, dtype=torch.float64)[None].expand(2, -1, -1)
        wanted = head.query(features, lq, coords, make_cells(size))
    assert (picture - wanted.mT.reshape(picture.shape)).abs().max() < 2e-5
    features.requires_grad_()  # training goes by other ways
    trained = head(features, lq, size)
    assert (trained - picture).abs().max() < 2e-5
    trained.sum().backward()
    assert features.grad is not None
