"""Adversarial training. Oracles: formulas and PyTorch's own losses, a loop written out by hand,
PyTorch's autograd on the bare networks, and the uninterrupted run."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import nn

import escsr
from escsr.data import FolderDataset
from escsr.recipe import RecipeError, check, describe, examine, load, override
from escsr.training import L1, Adversary, TrainingError, UNetDiscriminator, constant, train
from escsr.training.adversarial import discriminator_loss, generator_loss
from escsr.training.engine import Engine
from escsr.training.state import checkpoints, load_state

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).with_name("gan_recipe.py")
QUIET = Console(quiet=True)
RECIPE = replace(load(FILE), steps=9, log_every=4, save_every=3)
RECIPE = replace(RECIPE, schedule=partial(constant, warmup=2))
PLAIN = replace(RECIPE, adversary=None)


class Flat(nn.Sequential):
    """A discriminator of two plain convolutions, to be written out by hand."""

    def __init__(self, *, width=4):
        super().__init__(
            nn.Conv2d(3, width, 3, stride=2), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3)
        )


def adversary(recipe=RECIPE, **changes):
    return replace(recipe, adversary=partial(recipe.adversary, **changes))


def last_state(out):
    return load_state(checkpoints(out / "checkpoints")[-1])


def log(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def leaves(value, path=""):
    """All values of nested containers with their places; tensors as bytes."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


def assert_same_run(one, other):
    a, b = last_state(one), last_state(other)
    assert a["step"] == b["step"]
    for part in ("engine", "window", "rng"):
        assert list(leaves(a[part])) == list(leaves(b[part])), part
    assert "adversary" in a["engine"]
    figures = [[r for r in log(out) if "loss" in r] for out in (one, other)]
    assert figures[0] == figures[1]


def batch(index=0, recipe=RECIPE):
    dataset = recipe.data(seed=recipe.seed)
    pairs = [dataset[recipe.batch * index + number] for number in range(recipe.batch)]
    return {key: torch.stack([pair[key] for pair in pairs]) for key in ("lq", "gt")}


def engine(recipe):
    torch.manual_seed(recipe.seed)
    return Engine(recipe)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The recipe's run, never interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, train(RECIPE, out=out, console=QUIET)


# ---------------------------------------------------------------------------- scores


LOGITS = torch.linspace(-3, 3, 12).reshape(2, 1, 2, 3)


def test_vanilla_is_the_cross_entropy_of_pytorch():
    ones, zeros = torch.ones_like(LOGITS), torch.zeros_like(LOGITS)
    entropy = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(generator_loss(LOGITS, "vanilla"), entropy(LOGITS, ones))
    torch.testing.assert_close(
        discriminator_loss(LOGITS, -2 * LOGITS, "vanilla"),
        entropy(LOGITS, ones) + entropy(-2 * LOGITS, zeros),
    )


def test_lsgan_and_hinge_are_their_formulas():
    real, fake = LOGITS.flatten().tolist(), (0.5 * LOGITS - 0.2).flatten().tolist()

    def mean(values):
        return pytest.approx(sum(values) / len(real), rel=1e-5)

    pair = LOGITS, 0.5 * LOGITS - 0.2
    squares = [(r - 1) ** 2 + f**2 for r, f in zip(real, fake, strict=True)]
    assert float(discriminator_loss(*pair, "lsgan")) == mean(squares)
    assert float(generator_loss(pair[1], "lsgan")) == mean([(f - 1) ** 2 for f in fake])
    margins = [max(0, 1 - r) + max(0, 1 + f) for r, f in zip(real, fake, strict=True)]
    assert float(discriminator_loss(*pair, "hinge")) == mean(margins)
    assert float(generator_loss(pair[1], "hinge")) == mean([-f for f in fake])


def test_scores_stay_finite_for_the_largest_logits():
    for kind in ("vanilla", "lsgan", "hinge"):
        logits = torch.tensor([1e4, -1e4], requires_grad=True)
        (generator_loss(logits, kind) + discriminator_loss(logits, logits, kind)).backward()
        assert bool(logits.grad.isfinite().all()), kind


# ---------------------------------------------------------------------------- the step


