"""The perceptual loss. Oracle: VGG19 written out as a plain chain of layers, cut by hand."""

import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from rich.console import Console
from torch import nn

import escsr.training.perceptual as module
from escsr.recipe import check, describe, examine, load, override
from escsr.training import L1, Perceptual, WeightedSum, train

LAYERS = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
ENDS = {"conv1_2": 3, "conv2_2": 8, "conv3_4": 17, "conv4_4": 26, "conv5_4": 35}
"""Layer -> how many modules of VGG19's chain come before its ReLU."""


def chain():
    """VGG19's features as published: 64, 64, M, 128, 128, M, 256 x 4, M, 512 x 4, M, 512 x 4, M."""
    plan = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]
    layers, channels = [], 3
    for item in plan:
        if item == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, item, 3, padding=1), nn.ReLU()]
            channels = item
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    network = chain()
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def tensors(vgg):
    """A file's tensors; like the published file it has a classifier, which is not looked at."""
    named = {f"features.{name}": tensor for name, tensor in vgg.state_dict().items()}
    return named | {"classifier.0.weight": torch.zeros(2, 2)}


@pytest.fixture(scope="module")
def file(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(tensors, path)
    return path


def pictures(*shape):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(*shape, generator=generator) for _ in range(2))


@pytest.fixture(scope="module")
def expected(vgg):
    def loss(sr, gt, layers):
        mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
        sr, gt = (sr - mean) / std, (gt - mean) / std
        return sum(
            weight * (vgg[: ENDS[name]](sr) - vgg[: ENDS[name]](gt)).abs().mean()
            for name, weight in layers.items()
        )

    return loss


@pytest.mark.parametrize("layers", [LAYERS, {"conv2_2": 0.5}, {"conv3_4": 1.0, "conv1_2": 2.0}])
def test_loss_and_gradient_are_those_of_the_chain(file, expected, layers):
    sr, gt = pictures(2, 3, 21, 18)
    loss = Perceptual(weights=file, layers=layers)
    found = []
    for function in (loss, partial(expected, layers=layers)):
        picture = sr.clone().requires_grad_()
        value = function(picture, gt)
        value.backward()
        found.append((value.detach(), picture.grad))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)
    assert float(found[0][1].abs().max()) > 0


def test_layers_are_the_paper_s_by_default(file, expected):
    sr, gt = pictures(1, 3, 16, 16)
    torch.testing.assert_close(Perceptual(weights=file)(sr, gt), expected(sr, gt, LAYERS))


def test_safetensors_and_wrapped_files_are_read_too(file, tensors, tmp_path):
    layers = {"conv2_1": 1.0}
    first = {name: tensor for name, tensor in tensors.items() if re.match(r"features\.[025]", name)}
    safetensors.torch.save_file(first, tmp_path / "model.safetensors")
    torch.save({"state_dict": first}, tmp_path / "wrapped.pth")
    sr, gt = pictures(1, 3, 16, 16)
    plain = Perceptual(weights=file, layers=layers)(sr, gt)
    for name in ("model.safetensors", "wrapped.pth"):
        found = Perceptual(weights=str(tmp_path / name), layers=layers)(sr, gt)
        assert torch.equal(found, plain)


def test_it_is_not_trained_and_draws_nothing_from_the_run_s_generator(file):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    loss = Perceptual(weights=file)
    loss.prepare()
    assert torch.equal(torch.get_rng_state(), before)
    assert loss.vgg is not None
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_constructor_reads_nothing_and_the_file_is_opened_once(file, monkeypatch):
    reads = []
    real = module.read_tensors
    monkeypatch.setattr(module, "read_tensors", lambda path: reads.append(path) or real(path))
    loss = Perceptual(weights=file, layers={"conv1_2": 1.0})
    assert reads == []
    sr, gt = pictures(1, 3, 4, 4)
    loss(sr, gt), loss(sr, gt)
    assert reads == [file]


@pytest.fixture
def timm(monkeypatch):
    """Stands in for timm, whose import takes seconds."""
    pytest.importorskip("huggingface_hub")
    fake = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(models=fake, __spec__=fake))
    monkeypatch.setitem(sys.modules, "timm.models", fake)
    return fake


@pytest.mark.slow
def test_timm_has_what_we_ask_it_for():
    timm = pytest.importorskip("timm")
    assert timm.get_pretrained_cfg("vgg19").hf_hub_id == "timm/vgg19.tv_in1k"
    assert callable(timm.models.load_state_dict_from_hf)


def test_named_weights_come_through_timm(tensors, timm, expected):
    asked = []
    timm.load_state_dict_from_hf = lambda name: asked.append(name) or tensors
    loss = Perceptual(layers={"conv2_2": 1.0})
    assert asked == []
    sr, gt = pictures(1, 3, 16, 16)
    torch.testing.assert_close(loss(sr, gt), expected(sr, gt, {"conv2_2": 1.0}))
    assert asked == ["timm/vgg19.tv_in1k"]
    assert loss.to_download is None


def test_download_that_fails_says_what_to_do(timm):
    def fail(name):
        raise RuntimeError("no route to host")

    timm.load_state_dict_from_hf = fail
    with pytest.raises(OSError, match=r"(?s)no route to host.*vgg19-dcbb9e9d.pth.*weights="):
        Perceptual().prepare()


def test_offline_only_what_is_cached_is_read(file, timm, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("ESCSR_OFFLINE", "1")
    timm.load_state_dict_from_hf = lambda name: pytest.fail("somebody was asked")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *a: None)
    with pytest.raises(OSError, match=r"(?s)ESCSR_OFFLINE is set.*weights="):
        Perceptual().prepare()
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *a: str(file))
    loss = Perceptual(layers={"conv1_2": 1.0})
    loss.prepare()
    assert loss.vgg is not None


