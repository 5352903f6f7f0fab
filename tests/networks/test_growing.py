"""Networks that begin as a narrower or shallower one. Oracle: that network's result."""

from typing import Any

import pytest
import torch

import escsr
from escsr import checkpoints

METASR = {"image_skip": "bilinear", "cell_max_scale": 4}
SMALL = {"dim": 16, "partial_dim": 4, "num_blocks": 1, "window_size": 8, "num_heads": 2}


def saved(model: escsr.SuperResolver, path: Any) -> Any:
    """A file of a network whose weights are all different from zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.trained = True
    checkpoints.save(model, path)
    return path


def pair(backbone: str, head: str, **args: Any) -> tuple[escsr.SuperResolver, escsr.SuperResolver]:
    args = {**SMALL, **args}
    doubled = {**args, "dim": 2 * args["dim"], "partial_dim": 2 * args["partial_dim"]}
    scale = {} if head in ("metasr", "lte", "liif") else {"scale": 2}
    return tuple(  # type: ignore[return-value]
        escsr.build(backbone, head=head, backbone_args=a, **scale) for a in (args, doubled)
    )


@pytest.mark.parametrize(
    ("backbone", "head"),
    [
        ("esc", "pixel_shuffle"),
        ("esc", "metasr"),
        ("esc", "lte"),
        ("esc_fp", "pixel_shuffle"),
        ("esc_real", "pixel_shuffle"),
        ("esc_rib", "metasr"),
    ],
)
def test_the_result_stays(backbone: str, head: str, tmp_path: Any) -> None:
    torch.manual_seed(0)
    narrow, wide = pair(backbone, head)
    path = saved(narrow, tmp_path / "narrow.safetensors")
    escsr.initialise_from(wide, path, width="doubled")
    lq = torch.rand(1, 3, 22, 26)
    with torch.inference_mode():
        expected, got = (m.eval()(lq, scale=2) for m in (narrow, wide))
    assert (expected - got).abs().max() < 1e-4
    assert wide.trained


def test_any_scale_stays_with_the_embedded_model() -> None:
    args = {"dim": 64, "partial_dim": 16}
    wide = escsr.build("esc_tiny", head="metasr", head_args=METASR, backbone_args=args)
    escsr.initialise_from(wide, "default", width="doubled")
    narrow, lq = escsr.load("default"), torch.rand(1, 3, 20, 30)
    with torch.inference_mode():
        for scale in (1.5, 2, 3.7):
            apart = narrow(lq, scale=scale) - wide.eval()(lq, scale=scale)
            assert apart.abs().max() < 1e-4


def test_the_copies_of_a_channel_learn_different_things(tmp_path: Any) -> None:
    torch.manual_seed(0)
    narrow, wide = pair("esc", "pixel_shuffle")
    escsr.initialise_from(wide, saved(narrow, tmp_path / "n.safetensors"), width="doubled")
    first = wide.backbone.shallow.weight
    assert torch.equal(first[0::2], first[1::2])
    wide(torch.rand(2, 3, 16, 16)).square().mean().backward()
    assert first.grad is not None
    apart = (first.grad[0::2] - first.grad[1::2]).norm() / first.grad.norm()
    assert apart > 0.1


def test_a_fresh_head_leaves_the_head_alone(tmp_path: Any) -> None:
    torch.manual_seed(0)
    narrow, _ = pair("esc", "pixel_shuffle")
    _, wide = pair("esc", "lte")
    before = {n: t.clone() for n, t in wide.head.state_dict().items()}
    path = saved(narrow, tmp_path / "n.safetensors")
    escsr.initialise_from(wide, path, head="fresh", width="doubled")
    assert all(torch.equal(before[n], t) for n, t in wide.head.state_dict().items())
    features, expected = (m.eval().backbone(torch.ones(1, 3, 9, 9)) for m in (wide, narrow))
    assert torch.allclose(features[:, 1::2], expected, atol=1e-4)
    assert not wide.trained


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"num_heads": 4}, "results would differ|has the shapes"),
        ({"partial_dim": 4}, "results would differ|has the shapes"),
        ({"num_blocks": 2}, "only one of them has"),
    ],
)
def test_other_pairs_are_refused(changed: dict[str, int], why: str, tmp_path: Any) -> None:
    narrow, wide = pair("esc", "pixel_shuffle")
    wide = escsr.build("esc", scale=2, backbone_args={**wide.config.backbone_args, **changed})
    before = {n: t.clone() for n, t in wide.state_dict().items()}
    with pytest.raises(ValueError, match=why):
        escsr.initialise_from(wide, saved(narrow, tmp_path / "n.safetensors"), width="doubled")
    assert all(torch.equal(before[n], t) for n, t in wide.state_dict().items())


def test_a_head_that_cannot_be_doubled_is_named(tmp_path: Any) -> None:
    narrow, wide = pair("esc", "liif")
    path = saved(narrow, tmp_path / "n.safetensors")
    with pytest.raises(ValueError, match=r"head\.first\.weight has the shapes .*head='fresh'"):
        escsr.initialise_from(wide, path, width="doubled")
    escsr.initialise_from(wide, path, width="doubled", head="fresh")


@pytest.mark.parametrize(
    "more", [{"conv_blocks": 4}, {"num_blocks": 3}, {"num_blocks": 2, "conv_blocks": 7}]
)
@pytest.mark.parametrize("backbone", ["esc", "esc_fp", "esc_real", "esc_rib"])
def test_added_layers_leave_the_result(backbone: str, more: dict[str, int], tmp_path: Any) -> None:
    torch.manual_seed(0)
    shallow = escsr.build(backbone, head="metasr", backbone_args={**SMALL, "conv_blocks": 2})
    deep = escsr.build(backbone, head="metasr", backbone_args={**SMALL, **more})
    escsr.initialise_from(deep, saved(shallow, tmp_path / "s.safetensors"), depth="added")
    lq = torch.rand(1, 3, 22, 26)
    with torch.inference_mode():
        expected, got = (m.eval()(lq, scale=2.5) for m in (shallow, deep))
    assert torch.allclose(expected, got, atol=1e-6)
    assert deep.trained


def test_added_layers_learn(tmp_path: Any) -> None:
    torch.manual_seed(0)
    shallow, deep = (
        escsr.build("esc", scale=2, backbone_args={**SMALL, "num_blocks": b, "conv_blocks": c})
        for b, c in ((1, 2), (2, 3))
    )
    escsr.initialise_from(deep, saved(shallow, tmp_path / "s.safetensors"), depth="added")
    optimizer, lq = torch.optim.Adam(deep.parameters()), torch.rand(2, 3, 16, 16)
    before = {n: p.detach().clone() for n, p in deep.named_parameters()}
    for _ in range(8):  # zeros move first, then what feeds them
        optimizer.zero_grad()
        deep(lq).square().mean().backward()
        optimizer.step()
    joined = [n for n in before if ".blocks.1." in n or ".0.ffns.2." in n]
    assert joined
    assert [
        n for n, p in deep.named_parameters() if n in joined and torch.equal(p, before[n])
    ] == []


def test_a_network_grows_in_width_and_depth_at_once() -> None:
    torch.manual_seed(0)
    large = escsr.build("esc_small", head="metasr", head_args=METASR)
    escsr.initialise_from(large, "default", width="doubled", depth="added")
    lq = torch.rand(1, 3, 20, 30)
    with torch.inference_mode():
        apart = escsr.load("default")(lq, scale=3) - large.eval()(lq, scale=3)
    assert apart.abs().max() < 1e-4


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"conv_blocks": 2}, "no more layers than the weights"),
        (
            {"conv_blocks": 1, "num_blocks": 2},
            "has backbone.blocks.0.norms|which the network has not",
        ),
        ({"conv_blocks": 3, "dim": 32}, "of shape"),
        ({"conv_blocks": 3, "last_norm": True}, "has no backbone.norm_last|norm_last"),
    ],
)
def test_networks_that_are_not_deeper_are_refused(
    args: dict[str, Any], why: str, tmp_path: Any
) -> None:
    shallow = escsr.build("esc", scale=2, backbone_args={**SMALL, "conv_blocks": 2})
    path = saved(shallow, tmp_path / "s.safetensors")
    other = escsr.build("esc", scale=2, backbone_args={**SMALL, **args})
    with pytest.raises(ValueError, match=why):
        escsr.initialise_from(other, path, depth="added")
    assert not other.trained


def test_wrong_words_are_refused() -> None:
    wide = escsr.build("esc_small", scale=4)
    with pytest.raises(ValueError, match="width is 'same' or 'doubled', not 'twice'"):
        escsr.initialise_from(wide, "esc_tiny_x4", width="twice")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="depth is 'same' or 'added', not 'more'"):
        escsr.initialise_from(wide, "esc_tiny_x4", depth="more")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes the head as it is"):
        escsr.initialise_from(wide, "esc_tiny_x4", head="resample", width="doubled")
