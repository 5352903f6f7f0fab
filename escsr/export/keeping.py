"""The metadata of exported files, and writing them once they are verified."""

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from escsr.build import load
from escsr.export.graphs import Options
from escsr.export.proving import Proof
from escsr.export.targets import Target, window_of
from escsr.files import replacing, write_json
from escsr.model import SuperResolver
from escsr.models import embedded, fetch, resolve
from escsr.version import __version__

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Exported:
    """A file that was written, with its verification.

    Attributes:
        path: The file.
        facts: Its metadata.
        proof: How closely it matches the network.
    """

    path: Path
    facts: dict[str, str]
    proof: Proof


def describe(
    model: SuperResolver | PathLike, options: Options, *, licence: str | None
) -> tuple[SuperResolver, dict[str, str]]:
    """A bare copy of the network on the CPU, in evaluation mode, and the metadata of its file."""
    if isinstance(model, SuperResolver):
        network = copy.deepcopy(model).cpu().float().eval()
        name = f"{network.config.backbone} + {network.config.head}"
        own, sha256 = None, _tensors_sha256(network)
    else:
        path = fetch(model)
        network = load(path)
        shipped = path in embedded().values()
        name = resolve(str(model)) if shipped else path.stem
        own = "Apache-2.0" if shipped else None
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return network, {
        "name": name,
        "network": f"{network.config.backbone} + {network.config.head}",
        "range": "RGB in [0, 1]; results are not clipped",
        "colours": "RGB, as in sRGB files",
        "alignment": _alignment(options.target, options.image_size, window_of(network)),
        "licence": licence or own or str(network.facts.get("licence", "not stated")),
        "weights_sha256": sha256,
        "target": options.target.name,
        "config": json.dumps(asdict(network.config)),
        "trained": "yes" if network.trained else "no",
        "precision": precision_of(options),
        "escsr": __version__,
    }


def scale_of(network: SuperResolver, options: Options) -> int | None:
    """The scale that the file makes, checked; None: any size."""
    own, asked = network.scale, options.scale
    if own is not None:
        if own != int(own):
            raise ValueError(f"only whole scales can be written, and this network makes ×{own}")
        if asked not in (None, own):
            raise ValueError(f"this network makes ×{own} only, and not ×{asked}")
        return int(own)
    if asked is None and (options.target.whole_windows or options.image_size is not None):
        raise ValueError(
            f"this network supports any scale, but a file for {options.target.name!r} of one size "
            "or of whole windows has one: choose it (scale=2, …)"
        )
    return asked


def precision_of(options: Options) -> str:
    """The precision a file computes in, a key of `TOLERANCES`."""
    return "fp16" if options.half else "fp32"


def keep(
    files: dict[Path, bytes],
    facts: dict[str, str],
    proof: Proof,
    beside: Mapping[Path, Any] = MappingProxyType({}),
) -> list[Exported]:
    """Write files that were verified together, each with its report; refuse those that failed.

    Args:
        files: Contents of each file.
        facts: Facts about all of them.
        proof: Verification of all of them.
        beside: Further files that belong to them: bytes as they are, other values as JSON.

    Raises:
        ValueError: If verification failed; nothing is written then.
    """
    if not proof.holds:
        worst = proof.worst
        names = " and ".join(map(str, files))
        raise ValueError(
            f"{names} was not written: its result for {worst.batch} picture(s) of "
            f"{worst.height}×{worst.width} pixels ({worst.picture}) is {worst.difference:.2g} from "
            f"the network's, and {proof.tolerance:.2g} is allowed. "
            "Please report this, with the network and the options"
        )
    for path, data in files.items():
        with replacing(path) as temporary:
            temporary.write_bytes(data)
            write_json(f"{path}.json", {"file": path.name, "facts": facts, **proof.as_json()})
    for path, value in beside.items():
        if isinstance(value, bytes):
            with replacing(path) as temporary:
                temporary.write_bytes(value)
        else:
            write_json(path, value)
    return [Exported(path, facts, proof) for path in files]


def _tensors_sha256(network: SuperResolver) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _alignment(target: Target, size: tuple[int, int] | None, window: int) -> str:
    if size is not None:
        return f"pictures of {size[0]} rows and {size[1]} columns"
    if target.whole_windows:
        return f"sides in multiples of {window}"
    return "any sides from 1"
