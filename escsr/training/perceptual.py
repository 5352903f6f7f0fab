"""A loss that compares two pictures by the features of a recognition network."""

import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from escsr.names import did_you_mean
from escsr.training.tensor_files import fill, read_tensors

_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""VGG19: channels and number of convolutions between two poolings (arXiv 1409.1556)."""

_CONVOLUTIONS = tuple(
    f"conv{block}_{number}"
    for block, (_, count) in enumerate(_BLOCKS, 1)
    for number in range(1, count + 1)
)

PAPER_LAYERS: Mapping[str, float] = MappingProxyType(
    {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
)
"""The layers that Real-ESRGAN and ESC-Real compare, with their weights."""

_NAMES = ("vgg19", "vgg19.tv_in1k")
_REPOSITORY = "timm/vgg19.tv_in1k"
_SIZE = "575 MB"
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Perceptual(nn.Module):
    """Mean absolute difference between features of VGG19, summed over layers.

    Features are taken before the ReLU. Pictures are normalised as ImageNet's were; they are not
    clipped. The constructor reads no weights: `prepare` does, or the first call.

    Args:
        weights: "vgg19" or "vgg19.tv_in1k", which timm downloads once (575 MB); or a file with
            the same tensors, such as torchvision's ``vgg19-dcbb9e9d.pth`` or that of timm.
        layers: Weight of each layer that is compared, by name from "conv1_1" to "conv5_4".

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If a name is given and timm is not installed.
        ValueError: If a layer is unknown, or a weight is not above 0.

    Shape:
        ``sr`` and ``gt`` alike, (B, 3, H, W), RGB in [0, 1], to a scalar ≥ 0. H and W are at
        least 1, 2, 4, 8 or 16 for layers up to conv1 to conv5.

    Example:
        >>> loss = Perceptual(weights="vgg19-dcbb9e9d.pth")
        >>> loss(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)).shape
        torch.Size([])

    Source:
        Perceptual losses, arXiv 1603.08155; layers and weights of Real-ESRGAN, arXiv 2107.10833.
    """

    needs_pictures = True
    """Single pixels cannot be compared, so a recipe whose data gives pixels is refused."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, *, weights: str | Path = "vgg19", layers: Mapping[str, float] = PAPER_LAYERS
    ) -> None:
        super().__init__()
        _check_layers(layers)
        _check_weights(weights)
        self.weights = weights
        self.layers = dict(layers)
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(3, 1, 1), persistent=False)
        self.vgg: nn.ModuleDict | None = None

    @property
    def to_download(self) -> str | None:
        """The download that `prepare` will start, or None if the weights are on this machine."""
        if str(self.weights) not in _NAMES or self.vgg is not None:
            return None
        return None if _cached() is not None else f"{_REPOSITORY} ({_SIZE})"

    def prepare(self) -> None:
        """Read the weights, or download them; a second call does nothing.

        Raises:
            OSError: If they cannot be downloaded.
            ValueError: If the file does not contain VGG19.
        """
        if self.vgg is not None:
            return
        tensors = _download() if str(self.weights) in _NAMES else read_tensors(self.weights)
        vgg, names = _convolutions(last=max(self.layers, key=_CONVOLUTIONS.index))
        wanted = {
            f"{ours}.{kind}": tensors[f"{theirs}.{kind}"]
            for ours, theirs in names.items()
            for kind in ("weight", "bias")
            if f"{theirs}.{kind}" in tensors
        }
        kind = "VGG19 (features.0.weight, features.0.bias and so on)"
        fill(vgg, wanted, source=self.weights, kind=kind)
        self.vgg = vgg.requires_grad_(False).to(self.mean.device)

    def features(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the features of the compared layers.

        Args:
            pictures: (B, 3, H, W), RGB in [0, 1].

        Returns:
            Name of the layer to (B, C, h, w), before the ReLU.
        """
        self.prepare()
        assert self.vgg is not None
        found = {}
        x = (pictures.float() - self.mean) / self.std
        for name, conv in self.vgg.items():
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            x = conv(x)
            if name in self.layers:
                found[name] = x
            x = F.relu(x)  # never in place: the features kept are those before the ReLU
        return found

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Compare two batches; the gradient goes only to ``sr``.

        Raises:
            ValueError: If the shapes differ, or the pictures are too small.
        """
        if sr.shape != gt.shape or sr.dim() != 4:
            raise ValueError(
                "the perceptual loss compares two batches of pictures (B, 3, H, W) of one shape, "
                f"got sr {tuple(sr.shape)} and gt {tuple(gt.shape)}"
            )
        least = 2 ** (max(int(name[4]) for name in self.layers) - 1)
        if min(sr.shape[-2:]) < least:
            raise ValueError(
                f"pictures must be at least {least} x {least} for the layers "
                f"{', '.join(self.layers)}, got {sr.shape[-2]} x {sr.shape[-1]}"
            )
        with torch.no_grad():
            wanted = self.features(gt)
        terms = [
            self.layers[name] * (feature - wanted[name]).abs().mean()
            for name, feature in self.features(sr).items()
        ]
        return torch.stack(terms).sum()

    def extra_repr(self) -> str:
        """Show the weights and layers in ``print(loss)``."""
        return f"weights={str(self.weights)!r}, layers={self.layers}"


def _check_layers(layers: Mapping[str, float]) -> None:
    if not layers:
        raise ValueError(f"layers must name at least one of {', '.join(_CONVOLUTIONS)}")
    for name, weight in layers.items():
        if name not in _CONVOLUTIONS:
            raise ValueError(f"layers: no layer {name!r}; {did_you_mean(name, _CONVOLUTIONS)}")
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(f"layers: the weight of {name} must be above 0, got {weight}")


def _check_weights(weights: str | Path) -> None:
    if str(weights) in _NAMES:
        if any(importlib.util.find_spec(name) is None for name in ("timm", "huggingface_hub")):
            raise ImportError(
                f"the weights {str(weights)!r} come through timm: pip install 'escsr[train]', or "
                "give a file"
            )
    elif not Path(weights).is_file():
        raise FileNotFoundError(
            f"no such file: {weights}; give a file with the weights of VGG19 (torchvision's "
            f"vgg19-dcbb9e9d.pth, or model.safetensors of {_REPOSITORY}), or the name "
            f"{_NAMES[-1]!r}, which timm downloads ({_SIZE})"
        )


def _convolutions(*, last: str) -> tuple[nn.ModuleDict, dict[str, str]]:
    """Make VGG19's convolutions up to one of them.

    Returns:
        The convolutions by name, their weights not yet filled in, and their names in files: indices
        into the sequence of convolutions, ReLUs and poolings.
    """
    convolutions, names = nn.ModuleDict(), {}
    channels, place = 3, 0
    for block, (width, count) in enumerate(_BLOCKS, 1):
        for number in range(1, count + 1):
            name = f"conv{block}_{number}"
            with torch.device("meta"):  # no numbers are drawn from the run's generator
                conv = nn.Conv2d(channels, width, 3, padding=1)
            convolutions[name], names[name] = conv.to_empty(device="cpu"), f"features.{place}"
            if name == last:
                return convolutions, names
            channels, place = width, place + 2  # the convolution and its ReLU
        place += 1  # the pooling
    raise AssertionError(last)


def _cached() -> str | None:
    """The file of VGG19's weights, if it was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(_REPOSITORY, "model.safetensors")
    return cached if isinstance(cached, str) else None


def _download() -> dict[str, Tensor]:
    from timm.models import load_state_dict_from_hf

    from escsr.models.locating import why_not

    try:
        if (forbidden := why_not()) is not None:
            if (cached := _cached()) is not None:
                return read_tensors(cached)
            raise ConnectionError(forbidden)
        tensors: dict[str, Tensor] = load_state_dict_from_hf(_REPOSITORY)
    except Exception as error:  # every kind of network failure raises its own error
        raise OSError(
            f"the weights of VGG19 ({_REPOSITORY}, {_SIZE}) cannot be downloaded: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}\n"
            "On a machine with a network, download model.safetensors of that repository or "
            "torchvision's vgg19-dcbb9e9d.pth, copy it here, and give its path as weights="
        ) from error
    return tensors
