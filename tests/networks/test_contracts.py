"""Every backbone with every head, by the contract checks that plug-ins can use, too."""

import pytest
import torch

import escsr
from escsr import testing

# Scales that each head is tried at: one step, several steps, an odd one.
SCALES = {
    "conv": (1,),
    "dysample": (2, 3),
    "nearest_conv": (2, 3, 4),
    "pixel_shuffle": (2, 3),
    "pixel_shuffle_multi": (2, 3, 4),
}
# Fewer blocks and smaller windows: the parts and their joints are all there, in a fraction of
# the time. The whole networks have a test of their own.
SHORT = {"num_blocks": 1, "conv_blocks": 2, "window_size": 8}


def test_every_head_is_tried() -> None:
    assert set(SCALES) == set(escsr.list_heads())


@pytest.mark.parametrize(
    ("head", "scale"), [(head, scale) for head, scales in SCALES.items() for scale in scales]
)
@pytest.mark.parametrize("backbone", escsr.list_backbones())
def test_contract(backbone: str, head: str, scale: int) -> None:
    torch.manual_seed(0)
    model = escsr.build(backbone, head=head, scale=scale, backbone_args=SHORT)
    testing.check_network(model)


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
