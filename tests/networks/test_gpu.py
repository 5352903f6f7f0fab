"""What only a GPU can show. Oracle: the same network on the CPU, written-out attention."""

import copy

import pytest
import torch

import escsr
from escsr import testing
from escsr.heads.base import query_heads
from escsr.layers import make_cells

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(autouse=True)
def exact_matmul(monkeypatch: pytest.MonkeyPatch) -> None:
    # TF32 has 10 bits of mantissa; here the same numbers are wanted.
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("attention", escsr.layers.ATTENTION_MODES)
@pytest.mark.parametrize("backbone", ["esc", "esc_fp", "esc_real", "esc_rib"])
def test_gpu_equals_cpu(backbone: str, attention: str) -> None:
    torch.manual_seed(0)
    model = escsr.build(backbone, scale=2, attention="math").eval()
    lq = testing.picture(40, 52, batch=2)
    with torch.no_grad():
        expected = model(lq)
        found = copy.deepcopy(model).set_attention(attention).cuda()(lq.cuda()).cpu()
    assert (found - expected).abs().max() < 2e-4


@pytest.mark.parametrize("attention", ["sdpa", "flex"])
def test_gradients_on_the_gpu_equal_those_on_the_cpu(attention: str) -> None:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", scale=2, attention="math")
    other = copy.deepcopy(model).set_attention(attention).cuda()
    lq = testing.picture(32, 48, batch=2)
    model(lq).square().mean().backward()
    other(lq.cuda()).square().mean().backward()
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        scale = p.grad.abs().max()
        assert (q.grad.cpu() - p.grad).abs().max() <= 1e-3 * scale, name


@pytest.mark.parametrize("head", escsr.list_heads())
def test_half_precision(head: str) -> None:
    torch.manual_seed(0)
    scale = None if head in query_heads() else 1 if head == "conv" else 2
    model = escsr.build("esc_tiny", head=head, scale=scale)
    testing.check_autocast(model, device="cuda")


@pytest.mark.parametrize("head", query_heads())
def test_any_scale_and_queries_on_the_gpu_equal_those_on_the_cpu(head: str) -> None:
    torch.manual_seed(0)
    model = escsr.build("esc_tiny", head=head).eval()
    other = copy.deepcopy(model).cuda()
    lq = testing.picture(20, 17, batch=2)
    coords = torch.rand(2, 50, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cells = make_cells((33, 70))
    with torch.no_grad():
        for size in ((33, 70), (60, 51), (40, 34)):
            found = other(lq.cuda(), size=size).cpu()
            assert (found - model(lq, size=size)).abs().max() < 2e-4
        answers = other.query(lq.cuda(), coords.cuda(), cells.cuda()).cpu()
        assert (answers - model.query(lq, coords, cells)).abs().max() < 2e-4


def test_upscale_finds_the_gpu() -> None:
    image = (testing.picture(20, 30)[0].permute(1, 2, 0).numpy() * 255).astype("uint8")
    model = escsr.load("esc_tiny_x2")
    on_cpu = escsr.upscale(image, model=model, device="cpu").astype(int)
    on_gpu = escsr.upscale(image, model=model).astype(int)
    assert next(model.parameters()).is_cuda
    assert abs(on_gpu - on_cpu).max() <= 1
