"""Recipes. Oracles: Python's own call of the parts, and errors told by hand."""

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

import escsr
from escsr.data import ArbitraryScaleDataset, FolderDataset
from escsr.heads import HEADS, Head
from escsr.recipe import Recipe, RecipeError, apply, check, describe, differences, load, override
from escsr.training import L1, CropValidation, cosine, multistep

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "tests" / "data"

RECIPE = Recipe(
    name="test",
    model=partial(escsr.build, "esc_tiny", scale=2),
    data=partial(FolderDataset, roots=(PHOTOS,), scale=2, patch=8),
    loss=partial(L1),
    optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.9)),
    schedule=partial(cosine, warmup=2),
    steps=9,
    batch=2,
)


def kinds(
    *,
    integer: int = 1,
    number: float = 1.0,
    flag: bool = False,
    text: str = "",
    maybe: float | None = None,
    choice: Literal["a", "b", 3] = "a",
    items: Sequence[str] = (),
    pair: tuple[float, int] = (1.0, 1),
    path: Path = Path(),
    either: int | str = 1,
    places: Sequence[str | Path] = (),
    free: Any = None,
    bare=0.5,
    inner: Any = None,
) -> None:
    """Accepts one argument of each kind."""


def test_recipe_is_frozen_and_keyword_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECIPE.steps = 1
    with pytest.raises(TypeError):
        Recipe("test")


# ------------------------------------------------------------------------- files


def test_file_gives_its_recipe(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\nfrom pathlib import Path\nfrom escsr.recipe import load\n"
        f"base = load({str(ROOT / 'recipes' / 'smoke.py')!r})\nrecipe = replace(base, steps=3)\n"
    )
    assert load(tmp_path / "mine.py").steps == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "must define"),
        ("recipe = 1", "must define"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f(:", "SyntaxError"),
        ("from escsr.training import nothing", "ImportError"),
    ],
)
def test_file_without_a_recipe_is_refused(tmp_path, text, said):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=said) as caught:
        load(tmp_path / "mine.py")
    assert "mine.py" in str(caught.value)


def test_recipe_of_another_name_is_pointed_out(tmp_path):
    (tmp_path / "mine.py").write_text(
        f"from escsr.recipe import load\nbase = load({str(ROOT / 'recipes' / 'smoke.py')!r})\n"
    )
    with pytest.raises(ValueError, match="it defines base"):
        load(tmp_path / "mine.py")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.py"):
        load(tmp_path / "none.py")


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.py")), ids=lambda p: p.stem)
def test_recipes_of_the_project_are_fine_but_for_the_data(path):
    recipe = load(path)
    assert recipe.name == path.stem
    for problem in check(recipe):  # a fresh clone has neither datasets nor runs
        missing = ("no such folder", "there is no file 'runs/", "is no teacher's folder")
        assert any(words in problem for words in missing), problem
    commands = re.findall(
        r"^    (?:python|accelerate launch) tools/train\.py", path.read_text(), re.M
    )
    assert len(commands) == 1


# --------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("integer=12", 12),
        ("integer=1_000", 1000),
        ("number=1e-3", 1e-3),
        ("number=2", 2.0),
        ("flag=true", True),
        ("flag=off", False),
        ("text=none", "none"),
        ("maybe=none", None),
        ("maybe=0.5", 0.5),
        ("choice=b", "b"),
        ("choice=3", 3),
        ("items=a,b", ("a", "b")),
        ("items=a", ("a",)),
        ("items=", ()),
        ("items=[0-9]*.png", ("[0-9]*.png",)),
        ("pair=0.5,3", (0.5, 3)),
        ("pair=(0.5,3)", (0.5, 3)),
        ("path=/tmp/x", Path("/tmp/x")),
        ("either=3", 3),
        ("either=three", "three"),
        ("places=x,y/z", ("x", "y/z")),
        ("free=[1, 2]", [1, 2]),
        ("free=word", "word"),
        ("bare=2.5", 2.5),
        ("inner.number=3", partial(kinds, number=3.0)),
    ],
)
def test_override_reads_the_value_as_annotated(assignment, expected):
    recipe = replace(RECIPE, loss=partial(kinds, inner=partial(kinds)))
    key, _ = assignment.split("=", 1)
    value = override(recipe, [f"loss.{assignment}"]).loss.keywords[key.split(".")[0]]
    if isinstance(expected, partial):
        assert (value.func, value.keywords) == (expected.func, expected.keywords)
    else:
        assert value == expected
        assert type(value) is type(expected)


