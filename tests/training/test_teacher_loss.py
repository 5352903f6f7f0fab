"""Learning from a teacher. Oracles: the distance written out, and the teacher itself."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import escsr
from escsr.data import ArbitraryScaleDataset, FolderDataset, TeacherDataset, prepare_teacher
from escsr.recipe import Recipe, check
from escsr.resize import imresize
from escsr.training import L1, Charbonnier, Teacher, WeightedSum, constant, train

PHOTOS = Path(__file__).parents[1] / "data"
GENERATOR = torch.Generator().manual_seed(0)
LQ, SR = torch.rand(2, 3, 5, 6, generator=GENERATOR), torch.rand(2, 3, 10, 12, generator=GENERATOR)


class Squares(nn.Module):
    """A teacher of one scale: each pixel as a square."""

    def __init__(self, scale=4):
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, lq):
        assert not self.training
        return self.weight * lq.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)


def test_pictures_of_the_data_are_compared_with():
    made = torch.rand(SR.shape, generator=GENERATOR)
    loss = Teacher()(SR, torch.zeros_like(SR), batch={"lq": LQ, "teacher": made})
    assert float(loss) == pytest.approx(float((SR - made).abs().mean()), rel=1e-6)


def test_larger_pictures_of_a_network_are_reduced_by_matlabs_bicubic():
    large = LQ.repeat_interleave(4, -1).repeat_interleave(4, -2)
    made = [
        imresize(one.numpy().transpose(1, 2, 0), size=(10, 12)).transpose(2, 0, 1) for one in large
    ]
    wanted = (SR - torch.from_numpy(np.stack(made))).abs().mean()
    teacher = Teacher(network=partial(Squares))
    teacher.prepare()
    assert float(teacher(SR, SR, batch={"lq": LQ})) == pytest.approx(float(wanted), rel=1e-5)


def test_networks_of_any_scale_make_the_size():
    teacher = Teacher(network="default", distance=partial(Charbonnier))
    model = escsr.load("default")
    with torch.no_grad():
        wanted = Charbonnier()(SR, model(LQ, size=(10, 12)))
    assert torch.equal(teacher(SR, SR, batch={"lq": LQ}), wanted)


def test_the_teacher_gets_no_gradient_and_is_none_of_the_losses_weights_in_training():
    teacher = Teacher(network=partial(Squares))
    teacher.prepare()
    teacher.train()
    sr = SR.clone().requires_grad_()
    teacher(sr, SR, batch={"lq": LQ}).backward()
    assert sr.grad is not None
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_too_small_pictures_and_missing_ones_are_told():
    with pytest.raises(ValueError, match=r"makes \(5, 6\).*larger scale"):
        Teacher(network=partial(Squares, scale=1))(SR, SR, batch={"lq": LQ})
    with pytest.raises(ValueError, match="TeacherDataset"):
        Teacher()(SR, SR, batch={"lq": LQ})
    with pytest.raises(FileNotFoundError, match="no_such"):
        Teacher(network="no_such")


RECIPE = Recipe(
    name="student",
    model=partial(
        escsr.build, "esc_tiny", scale=2, backbone_args={"num_blocks": 1, "conv_blocks": 1}
    ),
    data=partial(FolderDataset, roots=(PHOTOS,), scale=2, patch=8),
    loss=partial(
        WeightedSum, pixel=partial(L1), teacher=partial(Teacher), factors={"teacher": 0.5}
    ),
    optimizer=partial(torch.optim.SGD, lr=1e-3),
    schedule=partial(constant),
    steps=2,
    batch=2,
    log_every=1,
    tensorboard=False,
    device="cpu",
)


def test_checking_finds_data_without_a_teacher():
    (problem,) = check(RECIPE)
    assert "teacher's pictures" in problem
    assert "TeacherDataset" in problem
    network = partial(WeightedSum, pixel=partial(L1), teacher=partial(Teacher, network="default"))
    assert not check(replace(RECIPE, loss=network))
    queries = partial(ArbitraryScaleDataset, roots=(PHOTOS,), patch=8, queries=4)
    model = partial(escsr.build, "esc_tiny", head="liif")
    (problem,) = check(replace(RECIPE, loss=network, data=queries, model=model))
    assert "whole pictures" in problem


@pytest.mark.parametrize("on_device", [False, True])
def test_a_student_is_trained(tmp_path, on_device):
    prepare_teacher([PHOTOS], tmp_path / "t", enlarge=Squares(2).eval(), name="squares", scale=2)
    data = partial(
        TeacherDataset,
        folders=(tmp_path / "t",),
        roots=(PHOTOS,),
        scales=(2, 2),
        patch=8,
        on_device=on_device,
    )
    seen = []

    class Spy(Teacher):
        def forward(self, sr, gt, *, batch):
            seen.append(batch)
            return super().forward(sr, gt, batch=batch)

    loss = partial(WeightedSum, pixel=partial(L1), teacher=partial(Spy), factors={"teacher": 0.5})
    recipe = replace(RECIPE, data=data, loss=loss)
    assert not check(recipe)
    summary = train(recipe, out=tmp_path / "run", console=Console(quiet=True))
    assert summary.finished
    for batch in seen:
        squares = batch["lq"].repeat_interleave(2, -1).repeat_interleave(2, -2)
        assert (batch["teacher"] - squares).abs().max() < 1.01 / 255
        assert not torch.equal(batch["gt"], batch["teacher"])
