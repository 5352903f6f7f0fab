"""Networks leave Python: `torch.export` and tracing. Oracle: the network itself."""

import pytest
import torch

import escsr
from escsr.testing import picture


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "head", ["pixel_shuffle", "pixel_shuffle_multi", "nearest_conv", "dysample"]
)
def test_exported_and_traced_networks_compute_the_same(head: str) -> None:
    torch.manual_seed(0)
    model = escsr.build(
        "esc_tiny", head=head, scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1}
    ).eval()
    lq = picture(20, 24)
    with torch.no_grad():
        expected = model(lq)
        exported = torch.export.export(model, (lq,)).module()
        traced = torch.jit.trace(model, (lq,))
        for other in (exported, traced):
            torch.testing.assert_close(other(lq), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("attention", ["auto", "sdpa"])
def test_biases_that_are_products_leave(attention: str) -> None:
    torch.manual_seed(0)
    small = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8}
    model = escsr.build("esc_rib", scale=2, backbone_args=small, attention=attention).eval()
    lq = picture(12, 9)
    with torch.no_grad():
        expected = model(lq)
        exported = torch.export.export(model, (lq,)).module()
        for other in (exported, torch.jit.trace(model, (lq,))):
            torch.testing.assert_close(other(lq), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("head", ["lte", "metasr", "lmf_lte"])
def test_heads_for_any_scale_leave_at_one_size(head: str) -> None:
    torch.manual_seed(0)
    small = {"num_blocks": 1, "conv_blocks": 1, "dim": 8, "partial_dim": 4}
    model = escsr.build(
        "esc_tiny", head=head, backbone_args=small, head_args={"hidden_dim": 8}
    ).eval()
    lq, size = picture(7, 8), (15, 20)

    class Tripled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, lq):
            return self.model(lq, scale=3)

    with torch.no_grad():
        exported = torch.export.export(model, (lq,), {"size": size}).module()
        found = exported(lq, size=size)
        torch.testing.assert_close(found, model(lq, size=size), rtol=0, atol=1e-5)
        traced = torch.jit.trace(Tripled(), (lq,))
        torch.testing.assert_close(traced(lq), model(lq, scale=3), rtol=0, atol=1e-5)


def test_dysample_has_no_tensor_of_more_than_four_dimensions() -> None:
    model = escsr.build("esc_tiny", head="dysample", scale=2).eval()
    lq = picture(20, 24)
    features = torch.rand(1, 32, 20, 24)
    with torch.no_grad():
        program = torch.export.export(model.head, (features, lq, (40, 48)))
    dims = [
        node.meta["val"].ndim
        for node in program.graph.nodes
        if isinstance(node.meta.get("val"), torch.Tensor)
    ]
    assert dims
    assert max(dims) <= 4