def test_override_reaches_fields_parts_mappings_and_positional_arguments():
    changed = override(
        RECIPE,
        [
            "steps=100",
            "grad_clip=0.5",
            "optimizer.lr=5e-4",
            "optimizer.betas=0.8,0.99",
            "optimizer.fused=true",
            "data.roots=a,b",
            "model.backbone=esc_light",
            "model.backbone_args.num_blocks=1",
            "model.backbone_args.ffn_ratio=1.5",
        ],
    )
    assert (changed.steps, changed.grad_clip) == (100, 0.5)
    assert changed.optimizer.keywords == {"lr": 5e-4, "betas": (0.8, 0.99), "fused": True}
    assert changed.data.keywords["roots"] == ("a", "b")
    model = changed.model()
    assert model.config.backbone == "esc_light"
    assert model.config.backbone_args["num_blocks"] == 1
    assert model.config.backbone_args["ffn_ratio"] == 1.5
    assert RECIPE.steps == 9  # the original is left as it is
    assert RECIPE.model.args == ("esc_tiny",)


def test_star_overrides_every_part_that_has_the_argument():
    recipe = replace(RECIPE, validation=partial(CropValidation, roots=(PHOTOS,), scale=2))
    changed = override(recipe, ["*.scale=4", "*.roots=photos"])
    for part in (changed.model, changed.data, changed.validation):
        assert part.keywords["scale"] == 4
    assert changed.data.keywords["roots"] == changed.validation.keywords["roots"] == ("photos",)
    assert "roots" not in changed.model.keywords


def test_all_wrong_overrides_are_told_at_once_and_the_others_applied():
    wrong = {
        "stepps=1": "did you mean 'steps'",
        "steps=ten": "'ten' is not int",
        "steps": "key=value",
        "optimizer.lrr=1": "did you mean 'lr'",
        "optimizer.betas=0.9": "'0.9' is not tuple",
        "precision=fp8": "'fp32' or 'bf16' or 'fp16'",
        "loss=l1": "is a part",
        "steps.x=1": "no arguments",
        "validation.roots=x": "no arguments",
        "*.scael=2": "did you mean 'scale'",
        "*=2": "no part",
        "loss.eps=1": "L1 has no argument 'eps'",
    }
    changed, problems = apply(RECIPE, [*wrong, "batch=7"])
    assert changed == replace(RECIPE, batch=7)
    assert len(problems) == len(wrong)
    for (assignment, said), problem in zip(wrong.items(), problems, strict=True):
        assert assignment.partition("=")[0] in problem
        assert said in problem
    with pytest.raises(RecipeError) as caught:
        override(RECIPE, list(wrong))
    assert caught.value.problems == problems
    assert all(problem in str(caught.value) for problem in problems)


# -------------------------------------------------------------------------- check


def test_good_recipe_has_no_problems_and_checking_disturbs_nothing():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    validation = partial(CropValidation, roots=(ROOT / "examples",), scale=2)
    assert check(replace(RECIPE, validation=validation)) == []
    assert torch.equal(torch.rand(1), expected)


WRONG = {
    "type of a number": ({"steps": 1.5}, ["steps: got 1.5, expected int"]),
    "range": ({"batch": 0}, ["batch: must be at least 1"]),
    "open end of a range": ({"ema": 1.0}, ["ema: must be at least 0 and below 1"]),
    "limit of zero": ({"grad_clip": 0.0}, ["grad_clip: must be above 0"]),
    "choice": ({"precision": "fp8"}, ["precision: got 'fp8'", "'bf16'"]),
    "device": ({"device": "abacus"}, ["device: 'abacus'"]),
    "no part": ({"loss": L1}, ["loss: must be a functools.partial"]),
    "unknown argument": (
        {"optimizer": partial(torch.optim.AdamW, learning_rate=1)},
        ["optimizer.learning_rate", "no such argument"],
    ),
    "misspelt argument": (
        {"data": partial(FolderDataset, roots=(PHOTOS,), scale=2, pach=8)},
        ["data.pach", "did you mean 'patch'", "data.patch: is missing"],
    ),
    "type of an argument": (
        {"data": partial(FolderDataset, roots=str(PHOTOS), scale=2, patch="8")},
        ["data.roots: got", "expected Sequence[str | ", "data.patch: got '8', expected int"],
    ),
    "what the trainer supplies": (
        {"schedule": partial(cosine, steps=5)},
        ["schedule.steps: is supplied by the trainer"],
    ),
    "too many positional": ({"loss": partial(L1, 1, 2)}, ["loss: ", "at most 0"]),
    "a part that does not take what is supplied": (
        {"data": partial(CropValidation, roots=(PHOTOS,), scale=2)},
        ["data: ", "must accept seed="],
    ),
    "unknown network": (
        {"model": partial(escsr.build, "esc_tinny", scale=2)},
        ["model: ", "esc_tinny", "esc_tiny"],
    ),
    "scale against scale": (
        {"model": partial(escsr.build, "esc_tiny", scale=4)},
        ["data.scale: is 2, but the model makes ×4"],
    ),
    "range inside a part": (
        {"optimizer": partial(torch.optim.AdamW, lr=-1.0)},
        ["optimizer: Invalid learning rate"],
    ),
    "schedule": (
        {"schedule": partial(multistep, milestones=(5, 3))},
        ["schedule: milestones must rise"],
    ),
    "missing folder": (
        {"data": partial(FolderDataset, roots=("nowhere",), scale=2, patch=8)},
        ["data: no such folder: nowhere"],
    ),
    "patch against photo": (
        {"data": partial(FolderDataset, roots=(PHOTOS,), scale=2, patch=100)},
        ["data: ", "photo.png", "smaller than the crop of 200x200"],
    ),
    "validating on what is trained on": (
        {"validation": partial(CropValidation, roots=(PHOTOS,), scale=2)},
        ["validation: photos that are trained on too", "photo.png"],
    ),
    "best figure": (
        {
            "validation": partial(CropValidation, roots=(ROOT / "examples",), scale=2),
            "best": "psnr",
        },
        ["best: 'psnr'; did you mean 'psnr_y'"],
    ),
    "weights to start from": ({"start_from": "none.safetensors"}, ["start_from: there is no file"]),
    "file that holds no weights": (
        {"start_from": str(PHOTOS / "photo.png")},
        ["start_from: ", "photo.png"],
    ),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG.keys())
