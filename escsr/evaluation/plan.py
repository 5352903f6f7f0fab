"""The plan of an evaluation, checked as a whole before anything is computed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from escsr.evaluation.contenders import (
    BICUBIC,
    Contender,
    ModelLike,
    WrongScaleError,
    file_hash,
    label,
    make_contender,
)
from escsr.evaluation.pairs import Pair, find_pairs, find_pictures
from escsr.evaluation.protocol import Protocol
from escsr.evaluation.small_pictures import MakeLq
from escsr.inference import choose_model

__all__ = ["Dataset", "Round", "name_models", "plan_rounds", "settle_scales"]

# Folder names that describe their contents without naming the data set.
_KINDS = {"hr", "gt", "hq", "lq", "lr", "lr_bicubic", "original", "images", "test", "val", "valid"}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Pictures to evaluate on.

    Attributes:
        hr: Folder of ground truths; None if there are none.
        lq: Folder of the pictures to enlarge; None to make them. "{scale}" in it stands for the
            scale, "{data}" for the name.
        name: Its name in tables; by default the folder's, or that of the parent folder if its own
            is only "HR" or the like.

    Raises:
        ValueError: Neither ``hr`` nor ``lq``.

    Example:
        >>> Dataset(hr="Set5/HR", lq="Set5/LR_bicubic/X{scale}").name
        'Set5'
    """

    hr: str | os.PathLike[str] | None = None
    lq: str | os.PathLike[str] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        """Find a name."""
        if self.hr is None and self.lq is None:
            raise ValueError("a data set needs a folder of HR pictures, of LQ pictures, or both")
        if not self.name:
            object.__setattr__(self, "name", _folder_name(str(self.hr or self.lq)))

    def lq_folder(self, scale: float) -> Path | None:
        """The folder of the pictures to enlarge at a scale."""
        if self.lq is None:
            return None
        return Path(str(self.lq).replace("{scale}", f"{scale:g}").replace("{data}", self.name))

    def pairs(self, scale: float, protocol: Protocol) -> list[Pair]:
        """Its pictures at a scale; see `find_pairs` and `find_pictures`."""
        lq = self.lq_folder(scale)
        if self.hr is None:
            assert lq is not None
            return find_pictures(lq, scale=scale)
        return find_pairs(self.hr, lq, scale=scale, alignment=protocol.alignment)


