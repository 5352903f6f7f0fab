"""The recipe itself, and reading one from its file."""

import ast
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from escsr.names import did_you_mean
from escsr.scripts import is_readable, run_script

Part = partial[Any]
"""A described object: a callable with its arguments, called when the run begins."""


class Supplied(NamedTuple):
    """Arguments that the trainer adds when it calls a part."""

    positional: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


PARTS: dict[str, Supplied] = {
    "model": Supplied(),
    "data": Supplied(keywords=("seed",)),
    "validation": Supplied(),
    "loss": Supplied(),
    "adversary": Supplied(),
    "optimizer": Supplied(positional=("params",)),
    "schedule": Supplied(positional=("step",), keywords=("steps",)),
}
"""The fields of a recipe that are parts, and the arguments that the trainer supplies to each."""

OPTIONAL = ("validation", "adversary")
"""The parts that may be None."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines a training run: plain numbers and described parts, nothing built.

    A variant is a delta: ``dataclasses.replace(base, steps=1000, ...)``.

    Attributes:
        name: Name of the run, for folders and for the facts in the weights.
        model: Builds the network: ``model() -> SuperResolver``.
        data: Builds the training data: ``data(seed=...)`` gives a dataset that returns, for every
            index from 0 on, ``{"lq": (3, p, p), "gt": (3, q, q)}`` in [0, 1].
        loss: Builds the loss: ``loss()`` gives a module called as ``module(sr, gt)``, which
            returns a number, or a dictionary of named numbers to be added up.
        optimizer: ``optimizer(params)`` gives a `torch.optim.Optimizer`.
        schedule: Pure function ``schedule(step, steps=...)`` giving the factor of the
            learning rate.
        steps: Length of the run in steps; with ``minutes``, the length of its schedule.
        batch: Samples per step, shared by all processes.
        minutes: Length of the run in minutes of training (validations and saving do not count) in
            place of ``steps``: the schedule then follows the time, however long a step takes. None:
            ``steps`` is the length.
        adversary: Builds the adversarial training of a discriminator along with the network:
            ``adversary()`` gives an `escsr.training.Adversary`. None: no adversarial training.
        validation: Builds the validation: ``validation()`` gives a callable that takes the
            averaged network and returns named figures. None: no validation.
        best: The metric that decides which checkpoint is best: higher is better, unless the
            validation lists it in ``lower_is_better``.
        ema: Decay of the averaged weights, in [0, 1); 0: the weights themselves.
        grad_clip: Largest norm of the gradient; larger ones are scaled down. None: no limit.
        precision: Arithmetic of the forward pass; weights stay float32.
        accumulate: Number of pieces in which a batch goes through the network, to save memory; the
            step is that of the whole batch.
        compile: Whether `torch.compile` speeds up the forward and backward passes, after a minute
            or so of compilation.
        device: "auto" takes a GPU if there is one, else the CPU; or a torch device's name.
        workers: Processes that load data; 0: a thread next to the training loop.
        seed: Seed of the drawn weights and of the stream of samples, at least 0.
        log_every: Steps between lines of the log.
        validate_every: Steps between validations (the end of the run is always validated).
        save_every: Steps between checkpoints (the end of the run is always saved).
        keep: Number of latest checkpoints to keep.
        max_bad_steps: Number of consecutive steps with a non-finite loss or gradient after which
            the run stops with an error; single ones are skipped and counted.
        tensorboard: Whether files for TensorBoard are written, if it is installed.
        trackers: Services that track the run besides TensorBoard, by accelerate's names for them,
            e.g. "wandb" or "mlflow"; each must be installed.
        start_from: Weights to start from, any file or name that `escsr.load` takes.
            None: random weights.
        start_from_head: How to treat the head of those weights, see `escsr.initialise_from`: "same"
            takes it over and requires that it fits, "fresh" keeps the randomly initialised head,
            "resample" fits a pixel-shuffle head to another scale.
        start_from_width: "doubled" starts a network of twice their width with their result, see
            `escsr.initialise_from`.
        start_from_depth: "added" starts a network of more layers with their result, likewise.
    """

    name: str
    model: Part
    data: Part
    loss: Part
    optimizer: Part
    schedule: Part
    steps: int
    batch: int
    minutes: float | None = None
    adversary: Part | None = None
    validation: Part | None = None
    best: str = "psnr_y"
    ema: float = 0.999
    grad_clip: float | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    accumulate: int = 1
    compile: bool = False
    device: str = "auto"
    workers: int = 0
    seed: int = 0
    log_every: int = 100
    validate_every: int = 1000
    save_every: int = 1000
    keep: int = 3
    max_bad_steps: int = 20
    tensorboard: bool = True
    trackers: tuple[str, ...] = ()
    start_from: str | None = None
    start_from_head: Literal["same", "fresh", "resample"] = "same"
    start_from_width: Literal["same", "doubled"] = "same"
    start_from_depth: Literal["same", "added"] = "same"


def load(path: str | Path) -> Recipe:
    """Run a recipe file and return its recipe.

    A recipe is Python, so run only files that you trust. A variant's file may itself call
    ``load(Path(__file__).with_name("base.py"))``, and import modules from its own folder.

    Args:
        path: Python file that defines a `Recipe` named ``recipe``, or the name of a recipe of
            `list_recipes`.

    Returns:
        The recipe.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be run, or defines no such recipe.

    Example:
        >>> load("classic_tiny").batch
        16
    """
    path = find_recipe(path)
    try:
        names = vars(run_script(path))
    except Exception as error:  # any error in running the file is an error of the file
        raise ValueError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    recipe = names.get("recipe")
    if not isinstance(recipe, Recipe):
        others = [name for name, value in names.items() if isinstance(value, Recipe)]
        hint = f" (it defines {', '.join(others)})" if others else ""
        raise ValueError(f"{path} must define one escsr.recipe.Recipe named 'recipe'{hint}")
    return recipe


def list_recipes() -> dict[str, str]:
    """The recipes of the library by name, each with the first line of its description."""
    found = {}
    for path in sorted(_folder().glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = text.partition("\n")[0]
    return found


def find_recipe(path_or_name: str | Path) -> Path:
    """The file of a path, or of a recipe of the library by its name.

    Raises:
        FileNotFoundError: If there is neither; the message lists the names.
    """
    path = Path(path_or_name)
    if is_readable(path):
        return path
    known = list_recipes()
    if path.parent == Path() and path.with_suffix("").name in known:
        return _folder() / path.with_suffix(".py")
    raise FileNotFoundError(
        f"no such recipe file: {path}, and no recipe of that name; "
        + did_you_mean(path.stem, known)
    )


def _folder() -> Path:
    """The recipes' folder: inside an installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"