def test_problem_is_told(changes, said):
    problems = check(replace(RECIPE, **changes))
    assert problems
    for part in said:
        assert part in "\n".join(problems)


def test_all_problems_are_told_at_once():
    names = ("range", "choice", "misspelt argument", "unknown network", "range inside a part")
    changes = {key: value for name in names for key, value in WRONG[name][0].items()}
    text = "\n".join(check(replace(RECIPE, **changes)))
    for name in names:
        for part in WRONG[name][1]:
            assert part in text


# ----------------------------------------------------------------------- describe


class Enlarger(Head):
    """A head of any scale that makes whole pictures only."""

    def __init__(self, in_channels):
        super().__init__()
        self.to_rgb = torch.nn.Conv2d(in_channels, 3, 3, padding=1)

    def forward(self, features, lq, size):
        return self.to_rgb(torch.nn.functional.interpolate(features, size))


@pytest.mark.parametrize(
    ("head", "scale", "data", "overrides"),
    [
        ("pixel_shuffle", 3, {"queries": 9}, "data.queries=none data.group=4 data.scales=3,3"),
        ("pixel_shuffle", 2, {"group": 4}, "data.scales=2,2"),
        (
            "pixel_shuffle",
            2,
            {"group": 4, "multiple": 3, "scales": (2.0, 2.0)},
            "data.scales=2,2 data.multiple=1",
        ),
        ("enlarger", None, {"queries": 9}, "data.queries=none data.group=4"),
    ],
    ids=str,
)
def test_head_under_data_that_asks_for_more_is_told_with_what_mends_it(
    head, scale, data, overrides, monkeypatch
):
    # oracle: the overrides that are named are taken at their word
    if head == "enlarger":
        monkeypatch.setitem(HEADS._entries, "enlarger", Enlarger)
    recipe = replace(
        RECIPE,
        model=partial(escsr.build, "esc_tiny", head=head, scale=scale),
        data=partial(ArbitraryScaleDataset, roots=(PHOTOS,), patch=8, **data),
        batch=8,
        accumulate=2,
    )
    (problem,) = check(recipe)
    assert head in problem
    assert problem.endswith(f"set {overrides}")
    mended = override(recipe, overrides.split())
    assert not check(mended)
    dataset, model = mended.data(seed=0), mended.model()
    for n in range(3):
        sample = dataset[n]
        assert (
            model(sample["lq"][None], size=sample["gt"].shape[-2:]).shape[1:] == sample["gt"].shape
        )


def test_description_is_json_with_defaults_but_not_what_is_supplied():
    described = describe(replace(RECIPE, model=partial(escsr.build, "esc_tiny", scale=2)))
    assert json.loads(json.dumps(described)) == described
    assert described["model"]["function"] == "escsr.build.build"
    assert described["model"]["backbone"] == "esc_tiny"
    assert described["data"]["augment"] is True
    assert described["data"]["roots"] == [str(PHOTOS)]
    assert "seed" not in described["data"]
    assert "params" not in described["optimizer"]
    assert described["optimizer"]["eps"] == torch.optim.AdamW([torch.zeros(1)]).defaults["eps"]
    assert list(described) == [field.name for field in dataclasses.fields(Recipe)]


def test_positional_and_keyword_arguments_are_described_alike():
    other = replace(RECIPE, model=partial(escsr.build, backbone="esc_tiny", scale=2))
    assert differences(describe(RECIPE), describe(other)) == {}


def test_differences_name_dotted_keys():
    other = override(RECIPE, ["optimizer.lr=2e-3", "steps=3", "model.backbone_args.dim=16"])
    found = differences(describe(RECIPE), describe(other))
    assert found["optimizer.lr"] == (1e-3, 2e-3)
    assert found["steps"] == (9, 3)
    assert found["model.backbone_args.dim"] == (None, 16)
    assert found.keys() <= {
        "optimizer.lr",
        "steps",
        "model.backbone_args.dim",
        "model.backbone_args",
    }