def test_what_will_be_downloaded_is_told_only_if_it_is_not_cached(file, timm, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *a: None)
    assert Perceptual().to_download == "timm/vgg19.tv_in1k (575 MB)"
    assert Perceptual(weights=file).to_download is None
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *a: "/cache/model.safetensors")
    assert Perceptual().to_download is None


def test_missing_file_is_told_at_once_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"vgg.pth; give a file.*'vgg19.tv_in1k'"):
        Perceptual(weights=tmp_path / "vgg.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"features.1.weight": torch.zeros(1)}, "VGG19.*conv1_1.weight is missing"),
        (
            {"features.0.weight": torch.zeros(8, 3, 5, 5), "features.0.bias": torch.zeros(64)},
            r"conv1_1.weight is \(8, 3, 5, 5\), the network's is \(64, 3, 3, 3\)",
        ),
        ([1, 2], "table of tensors"),
        (b"not a file of tensors", "not a file of tensors: it is damaged"),
    ],
)
def test_file_of_something_else_is_refused(tmp_path, content, said):
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=f"(?s)x.pth.*{said}"):
        Perceptual(weights=path, layers={"conv1_1": 1.0}).prepare()


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ({}, "at least one of conv1_1"),
        ({"conv5_5": 1.0}, "no layer 'conv5_5'; did you mean 'conv5_"),
        ({"relu": 1.0}, "no layer 'relu'"),
        ({"conv1_1": 0.0}, "weight of conv1_1 must be above 0"),
    ],
)
def test_wrong_layers_are_refused(file, layers, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Perceptual(weights=file, layers=layers)


@pytest.mark.parametrize(("layer", "least"), [("conv1_1", 1), ("conv3_4", 4), ("conv5_4", 16)])
def test_smallest_pictures_are_what_the_message_says(file, layer, least):
    loss = Perceptual(weights=file, layers={layer: 1.0})
    sr, gt = pictures(1, 3, least, least + 1)
    assert bool(loss(sr, gt).isfinite())
    if least > 1:
        with pytest.raises(ValueError, match=f"at least {least} x {least}"):
            loss(sr[..., 1:, :], gt[..., 1:, :])


@pytest.mark.parametrize("shapes", [((1, 3, 16, 16), (2, 3, 16, 16)), ((1, 9, 3), (1, 9, 3))])
def test_other_shapes_are_refused(file, shapes):
    with pytest.raises(ValueError, match="of one shape"):
        Perceptual(weights=file)(*map(torch.rand, shapes))


def test_sum_with_a_pixel_loss(file, expected):
    layers = {"conv1_2": 1.0}
    loss = WeightedSum(
        pixel=partial(L1),
        perceptual=partial(Perceptual, weights=file, layers=layers),
        factors={"perceptual": 0.5},
    )
    sr, gt = pictures(1, 3, 8, 8)
    terms = loss(sr, gt)
    assert list(terms) == ["pixel", "perceptual"]
    torch.testing.assert_close(terms["pixel"], (sr - gt).abs().mean())
    torch.testing.assert_close(terms["perceptual"], 0.5 * expected(sr, gt, layers))
    assert loss.needs_pictures


# ---------------------------------------------------------------------------- in a recipe


@pytest.fixture
def recipe(file):
    summed = partial(
        WeightedSum,
        pixel=partial(L1),
        perceptual=partial(Perceptual, weights=file, layers={"conv1_2": 1.0}),
        factors={"perceptual": 0.5},
    )
    return replace(load(Path(__file__).with_name("gan_recipe.py")), loss=summed, steps=2)


def test_run_logs_every_term_and_trains_on_their_sum(tmp_path, recipe):
    train(replace(recipe, log_every=1), out=tmp_path, console=Console(quiet=True))
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        record = json.loads(line)
        total = record["pixel"] + record["perceptual"] + record["gan"]
        assert record["loss"] == pytest.approx(total, rel=1e-6)
        assert min(record["pixel"], record["perceptual"], record["gan"]) > 0


def test_terms_are_described_and_overridden(tmp_path, recipe):
    assert describe(recipe)["loss"]["perceptual"]["layers"] == {"conv1_2": 1.0}
    assert describe(replace(recipe, loss=partial(Perceptual)))["loss"]["layers"] == LAYERS
    changed = override(recipe, ["loss.factors.pixel=0.25", "loss.perceptual.layers.conv1_2=3"])
    loss = changed.loss()
    assert loss.factors == {"pixel": 0.25, "perceptual": 0.5}
    assert loss.terms["perceptual"].layers == {"conv1_2": 3.0}
    assert check(changed) == []


def test_mistakes_are_told_before_the_run(recipe):
    missing = override(recipe, ["loss.perceptual.weights=no/vgg.pth", "loss.factors.pixle=2"])
    (problem,) = check(missing)
    assert problem.startswith("loss: factors: no term 'pixle'")
    (problem,) = check(override(recipe, ["loss.perceptual.weights=no/vgg.pth"]))
    assert problem.startswith("loss: no such file: no/vgg.pth; give a file")
    typo = replace(recipe, loss=partial(recipe.loss, pixel=partial(L1, eps=1)))
    assert any(problem.startswith("loss.pixel.eps:") for problem in check(typo))


def test_what_will_be_downloaded_is_noted_and_not_fetched(recipe, timm, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *a: None)
    found = examine(override(recipe, ["loss.perceptual.weights=vgg19"]))
    assert found.problems == []
    assert any("Perceptual downloads timm/vgg19.tv_in1k (575 MB)" in note for note in found.advice)
