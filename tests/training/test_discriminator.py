"""The discriminator. Oracles: the network written out literally with PyTorch's own spectral norm,
and the singular value decomposition."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from escsr.training import UNetDiscriminator
from escsr.training.discriminator import SpectralNorm, from_published, refresh_norms
from escsr.training.tensor_files import fill


def conv_with_norm(*arguments, **settings):
    conv = nn.Conv2d(*arguments, **settings)
    nn.utils.parametrize.register_parametrization(conv, "weight", SpectralNorm(conv.weight))
    return conv


class Literal(nn.Module):
    """Real-ESRGAN's discriminator, layer by layer; its names are those of the published files."""

    def __init__(self, n):
        super().__init__()
        norm = nn.utils.spectral_norm
        self.conv0 = nn.Conv2d(3, n, 3, 1, 1)
        self.conv1 = norm(nn.Conv2d(n, n * 2, 4, 2, 1, bias=False))
        self.conv2 = norm(nn.Conv2d(n * 2, n * 4, 4, 2, 1, bias=False))
        self.conv3 = norm(nn.Conv2d(n * 4, n * 8, 4, 2, 1, bias=False))
        self.conv4 = norm(nn.Conv2d(n * 8, n * 4, 3, 1, 1, bias=False))
        self.conv5 = norm(nn.Conv2d(n * 4, n * 2, 3, 1, 1, bias=False))
        self.conv6 = norm(nn.Conv2d(n * 2, n, 3, 1, 1, bias=False))
        self.conv7 = norm(nn.Conv2d(n, n, 3, 1, 1, bias=False))
        self.conv8 = norm(nn.Conv2d(n, n, 3, 1, 1, bias=False))
        self.conv9 = nn.Conv2d(n, 1, 3, 1, 1)

    def forward(self, x):
        def up(x):
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

        def act(x):
            return torch.where(x > 0, x, 0.2 * x)

        x0 = act(self.conv0(x))
        x1 = act(self.conv1(x0))
        x2 = act(self.conv2(x1))
        x3 = act(self.conv3(x2))
        x4 = act(self.conv4(up(x3))) + x2
        x5 = act(self.conv5(up(x4))) + x1
        x6 = act(self.conv6(up(x5))) + x0
        return self.conv9(act(self.conv8(act(self.conv7(x6)))))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_network_is_the_literal_one_and_reads_its_files():
    torch.manual_seed(0)
    literal = Literal(8).eval()
    ours = UNetDiscriminator(features=8).eval()
    fill(ours, from_published(literal.state_dict()), source="a file", kind="the literal one")
    x = torch.rand(2, 3, 24, 40)
    torch.testing.assert_close(ours(x), literal(x), atol=1e-6, rtol=1e-5)


def test_size_of_the_published_network():
    count = sum(p.numel() for p in UNetDiscriminator().parameters())
    assert count == 4_376_897  # what RealESRGAN_x4plus_netD.pth holds


@pytest.mark.parametrize("size", [(8, 8), (9, 15), (31, 8), (17, 45)])
def test_any_size_gets_a_logit_for_every_pixel(size):
    logits = UNetDiscriminator(features=2)(torch.rand(1, 3, *size))
    assert logits.shape == (1, 1, *size)
    assert bool(logits.isfinite().all())


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r"8 x 8 pixels, got 7 x 20"):
        UNetDiscriminator(features=2)(torch.rand(1, 3, 7, 20))


def test_every_weight_gets_a_gradient():
    network = UNetDiscriminator(features=2)
    network(torch.rand(1, 3, 16, 16)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_norm_of_weights_is_the_largest_singular_value():
    torch.manual_seed(0)
    weight = torch.randn(6, 3, 3, 3, dtype=torch.float32)
    norm = SpectralNorm(weight)
    for _ in range(200):
        out = norm(weight)
    largest = torch.linalg.svdvals(weight.flatten(1).double())[0]
    torch.testing.assert_close(out.double(), weight.double() / largest, rtol=1e-5, atol=1e-6)


def test_iterations_and_gradient_are_those_of_pytorch():
    torch.manual_seed(0)
    ours, theirs = conv_with_norm(3, 5, 3), parametrizations.spectral_norm(nn.Conv2d(3, 5, 3))
    state = ours.state_dict()
    renamed = {
        name.replace(".0.u", ".0._u").replace(".0.v", ".0._v"): tensor
        for name, tensor in state.items()
    }
    theirs.load_state_dict(renamed)
    x = torch.rand(1, 3, 8, 8)
    for _ in range(3):
        for conv in (ours, theirs):
            conv.zero_grad()
            (conv(x) ** 2).sum().backward()
        grads = [conv.parametrizations.weight.original.grad for conv in (ours, theirs)]
        torch.testing.assert_close(*grads, rtol=1e-5, atol=1e-6)
    kept = [conv.parametrizations.weight[0] for conv in (ours, theirs)]
    torch.testing.assert_close(kept[0].u, kept[1]._u)
    torch.testing.assert_close(kept[0].v, kept[1]._v)


@pytest.mark.parametrize(
    "norm",
    [conv_with_norm, lambda *a: parametrizations.spectral_norm(nn.Conv2d(*a))],
    ids=["ours", "pytorch"],
)
def test_norms_advance_once_at_a_refresh_and_not_in_passes(norm):
    torch.manual_seed(0)
    network = nn.Sequential(norm(3, 4, 3), nn.Dropout(0.5))

    def vectors():
        return [buffer.clone() for buffer in network.buffers()]

    drawn = vectors()
    refresh_norms(network)
    refreshed = vectors()
    assert any(not torch.equal(a, b) for a, b in zip(drawn, refreshed, strict=True))
    network(torch.rand(1, 3, 8, 8)), network(torch.rand(1, 3, 8, 8))
    assert all(torch.equal(a, b) for a, b in zip(refreshed, vectors(), strict=True))
    assert network[1].training  # the rest of the network stays in training
    refresh_norms(network)
    assert any(not torch.equal(a, b) for a, b in zip(refreshed, vectors(), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norm_is_found_in_float32_under_autocast(dtype):
    torch.manual_seed(0)
    conv = conv_with_norm(3, 4, 3).eval()
    plain = conv.weight
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(conv.weight, plain)


def test_files_of_other_networks_are_refused():
    network = UNetDiscriminator(features=2)
    with pytest.raises(ValueError, match=r"first.weight is \(3, 3, 3, 3\).*2, 3, 3, 3"):
        fill(network, UNetDiscriminator(features=3).state_dict(), source="x.pth", kind="ours")
    with pytest.raises(ValueError, match=r"x.pth holds .*than ours: first.weight is missing"):
        fill(network, {"other": torch.zeros(1)}, source="x.pth", kind="ours")


@pytest.mark.parametrize("wrong", [{"features": 0}, {"in_channels": 0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        UNetDiscriminator(**wrong)