@pytest.mark.parametrize("kind", ["vanilla", "lsgan", "hinge"])
def test_steps_are_those_written_out_by_hand(kind):
    # plain descent: Adam makes steps of full size out of rounding errors
    sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    recipe = adversary(
        replace(RECIPE, optimizer=sgd),
        optimizer=sgd,
        discriminator=partial(Flat),
        kind=kind,
        weight=0.3,
        grad_clip=0.5,
    )
    trained = engine(recipe)
    torch.manual_seed(recipe.seed)
    model, judge = recipe.model().train(), Flat()
    optimizers = [sgd(network.parameters()) for network in (model, judge)]
    for step in range(4):
        result = trained.step([batch(step)], step)
        lq, gt = batch(step).values()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1 * min(1, (step + 1) / 2)
            optimizer.zero_grad()
        sr = model(lq)
        gan = 0.3 * generator_loss(judge(sr), kind)
        pixel = (sr - gt).abs().mean()
        (pixel + gan).backward()
        judge.zero_grad()  # what the generator's loss left there
        real, fake = judge(gt), judge(sr.detach())
        loss = discriminator_loss(real, fake, kind)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(judge.parameters(), 0.5)
        for optimizer in optimizers:
            optimizer.step()
        expected = {
            "gan": gan,
            "d_loss": loss,
            "d_real": real.mean(),
            "d_fake": fake.mean(),
            "d_grad_norm": norm,
        }
        assert result.loss == pytest.approx(float((pixel + gan).detach()), rel=1e-5)
        assert result.terms.keys() == expected.keys()
        for name, value in expected.items():
            got = pytest.approx(float(value.detach()), rel=1e-4, abs=1e-6)
            assert result.terms[name] == got, name
    pairs = [(trained.model, model), (trained.opponent.network, judge)]
    for ours, by_hand in pairs:
        for name, value in by_hand.state_dict().items():
            torch.testing.assert_close(
                ours.state_dict()[name], value, atol=2e-6, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
            )


def test_generator_gets_the_adversarial_gradient():
    lq, gt = batch().values()
    found = {}
    for name, recipe in (("with", adversary(weight=0.7)), ("without", PLAIN)):
        tried = engine(recipe)
        tried.optimized.begin(0)
        if tried.opponent is not None:
            tried.opponent.begin(0)
        tried._add_gradients({"lq": lq, "gt": gt}, 1, 0)
        found[name] = [p.grad.clone() for p in tried.model.parameters()]
        if tried.opponent is not None:
            judge = tried.opponent.network
            logits = judge(tried.model(lq, size=gt.shape[-2:]))
            score = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
            wanted = torch.autograd.grad(score, list(tried.model.parameters()))
    for a, b, expected in zip(found["with"], found["without"], wanted, strict=True):
        torch.testing.assert_close(a, b + 0.7 * expected, rtol=1e-3, atol=1e-6)
    size = math.sqrt(sum(float((g.double() ** 2).sum()) for g in wanted))
    assert size > 1e-3


def test_generator_s_pass_leaves_no_gradient_in_the_discriminator():
    tried = engine(RECIPE)
    tried.opponent.begin(0)
    sr = torch.rand(1, 3, 16, 16, requires_grad=True)
    tried.opponent.judge(sr).backward()
    assert sr.grad is not None
    assert all(p.grad is None and p.requires_grad for p in tried.opponent.network.parameters())


def test_discriminator_is_shown_the_photo_where_there_is_one():
    """Oracle: a step in which the photo is the truth, and the other side's figures."""
    plain, other = engine(RECIPE), engine(RECIPE)
    given = batch()
    one = plain.step([given], 0).terms
    two = other.step([given | {"photo": given["gt"].flip(-1)}], 0).terms
    assert one["d_fake"] == pytest.approx(two["d_fake"], abs=1e-6)
    assert one["d_real"] != two["d_real"]
    assert one["gan"] == two["gan"]
    assert engine(PLAIN).step([given | {"photo": given["gt"]}], 0).loss > 0  # and nobody minds


