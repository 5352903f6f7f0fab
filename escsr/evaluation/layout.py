"""The layout of a results folder: paths, names and keys."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from escsr.evaluation.contenders import BICUBIC, Contender
from escsr.evaluation.crops import slug
from escsr.evaluation.pairs import Pair
from escsr.evaluation.plan import Round
from escsr.evaluation.protocol import Protocol
from escsr.evaluation.records import record_key
from escsr.version import __version__

__all__ = ["Layout", "versions"]


def versions() -> dict[str, str]:
    """Versions of the software that computed the results."""
    return {
        "escsr": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Keys of values and names of files.

    Keys and names contain hashes of the conditions, so a stored value or picture can never belong
    to another model, another file or other rules.

    Attributes:
        folder: The results folder, or None to keep nothing.
        protocol: The rules.
        precision: Of the networks.
        crop_side: Side of the stored picture crops.
    """

    folder: Path | None
    protocol: Protocol
    precision: str
    crop_side: int

    def key(self, r: Round, pair: Pair, contender: Contender) -> str:
        """Identifies everything that affects the results of one model on one picture."""
        conditions = self._contender_conditions(contender) | {
            "picture": _pair_conditions(r, pair),
            "crop": self.protocol.crop(r.scale),
            "rounding": self.protocol.rounding,
        }
        return record_key(conditions)

    def crop_files(self, r: Round, pair: Pair) -> dict[str, Path]:
        """Paths of the crops of one picture, by what they show, in the order shown."""
        place = self._below("crops", r) / slug(pair.name)
        key = record_key({**_pair_conditions(r, pair), **versions()})[:8]
        names = ["LQ", *([] if BICUBIC in r.contenders else [BICUBIC])]
        files = {name: place / f"{name}-{key}-{self.crop_side}.png" for name in names}
        for name, contender in r.contenders.items():
            own = self.key(r, pair, contender)[:8]
            files[name] = place / f"{slug(name)}-{own}-{self.crop_side}.png"
        if pair.hr is not None:
            files["GT"] = place / f"GT-{key}-{self.crop_side}.png"
        return files

    def picture_file(self, r: Round, pair: Pair, contender: Contender) -> Path:
        """Path of a whole result, kept for metrics of the set."""
        own = record_key(self._contender_conditions(contender) | {"set": _set_conditions(r)})[:8]
        place = self._below("pictures", r) / f"{slug(contender.name)}-{own}"
        return place / f"{slug(pair.name)}.png"

    def truth_file(self, r: Round, pair: Pair) -> Path:
        """Path of its ground truth, cut to the part that is compared."""
        place = self._below("pictures", r) / f"GT-{record_key({'set': _set_conditions(r)})[:8]}"
        return place / f"{slug(pair.name)}.png"

    def _below(self, what: str, r: Round) -> Path:
        assert self.folder is not None, "pictures are kept only where there is a folder"
        return self.folder / what / slug(r.data.name) / f"x{r.scale:g}"

    def _contender_conditions(self, contender: Contender) -> dict[str, Any]:
        return {
            "model": contender.identity,
            "resized": contender.resized,
            "device": contender.device,
            "precision": self.precision,
            **versions(),
        }


def _pair_conditions(r: Round, pair: Pair) -> dict[str, Any]:
    return {
        "hr": None if pair.hr is None else r.hashes[pair.hr],
        "lq": r.lq_source(pair),
        "lq_size": pair.lq_size,
        "gt_size": pair.gt_size,
        "offset": pair.offset,
    }


def _set_conditions(r: Round) -> list[dict[str, Any]]:
    return [_pair_conditions(r, pair) for pair in r.pairs]
