"""spandrel (chaiNNer, ComfyUI) opens every weight file that escsr opens.

Example:
    >>> import escsr.integrations.spandrel
    >>> escsr.integrations.spandrel.install()
    >>> model = spandrel.ModelLoader().load_from_file("ESC_DFLIP_X4.pth")
"""

from typing import Any

import torch
from spandrel import (
    MAIN_REGISTRY,
    Architecture,
    ArchRegistry,
    ArchSupport,
    ImageModelDescriptor,
    ModelTiling,
    SizeRequirements,
    StateDict,
)
from torch import Tensor, nn

from escsr.backbones.esc import ESC
from escsr.build import load_content
from escsr.checkpoints.files import is_known
from escsr.heads import QueryHead
from escsr.inference import Upscaler
from escsr.model import MAX_SCALE, SuperResolver

ID = "escsr"
"""The architecture's name in spandrel."""

# If a later spandrel supports ESC itself, our loader, which knows all variants, takes precedence.
_RELATIVES = ("ESC", "ESCReal")

# Tested with all weights in float16 and bfloat16.
_HEADS_IN_HALF = {
    *("pixel_shuffle", "pixel_shuffle_multi", "nearest_conv", "dysample", "conv", "metasr"),
}


class WholeScale(nn.Module):
    """A network at one whole scale, as spandrel requires.

    Args:
        network: A network of one scale, or of any.
        scale: The scale to make.

    Shape:
        (B, 3, H, W), RGB in [0, 1], to (B, 3, scale H, scale W), not clipped.
    """

    def __init__(self, network: SuperResolver, scale: int) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Enlarge pictures."""
        return self.network(image, scale=self.scale)


class ESCArch(Architecture[WholeScale]):  # type: ignore[misc] # spandrel has no types
    """All networks that `escsr.load` opens, recognised by the names of their tensors.

    Args:
        any_scale: The whole scale at which networks for any scale are opened.

    Raises:
        ValueError: If ``any_scale`` is not from 1 to 30.
    """

    def __init__(self, *, any_scale: int = 4) -> None:
        super().__init__(id=ID, name="ESC (escsr)", detect=_is_ours)
        if any_scale != int(any_scale) or not 1 <= any_scale <= MAX_SCALE:
            raise ValueError(f"any_scale is a whole number from 1 to {MAX_SCALE}, not {any_scale}")
        self.any_scale = int(any_scale)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[WholeScale]:
        """Open the tensors read by spandrel's loader.

        Raises:
            ValueError: If tensors are missing or the configuration is not in the file.
        """
        network = load_content(state_dict)
        scale = self.any_scale if network.scale is None else _whole(network.scale)
        model = WholeScale(network, scale).eval()
        return ImageModelDescriptor(
            model,
            model.state_dict(),
            architecture=self,
            purpose="SR" if scale > 1 else "Restoration",
            tags=_tags(network),
            supports_half=_supports_half(network),
            supports_bfloat16=_supports_bfloat16(network),
            scale=scale,
            input_channels=3,
            output_channels=3,
            size_requirements=_sizes(network),
            tiling=ModelTiling.INTERNAL,
            call_fn=_call,
        )


def install(registry: ArchRegistry = MAIN_REGISTRY, *, any_scale: int = 4) -> ESCArch:
    """Let spandrel's `ModelLoader` open every file that `escsr.load` opens.

    Existing architectures stay unchanged, and are detected as before. A second call does nothing.

    Args:
        registry: The registry; by default the one that all loaders use.
        any_scale: The whole scale at which networks for any scale are opened; spandrel supports no
            others.

    Returns:
        The architecture in the registry.

    Raises:
        ValueError: If ``any_scale`` is not from 1 to 30, or the architecture is already registered
            with a different one.

    Example:
        >>> escsr.integrations.spandrel.install()
        >>> spandrel.ModelLoader().load_from_file("mine.safetensors").scale
        4
    """
    arch = ESCArch(any_scale=any_scale)
    there = registry.get(ID)
    if there is not None:
        known: Any = there.architecture
        if not isinstance(known, ESCArch) or known.any_scale != any_scale:
            raise ValueError(
                f"this registry has an architecture {ID!r} already, with any_scale="
                f"{getattr(known, 'any_scale', None)}; give another registry for {any_scale}"
            )
        return known
    relatives = {known.architecture.id for known in registry}.intersection(_RELATIVES)
    registry.add(ArchSupport.from_architecture(arch, before=tuple(relatives)))
    return arch


def _is_ours(state_dict: StateDict) -> bool:
    """Whether a file holds a network of ours; errors here must not break other architectures."""
    try:
        return is_known(state_dict)
    except Exception:  # a plug-in's layout may raise anything
        return False


def _call(model: WholeScale, image: Tensor) -> Tensor:
    """Run a model as spandrel's users do, in float32 and within the available memory."""
    if image.dtype != torch.float32:
        result: Tensor = model(image)
        return result
    session = Upscaler.sharing(model.network, device=image.device)
    return session(image, scale=model.scale, notify=lambda notice: None)


def _whole(scale: float) -> int:
    if scale != int(scale):
        raise ValueError(f"spandrel knows whole scales only, and this network makes x{scale:g}")
    return int(scale)


def _tags(network: SuperResolver) -> list[str]:
    config, backbone = network.config, network.backbone
    tags = [config.backbone, config.head]
    if network.scale is None:
        tags.append("any scale")
    if isinstance(backbone, ESC):
        tags += [f"{backbone.out_channels}dim", f"{len(backbone.blocks)} blocks"]
    return tags


def _supports_half(network: SuperResolver) -> bool:
    """Without a norm before them, convolutional attentions overflow float16."""
    norm = bool(network.config.backbone_args.get("conv_norm", False))
    return norm and _supports_bfloat16(network)


def _supports_bfloat16(network: SuperResolver) -> bool:
    """Implicit heads compute their coordinates, and with them all, in float32."""
    return network.config.head in _HEADS_IN_HALF


def _sizes(network: SuperResolver) -> SizeRequirements:
    """Any size, except where coordinates must span features of folded pixels."""
    stride = network.backbone.stride
    queries: Any = isinstance(network.head, QueryHead)
    return SizeRequirements(multiple_of=stride if queries else 1)