@pytest.mark.parametrize("pieces", [2, 4])
def test_batch_in_pieces_takes_the_steps_of_the_whole_batch(pieces):
    sgd = partial(torch.optim.SGD, lr=0.1)
    recipe = adversary(replace(RECIPE, batch=4, optimizer=sgd), optimizer=sgd)
    whole, parts = engine(recipe), engine(recipe)
    for step in range(4):
        everything = batch(step, recipe)
        cut = [{k: v.chunk(pieces)[n] for k, v in everything.items()} for n in range(pieces)]
        a, b = whole.step([everything], step), parts.step(cut, step)
        assert a.terms == pytest.approx(b.terms, rel=1e-4, abs=1e-6)
    for one, other in (
        (whole.model, parts.model),
        (whole.opponent.network, parts.opponent.network),
    ):
        for name, value in one.state_dict().items():
            torch.testing.assert_close(value, other.state_dict()[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_takes_finite_steps_near_those_of_float32(precision):
    exact, half = engine(RECIPE), engine(replace(RECIPE, precision=precision))
    for step in range(4):
        a, b = exact.step([batch(step)], step), half.step([batch(step)], step)
        assert b is not None
        assert b.loss == pytest.approx(a.loss, rel=0.05)
        assert b.terms["d_loss"] == pytest.approx(a.terms["d_loss"], rel=0.05)
        # the true size of the discriminator's gradient, not the one scaled for float16
        assert b.terms["d_grad_norm"] == pytest.approx(a.terms["d_grad_norm"], rel=0.2)


class Broken(UNetDiscriminator):
    """Gives a logit that is not a number at some of its passes (two a step)."""

    def __init__(self, *, passes):
        super().__init__(features=2)
        self.passes, self.count = passes, 0

    def forward(self, pictures):
        bad = self.count in self.passes
        self.count += 1
        return super().forward(pictures) * (math.nan if bad else 1)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("passes", [{4}, {5}], ids=["generator", "discriminator"])
def test_step_that_is_not_finite_for_one_side_changes_neither(passes, precision):
    recipe = replace(RECIPE, precision=precision)
    recipe = adversary(recipe, discriminator=partial(Broken, passes=passes))
    tried = engine(recipe)

    def weights():
        networks = (tried.model, tried.average.model, tried.opponent.network)
        return [p.clone() for network in networks for p in network.parameters()]

    for step in range(4):
        before = weights()
        result = tried.step([batch(step)], step)
        same = all(torch.equal(a, b) for a, b in zip(before, weights(), strict=True))
        assert same == (step == 2), step
        assert (result is None) == (step == 2), step
    assert tried.skipped == 1
    assert all(bool(p.isfinite().all()) for p in weights())


def test_run_that_stays_without_finite_steps_names_both_gradients(tmp_path):
    recipe = adversary(discriminator=partial(Broken, passes=range(99)))
    with pytest.raises(TrainingError, match=r"gradient norm .*, that of the discriminator nan"):
        train(replace(recipe, max_bad_steps=2), out=tmp_path, console=QUIET)


# ---------------------------------------------------------------------------- the run


class Stop:
    """A validation that asks the run to stop at its n-th call."""

    done = False

    def __init__(self, *, at):
        self.at, self.calls = at, 0

    def __call__(self, model):
        self.calls += 1
        if self.calls == self.at and not Stop.done:
            Stop.done = True
            os.kill(os.getpid(), signal.SIGTERM)
        return {"psnr_y": 0.0}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_stopped_and_resumed_run_equals_the_uninterrupted_one(tmp_path, whole_run, precision):
    whole = whole_run[0]
    recipe = replace(RECIPE, precision=precision, accumulate=1 if precision == "fp32" else 2)
    if recipe.accumulate > 1:
        whole = tmp_path / "whole"
        train(recipe, out=whole, console=QUIET)
    Stop.done = False
    recipe = replace(recipe, validate_every=1, validation=partial(Stop, at=4))
    assert train(recipe, out=tmp_path / "run", console=QUIET).steps == 4
    assert train(recipe, out=tmp_path / "run", resume=True, console=QUIET).finished
    assert_same_run(tmp_path / "run", whole)


def test_run_without_the_adversary_begins_alike_and_comes_out_differently(tmp_path, whole_run):
    train(PLAIN, out=tmp_path, console=QUIET)
    first = [engine(recipe).model.state_dict() for recipe in (RECIPE, PLAIN)]
    assert list(leaves(first[0])) == list(leaves(first[1]))  # drawn before the discriminator
    a, b = last_state(tmp_path)["engine"], last_state(whole_run[0])["engine"]
    assert all(not torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    assert "gan" not in log(tmp_path)[-1]


def test_figures_of_both_sides_are_logged(whole_run):
    names = {"gan", "d_loss", "d_real", "d_fake", "d_grad_norm"}
    for record in log(whole_run[0]):
        assert names <= record.keys()
        assert all(math.isfinite(record[name]) for name in names)
        assert record["loss"] > record["gan"] > 0


def test_discriminator_is_written_and_started_from(tmp_path, whole_run):
    file = whole_run[0] / "discriminator.safetensors"
    still = partial(torch.optim.SGD, lr=0.0)
    recipe = adversary(replace(RECIPE, steps=1), optimizer=still, start_from=str(file))
    train(recipe, out=tmp_path / "next", console=QUIET)
    before = last_state(whole_run[0])["engine"]["adversary"]["model"]
    after = last_state(tmp_path / "next")["engine"]["adversary"]["model"]
    for name, value in before.items():
        if name.rsplit(".", 1)[-1] not in "uv":  # those advance with each step
            assert torch.equal(after[name], value), name
    wider = adversary(recipe, discriminator=partial(UNetDiscriminator, features=6))
    (problem,) = check(wider)
    assert problem.startswith("adversary.start_from: ")
    assert "first.weight is (4, 3, 3, 3), the network's is (6, 3, 3, 3)" in problem


def test_weights_it_once_started_from_are_not_needed_on_resume(tmp_path, whole_run):
    start = tmp_path / "start.safetensors"
    start.write_bytes((whole_run[0] / "discriminator.safetensors").read_bytes())
    recipe = replace(adversary(start_from=str(start)), steps=2)
    train(recipe, out=tmp_path / "run", console=QUIET)
    start.unlink()
    assert check(recipe) == [f"adversary.start_from: no such file: {start}"]
    assert train(recipe, out=tmp_path / "run", resume=True, console=QUIET).finished


def test_adversary_may_come_in_later_where_that_is_allowed(tmp_path):
    short = replace(PLAIN, steps=3)
    train(short, out=tmp_path, console=QUIET)
    longer = replace(RECIPE, steps=5)
    with pytest.raises(ValueError, match="adversary"):
        train(longer, out=tmp_path, resume=True, console=QUIET)
    changing = ["adversary", "steps"]
    assert train(longer, out=tmp_path, resume=True, changing=changing, console=QUIET).finished
    assert "gan" in log(tmp_path)[-1]


# ---------------------------------------------------------------------------- the recipe


def test_adversary_can_be_left_out_on_the_command_line():
    assert override(RECIPE, ["adversary=none"]) == PLAIN
    with pytest.raises(RecipeError, match="loss is a part"):
        override(RECIPE, ["loss=none"])


def test_values_of_the_adversary_are_described_and_overridden():
    recipe = override(
        RECIPE,
        [
            "adversary.kind=hinge",
            "adversary.weight=0.05",
            "adversary.discriminator.features=5",
            "adversary.optimizer.betas=0.5,0.9",
        ],
    )
    described = describe(recipe)["adversary"]
    assert described["function"] == "escsr.training.adversarial.Adversary"
    assert (described["kind"], described["weight"], described["grad_clip"]) == ("hinge", 0.05, None)
    assert described["discriminator"]["features"] == 5
    assert described["discriminator"]["in_channels"] == 3  # a default is told too
    assert described["optimizer"]["betas"] == [0.5, 0.9]
    json.dumps(described)
    built = recipe.adversary()
    assert built.network.first.out_channels == 5
    assert check(recipe) == []


WRONG = {
    "unknown kind": ({"kind": "wgan"}, ["adversary.kind", "wgan", "'hinge'"]),
    "no weight": ({"weight": 0.0}, ["adversary: weight must be above 0"]),
    "clip": ({"grad_clip": 0.0}, ["adversary: grad_clip"]),
    "typo": ({"wieght": 1.0}, ["adversary.wieght", "did you mean 'weight'"]),
    "typo inside": (
        {"discriminator": partial(UNetDiscriminator, feature=8)},
        ["adversary.discriminator.feature:", "did you mean 'features'"],
    ),
    "type inside": (
        {"discriminator": partial(UNetDiscriminator, features="many")},
        ["adversary.discriminator.features: got 'many', expected int"],
    ),
    "no network": ({"discriminator": partial(dict)}, ["must give a torch.nn.Module, got dict"]),
    "optimizer": (
        {"optimizer": partial(torch.optim.Adam, lr=-1.0)},
        ["adversary.optimizer: Invalid learning rate"],
    ),
    "schedule": (
        {"schedule": partial(constant, warmup=-1)},
        ["adversary.schedule: warmup must be at least 0"],
    ),
    "file": ({"start_from": "no/such.pth"}, ["adversary.start_from: no such file: no/such.pth"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_told_before_the_run(tmp_path, name):
    changes, parts = WRONG[name]
    recipe = adversary(**changes)
    with pytest.raises(RecipeError) as caught:
        train(recipe, out=tmp_path / "run", console=QUIET)
    for part in parts:
        assert part in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_adversary_wants_its_optimizer():
    recipe = replace(RECIPE, adversary=partial(Adversary))
    assert any("adversary.optimizer: is missing" in problem for problem in check(recipe))


class Pixels(FolderDataset):
    """Data that gives single pixels, as far as a recipe can see."""

    queries = 100


class Pictures(L1):
    needs_pictures = True


def test_single_pixels_are_refused_where_pictures_are_judged():
    data = partial(Pixels, **RECIPE.data.keywords)
    model = partial(escsr.build, "esc_tiny", head="liif")
    problems = check(replace(RECIPE, model=model, data=data, loss=partial(Pictures)))
    assert [problem.split(":")[0] for problem in problems] == ["adversary", "loss"]
    assert all("data.queries=100" in problem for problem in problems)
    assert check(replace(PLAIN, model=model, data=data)) == []


def advice(recipe, **settings):
    return " ".join(
        line for line in examine(recipe, **settings).advice if not line.startswith("data.patch")
    )


def test_advice_on_what_goes_wrong_with_others(whole_run):
    assert "adversary: the run starts from drawn weights" in advice(RECIPE)
    assert advice(RECIPE, resumed=True) == ""
    pretrained = replace(RECIPE, start_from=str(whole_run[1].weights))
    assert advice(pretrained) == ""
    assert advice(PLAIN) == ""

    other = partial(RECIPE.model, backbone_args={"dim": 16, "partial_dim": 8, "num_blocks": 1})
    assert "partial_dim 8 is not a quarter of dim 16" in advice(replace(RECIPE, model=other))
    assert advice(replace(PLAIN, model=other)) == ""

    dysample = replace(RECIPE, model=partial(RECIPE.model, head="dysample"))
    assert "dysample" in advice(dysample)
    assert advice(replace(dysample, adversary=None)) == ""


# ---------------------------------------------------------------------------- processes


def start(*arguments):
    command = [sys.executable, ROOT / "tools" / "train.py", FILE, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output


@pytest.mark.slow
def test_killed_run_of_200_steps_resumed_equals_the_uninterrupted_one(tmp_path):
    finish(start("--out", tmp_path / "whole"))
    killed = start("--out", tmp_path / "run")
    deadline = time.monotonic() + 120
    while len(checkpoints(tmp_path / "run" / "checkpoints")) < 2:
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert checkpoints(tmp_path / "run" / "checkpoints")[-1].name < "step_000000200.pt"
    finish(start("--out", tmp_path / "run", "--resume"))
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    records = log(tmp_path / "whole")
    assert records[-1]["step"] == 200
    assert records[-1]["skipped"] == 0
    for record in records:
        assert all(math.isfinite(value) for value in record.values())
    finish(start("--out", tmp_path / "again", "adversary.weight=0.2"))
    weights = [last_state(tmp_path / n)["engine"]["model"] for n in ("whole", "again")]
    assert list(leaves(weights[0])) != list(leaves(weights[1]))


@pytest.mark.slow
def test_processes_that_share_a_run_take_its_steps(tmp_path):
    pytest.importorskip("accelerate")
    # plain descent: Adam makes steps of full size out of rounding errors
    recipe = tmp_path / "sgd.py"
    recipe.write_text(
        "from dataclasses import replace\nfrom functools import partial\nimport torch\n"
        f"from escsr.recipe import load\nbase = load({str(FILE)!r})\n"
        "sgd = partial(torch.optim.SGD, lr=0.1)\n"
        "recipe = replace(base, optimizer=sgd, batch=4, steps=12, log_every=3,\n"
        "                 device='cpu', adversary=partial(base.adversary, optimizer=sgd))\n"
    )
    train(load(recipe), out=tmp_path / "one", console=QUIET)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--standalone", ROOT / "tools" / "train.py", recipe]
    command += ["accumulate=2", "--out", tmp_path / "two"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (last_state(tmp_path / name)["engine"] for name in ("one", "two"))
    for a, b in ((one, two), (one["adversary"], two["adversary"])):
        for name, value in a["model"].items():
            torch.testing.assert_close(b["model"][name], value, rtol=0, atol=2e-6)
    for a, b in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6)
