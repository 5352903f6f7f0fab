"""What half precision leaves of a smooth ramp. Oracle: the same network in float32."""

import pytest
import torch

import escsr
from escsr.heads import HEADS, FixedScaleHead
from escsr.registry import unwrap

SMALL = {"num_blocks": 1, "conv_blocks": 1}
# Meta-SR goes other ways where the grid repeats itself often, seldom and never.
SIZES = {"metasr": [(4, 200), (5, 250), (5, 239)]}
FIXED = [name for name in HEADS if issubclass(unwrap(HEADS.get(name)), FixedScaleHead)]


def network(head: str) -> escsr.SuperResolver:
    torch.manual_seed(0)
    scale = None if head not in FIXED else 1 if head == "conv" else 2
    return escsr.build("esc_tiny", head=head, scale=scale, backbone_args=SMALL).eval()


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_results_are_not_rounded_to_half_precision(head: str, dtype: torch.dtype) -> None:
    model = network(head)
    lq = torch.linspace(0.2, 0.7, 100).expand(1, 3, 2, 100)
    for size in SIZES.get(head, [None] if head in FIXED else [(4, 200)]):
        with torch.inference_mode():
            exact = model(lq, size=size)
            with torch.autocast("cpu", dtype):
                half = model(lq, size=size)
        assert half.dtype == torch.float32
        # Nearly as many values as in float32; of bfloat16 there would be some 300 in all.
        assert len(half.unique()) > 0.8 * len(exact.unique())
        assert (half - exact).abs().max() < 0.05


@pytest.mark.parametrize("head", list(HEADS))
def test_gradients_reach_the_last_layer_under_autocast(head: str) -> None:
    model = network(head).train()
    with torch.autocast("cpu", torch.bfloat16):
        sr = model(torch.rand(2, 3, 4, 5), **({} if head in FIXED else {"scale": 2}))
        sr.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.head.parameters())
