"""Backbones with heads, by the contract checks that plug-ins can use, too."""

import math
from collections.abc import Iterable

import pytest
import torch

import escsr
from escsr import testing

# Scales that each head is tried at: one step, several steps, an odd one; None: any scale.
SCALES = {
    "conv": (1,),
    "dysample": (2, 3),
    "liif": (None,),
    "lmf_liif": (None,),
    "lmf_lte": (None,),
    "lte": (None,),
    "lte_fast": (None,),
    "metasr": (None,),
    "nearest_conv": (2, 3, 4),
    "pixel_shuffle": (2, 3),
    "pixel_shuffle_multi": (2, 3, 4),
}
# Fewer blocks and smaller windows: the parts and their joints are all there, in a fraction of
# the time. The whole networks have a test of their own.
SHORT = {"num_blocks": 1, "conv_blocks": 2, "window_size": 8}
# Heads for any scale know of a backbone only how many channels it makes.
THIN = SHORT | {"dim": 12, "partial_dim": 4, "num_heads": 2}
NARROW = {"hidden_dim": 16}
# Made short, ESC-light is ESC, and ESC-XL has the parts of ESC and ESC-Real in other widths.
LEFT_OUT = {"esc_light", "esc_xl"}
TRIED = [name for name in escsr.list_backbones() if name not in LEFT_OUT]
# Of folding and of not folding.
UNDER_ANY_SCALE = ["esc_tiny", "esc_real"]
CASES = [
    (backbone, head, scale)
    for head, scales in SCALES.items()
    for scale in scales
    for backbone in (TRIED if scale else UNDER_ANY_SCALE)
]


def test_every_head_is_tried() -> None:
    assert set(SCALES) == set(escsr.list_heads())


def test_backbones_left_out_have_no_other_parts() -> None:
    def parts(names: Iterable[str]) -> set[str]:
        networks = [escsr.build(name, scale=2, backbone_args=SHORT) for name in names]
        return {type(module).__name__ for network in networks for module in network.modules()}

    assert parts(LEFT_OUT) <= parts(TRIED)


@pytest.mark.parametrize(("backbone", "head", "scale"), CASES)
def test_contract(backbone: str, head: str, scale: int | None) -> None:
    torch.manual_seed(0)
    size, narrow = (SHORT, {}) if scale else (THIN, NARROW)
    model = escsr.build(backbone, head=head, scale=scale, backbone_args=size, head_args=narrow)
    testing.check_network(model)


@pytest.mark.parametrize("attention", ["auto", "sdpa"])
@pytest.mark.parametrize("bias", ["low_rank", "implicit"])
def test_contract_of_other_biases(bias: str, attention: str) -> None:
    torch.manual_seed(0)
    args = SHORT | {"attention_bias": bias, "bias_rank": 12}
    model = escsr.build("esc", scale=2, backbone_args=args, attention=attention)
    testing.check_network(model)


@pytest.mark.parametrize("head", [head for head, scales in SCALES.items() if None in scales])
def test_any_scale_gives_exactly_the_size_asked(head: str) -> None:
    torch.manual_seed(0)
    small = {"num_blocks": 1, "conv_blocks": 1, "dim": 8, "partial_dim": 4, "num_heads": 1}
    model = escsr.build("esc_tiny", head=head, backbone_args=small, head_args=NARROW).eval()
    assert model.scale is None
    lq = testing.picture(13, 10)
    with torch.inference_mode():
        for scale in (1, 1.37, 2, math.pi, 4, 7.9, 30):
            assert model(lq, scale=scale).shape[2:] == (round(13 * scale), round(10 * scale))
        for own, size in (((1, 1), (3, 5)), ((17, 31), (100, 64)), ((6, 40), (7, 40))):
            assert model(testing.picture(*own), size=size).shape == (1, 3, *size)
        for request in ({"scale": 30.01}, {"scale": 0.9}, {"size": (12, 10)}, {"size": (13, 301)}):
            with pytest.raises(ValueError, match="by 1 to 30|at least 1"):
                model(lq, **request)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", escsr.list_backbones())
def test_contract_of_whole_networks(backbone: str) -> None:
    torch.manual_seed(0)
    model = escsr.build(backbone, scale=2)
    testing.check_sizes(model, [(21, 9)])
    testing.check_gradients(model)
    if backbone != "esc_xl":  # two minutes more for nothing new
        testing.check_batches(model)
        testing.check_autocast(model)


def test_all_sizes_up_to_seventy() -> None:
    torch.manual_seed(0)
    small = {"num_blocks": 1, "conv_blocks": 1, "dim": 8, "partial_dim": 4, "num_heads": 1}
    for backbone in ("esc_tiny", "esc_real"):
        model = escsr.build(backbone, scale=2, backbone_args=small)
        testing.check_sizes(model, [(n, 71 - n) for n in range(1, 71)])


def test_checks_can_fail() -> None:
    torch.manual_seed(0)

    class Broken(escsr.SuperResolver):
        def forward(self, lq, scale=None, size=None):
            sr = super().forward(lq, scale, size)
            lq.mul_(0.5)
            return sr + lq.mean() * (len(lq) > 1)

    model = escsr.build("esc_tiny", scale=2)
    model.__class__ = Broken
    with pytest.raises(AssertionError, match="batch of 3"):
        testing.check_batches(model)
    with pytest.raises(AssertionError, match="written to"):
        testing.check_input_untouched(model)
    model.__class__ = escsr.SuperResolver
    model.backbone.last.weight.requires_grad_(False)
    with pytest.raises(AssertionError, match=r"backbone\.last\.weight"):
        testing.check_gradients(model)
    model.head.reach = 0
    with pytest.raises(AssertionError, match="does the head state its reach"):
        testing.check_rows(model)