def _folder_name(path: str) -> str:
    parts = [part for part in Path(path).resolve().parts if "{" not in part]
    telling = [part for part in parts if part.lower() not in _KINDS]
    return (telling or parts)[-1]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One data set at one scale, with the models that take part.

    Attributes:
        data: The data set.
        scale: The enlargement.
        pairs: Its pictures.
        make_lq: Makes the pictures to enlarge where the data set has none.
        hashes: SHA-256 of the files, by path.
        contenders: Model by name in tables.
        absent: Models that do not make the scale: reason by name.
        names: The names in both, in the order of the tables.
    """

    data: Dataset
    scale: float
    pairs: list[Pair]
    make_lq: MakeLq
    hashes: Mapping[Path, str]
    contenders: Mapping[str, Contender]
    absent: Mapping[str, str]
    names: tuple[str, ...]

    def lq_source(self, pair: Pair) -> str:
        """Identity of the picture to enlarge: the hash of its file, or how it is made."""
        return f"{self.make_lq}, {pair.name}" if pair.lq is None else self.hashes[pair.lq]

    def pictures(self) -> list[dict[str, Any]]:
        """The pictures for JSON: names and hashes, no paths of this machine."""
        return [
            {
                "name": pair.name,
                "hr_sha256": None if pair.hr is None else self.hashes[pair.hr],
                "lq_sha256": None if pair.lq is None else self.hashes[pair.lq],
                "lq_size": list(pair.lq_size),
                "size": list(pair.gt_size),
            }
            for pair in self.pairs
        ]


def plan_rounds(
    models: Mapping[str, ModelLike],
    data: Sequence[Dataset],
    scales: Sequence[float],
    *,
    protocol: Protocol,
    make_lq: MakeLq,
    resize: bool,
    device: str | torch.device | None,
) -> list[Round]:
    """Open the models, pair the pictures and hash the files.

    Raises:
        ValueError: Wrong pairs or missing folders; those of all data sets and scales are named.
        FileNotFoundError: A model does not exist, or missing folders are the only problem.
    """
    found: list[tuple[Dataset, float, list[Pair]]] = []
    problems: list[ValueError | FileNotFoundError] = []
    for dataset in data:
        for scale in scales:
            try:
                found.append((dataset, scale, dataset.pairs(scale, protocol)))
            except (ValueError, FileNotFoundError) as error:
                problems.append(error)
    if problems:
        missing = all(isinstance(problem, FileNotFoundError) for problem in problems)
        raise (FileNotFoundError if missing else ValueError)("\n".join(map(str, problems)))
    contenders = {scale: _contenders_at(models, scale, resize, device) for scale in scales}
    paths = {p for *_, pairs in found for pair in pairs for p in (pair.hr, pair.lq) if p}
    hashes = {path: file_hash(path) for path in paths}
    return [
        Round(
            data=dataset,
            scale=scale,
            pairs=pairs,
            make_lq=make_lq,
            hashes=hashes,
            contenders=contenders[scale][0],
            absent=contenders[scale][1],
            names=tuple(models),
        )
        for dataset, scale, pairs in found
    ]


def _contenders_at(
    models: Mapping[str, ModelLike],
    scale: float,
    resize: bool,
    device: str | torch.device | None,
) -> tuple[dict[str, Contender], dict[str, str]]:
    """The models that make a scale, and those that do not."""
    contenders, absent = {}, {}
    for name, model in models.items():
        try:
            contenders[name] = make_contender(model, scale, name=name, resize=resize, device=device)
        except WrongScaleError as error:
            absent[name] = str(error)
    return contenders, absent


def name_models(models: Sequence[ModelLike] | Mapping[str, ModelLike]) -> dict[str, ModelLike]:
    """Models by their names in tables.

    Raises:
        ValueError: There is none, or two have the same name.
    """
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        named = {}
        for model in models:
            name = label(model)
            if name in named:
                raise ValueError(
                    f"two models are called {name!r}; give each its own name "
                    f"({{'first': …, 'second': …}}, --model first=FILE)"
                )
            named[name] = model
    if not named:
        raise ValueError("no model was given")
    for name in ("LQ", "GT"):
        if name in named:
            raise ValueError(f"{name!r} is a label that the page itself uses; choose another name")
    return named


def settle_scales(models: Mapping[str, ModelLike], scales: Sequence[float] | None) -> list[float]:
    """The scales asked for, or the one that all models of a fixed scale make.

    Raises:
        ValueError: No scale is given and the models do not imply one, or a scale is repeated or
            below 1.
    """
    if scales is not None:
        if len(set(scales)) != len(scales) or not all(scale >= 1 for scale in scales):
            raise ValueError(f"scales must be distinct numbers of at least 1, not {list(scales)}")
        return [float(scale) for scale in scales]
    own: dict[str, float] = {}
    for name, model in models.items():
        if isinstance(model, str) and model == BICUBIC:
            continue
        network = model
        if isinstance(model, str | os.PathLike):
            network = choose_model(model)
        scale = getattr(network, "scale", None)
        if scale is not None:
            own[name] = float(scale)
    if len(set(own.values())) == 1:
        return [next(iter(own.values()))]
    if own:
        own_scales = ", ".join(f"{name} x{scale:g}" for name, scale in own.items())
        raise ValueError(
            f"the models have different scales ({own_scales}); choose with --scale 2,4"
        )
    what = " and ".join(models)
    raise ValueError(f"{what}: any scale is possible; choose one (scale=4, --scale 4)")
