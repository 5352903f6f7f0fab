"""Window attention: several ways, one result. Oracles: the definition by index, and SVD."""

import copy
import math

import pytest
import torch

from escsr.layers import ATTENTION_MODES, BIASES, WindowAttention, factorize_table
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


def of_kind(bias: str, rank: int = 3, **more: object) -> WindowAttention:
    torch.manual_seed(0)
    args = {} if bias == "table" else {"rank": rank}
    layer = WindowAttention(12, window_size=4, num_heads=3, bias=bias, **args, **more)
    for name, weight in layer.named_parameters():
        if name.startswith("bias_"):
            torch.nn.init.normal_(weight, std=0.7)
    return layer


@pytest.mark.parametrize("mode", ATTENTION_MODES)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("bias", "rank"), [("table", 1), *[(b, r) for b in BIASES[1:] for r in (3, 9)]]
)
def test_modes_agree(bias: str, rank: int, mode: str, training: bool) -> None:
    layer = of_kind(bias, rank, gate=bias == "implicit")  # rank 9 takes another way in training
    layer.train(training)
    x = torch.randn(2, 12, 7, 9, requires_grad=True)
    results = []
    for one in ("math", mode):
        layer.mode = one
        out = layer(x)
        leaves = [x, *layer.parameters()]
        results.append([out.detach(), *torch.autograd.grad(out.square().sum(), leaves)])
    for expected, found in zip(*results, strict=True):
        largest = expected.abs().max().item()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * max(1, largest))


@pytest.mark.parametrize("bias", BIASES)
def test_without_gradients_modes_agree_and_nothing_is_stale(bias: str) -> None:
    layer, x = of_kind(bias).eval(), torch.randn(3, 12, 5, 13)
    with torch.inference_mode():
        for _ in range(2):
            results = []
            for layer.mode in ATTENTION_MODES:
                results.append(layer(x))
            for found in results:
                torch.testing.assert_close(found, results[0], rtol=1e-4, atol=1e-5)
            layer.load_state_dict({n: t * 1.5 for n, t in layer.state_dict().items()})
    assert not torch.allclose(layer(x), results[0])


def test_an_implicit_bias_is_its_definition() -> None:
    layer = WindowAttention(
        8, window_size=3, num_heads=2, bias="implicit", rank=4, hidden_dim=5, frequencies=2
    ).double()
    weight, offset, to_q, to_k = (
        getattr(layer, f"bias_{n}") for n in ("hidden_weight", "hidden_offset", "q", "k")
    )
    rows = []
    for row in range(3):
        for column in range(3):
            x, y = 2 * (column + 0.5) / 3 - 1, 2 * (row + 0.5) / 3 - 1
            e = [x, y]
            for f in (1, 2):
                e += [math.sin(f * x), math.sin(f * y), math.cos(f * x), math.cos(f * y)]
            rows.append(torch.relu(torch.tensor(e, dtype=torch.float64) @ weight + offset[0]))
    hidden = torch.stack(rows)
    wanted = (hidden @ to_q) @ (hidden @ to_k).mT / math.sqrt(4)
    found = layer.bias_kind.factors(weight, offset, to_q, to_k).spread()
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 5, 24, 25])
def test_a_table_as_a_product_is_its_truncated_svd(rank: int) -> None:
    table = torch.randn(2, 81, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    factors, errors = factorize_table(table, 5, rank)
    spread = relative_bias_by_index(table, 5)
    u, s, v = torch.linalg.svd(spread)
    best = u[..., :rank] * s[:, None, :rank] @ v[:, :rank]
    torch.testing.assert_close(factors.spread(), best, rtol=0, atol=1e-10)
    lost = (spread - best).flatten(1).norm(dim=1) / spread.flatten(1).norm(dim=1)
    torch.testing.assert_close(torch.tensor(errors, dtype=torch.float64), lost, rtol=0, atol=1e-7)


def test_a_table_of_zeros_is_a_product_without_error() -> None:
    factors, errors = factorize_table(torch.zeros(1, 25), 3, 2)
    assert errors == (0.0,)
    assert factors.spread().abs().max() == 0


def test_autocast_leaves_the_bias_exact() -> None:
    layer = of_kind("implicit").eval()
    weights = [getattr(layer, name) for name in layer._bias_names]
    exact = layer.bias_kind.factors(*weights).spread()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.bias_kind.factors(*weights).spread(), exact)


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


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"bias": "tabel"}, "unknown bias 'tabel'; there are: table, low_rank, implicit"),
        ({"rank": 3}, "a table has no rank"),
        ({"bias": "low_rank"}, "needs a rank"),
        ({"bias": "low_rank", "rank": 17}, "from 1 to 16.*4×4, not 17"),
        ({"bias": "implicit", "rank": 0}, "from 1 to 16"),
        ({"bias": "implicit", "rank": 2, "hidden_dim": 0}, "hidden_dim from 1"),
    ],
)
def test_impossible_biases(args: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WindowAttention(12, window_size=4, num_heads=3, **args)


def test_wrong_heads() -> None:
    with pytest.raises(ValueError, match="12 is not a multiple of num_heads 5"):
        WindowAttention(12, window_size=4, num_heads=5)
