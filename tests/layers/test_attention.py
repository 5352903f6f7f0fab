"""Window attention: three ways, one result. Oracle: the definition by index, in float64."""

import copy

import pytest
import torch

from escsr.layers import ATTENTION_MODES, WindowAttention
from escsr.layers.attention_bias import relative_bias, relative_bias_by_index


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_bias_by_windows_equals_bias_by_index(window: int) -> None:
    table = torch.rand(3, (2 * window - 1) ** 2, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(3, window**2, window**2, dtype=torch.float64)
    gradients = []
    for spread in (relative_bias, relative_bias_by_index):
        bias = spread(table, window)
        (gradient,) = torch.autograd.grad((bias * weight).sum(), table)
        gradients.append((bias.detach(), gradient))
    assert torch.equal(gradients[0][0], gradients[1][0])
    torch.testing.assert_close(gradients[0][1], gradients[1][1])


@pytest.fixture
def layer() -> WindowAttention:
    torch.manual_seed(0)
    layer = WindowAttention(12, window_size=4, num_heads=3)
    torch.nn.init.normal_(layer.bias_table, std=1.0)
    return layer


@pytest.mark.parametrize("mode", ATTENTION_MODES)
@pytest.mark.parametrize("training", [False, True])
def test_modes_agree(layer: WindowAttention, mode: str, training: bool) -> None:
    layer.train(training)
    x = torch.randn(2, 12, 7, 9, requires_grad=True)
    results = []
    for one in ("math", mode):
        layer.mode = one
        out = layer(x)
        leaves = [x, *layer.parameters()]
        results.append([out.detach(), *torch.autograd.grad(out.square().sum(), leaves)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_windows_are_apart(layer: WindowAttention) -> None:
    layer.eval()
    x = torch.randn(1, 12, 8, 8)
    changed = x.clone()
    changed[..., :4, :4] += 1
    with torch.no_grad():
        difference = (layer(changed) - layer(x)).abs().amax(1)[0]
    assert difference[:4, :4].min() > 0
    difference[:4, :4] = 0
    assert difference.max() == 0


def kept(layer: WindowAttention) -> torch.Tensor | None:
    return layer.bias.kept


def test_bias_is_kept_in_evaluation_and_follows_the_weights(layer: WindowAttention) -> None:
    layer.eval()
    x = torch.randn(1, 12, 4, 4)

    def fresh() -> torch.Tensor:
        return copy.deepcopy(layer).train()(x).detach()

    with torch.inference_mode():
        layer(x)
        first = kept(layer)
        layer(x)
    assert first is not None
    assert kept(layer) is first

    def scaled_in_place() -> None:
        layer.bias_table.mul_(2)

    def scaled_behind_the_counter() -> None:
        layer.bias_table.data.mul_(0.5)

    def replaced() -> None:
        layer.bias_table = torch.nn.Parameter(torch.randn_like(layer.bias_table))

    def loaded() -> None:
        layer.load_state_dict({n: t + 0.5 for n, t in layer.state_dict().items()})

    def stepped() -> None:
        with torch.enable_grad():
            layer(x).sum().backward()
        torch.optim.SGD(layer.parameters(), lr=1.0).step()

    for change in (scaled_in_place, scaled_behind_the_counter, replaced, loaded, stepped):
        with torch.no_grad():
            change()
            torch.testing.assert_close(layer(x), fresh())
    with torch.no_grad():
        layer.double()
        x = x.double()
        torch.testing.assert_close(layer(x), fresh())


def test_nothing_is_kept_where_gradients_flow(layer: WindowAttention) -> None:
    layer.eval()
    with torch.inference_mode():
        layer(torch.randn(1, 12, 4, 4))
    layer(torch.randn(1, 12, 4, 4)).sum().backward()  # an inference tensor would raise here
    assert layer.bias_table.grad is not None
    layer.requires_grad_(False)
    x = torch.randn(1, 12, 4, 4, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    layer.train()
    assert kept(layer) is None


def test_large_results_are_not_kept(layer: WindowAttention) -> None:
    layer.eval()
    layer.bias.limit_bytes = 100
    with torch.no_grad():
        layer(torch.randn(1, 12, 4, 4))
    assert kept(layer) is None


def test_wrong_heads() -> None:
    with pytest.raises(ValueError, match="12 is not a multiple of num_heads 5"):
        WindowAttention(12, window_size=4, num_heads=5)
