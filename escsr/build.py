"""Building and loading networks by name."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from escsr import checkpoints, models
from escsr.backbones import BACKBONES, Backbone
from escsr.growing import deepened, doubled, layers_of
from escsr.heads import HEADS, FixedScaleHead, Head, PixelShuffle
from escsr.layers import WindowAttention
from escsr.layers.attention_bias import factorize_table
from escsr.model import ModelConfig, SuperResolver, unwrapped
from escsr.names import unknown_name
from escsr.registry import unwrap

__all__ = [
    "build",
    "build_from_config",
    "initialise_from",
    "load",
]

PathLike = str | os.PathLike[str]


def build(
    backbone: str,
    *,
    head: str | None = None,
    scale: float | None = None,
    weights: PathLike | None = None,
    backbone_args: Mapping[str, Any] | None = None,
    head_args: Mapping[str, Any] | None = None,
    attention: str = "auto",
) -> SuperResolver:
    """Build a network from any backbone and any head.

    Args:
        backbone: A name of `list_backbones`.
        head: A name of `list_heads`; by default the one the backbone was published
            with.
        scale: The scale, for a head of one fixed scale.
        weights: A file or name that `load` takes, with exactly this network's tensors, or a file
            with its bare ``state_dict()``. To start from other weights, see `initialise_from`.
        backbone_args: Arguments of the backbone that differ from the named variant.
        head_args: Arguments of the head.
        attention: "auto", "math", "sdpa", "flex" or "concat".

    Returns:
        The network, in training mode. Without ``weights`` it is initialised with
        PyTorch's global generator and marked as untrained.

    Raises:
        ValueError: For an unknown name (with the options), a missing or impossible scale,
            or weights of another network.
        TypeError: For an argument that the backbone or the head does not have.

    Example:
        >>> model = escsr.build("esc_real", head="dysample", scale=4)
        >>> model = escsr.build("esc", scale=2, backbone_args={"num_blocks": 4})
    """
    family = unwrap(BACKBONES.get(backbone))
    head = getattr(family, "default_head", "pixel_shuffle") if head is None else head
    head_class = unwrap(HEADS.get(head))
    fixed = isinstance(head_class, type) and issubclass(head_class, FixedScaleHead)
    _check_scale(scale, head, fixed=fixed)
    backbone_args, head_args = dict(backbone_args or {}), dict(head_args or {})
    if "scale" in head_args:
        raise TypeError("scale is an argument of build itself, not of head_args")
    if fixed and scale is not None and getattr(head_class, "enlarges", True):
        backbone_args = {**_scale_args(family, scale), **backbone_args}
    defaults = getattr(family, "head_defaults", {}).get(head, {})
    # Resolved before anything is built, so that a wrong name fails at once.
    backbone_args = _resolve_backbone(backbone, backbone_args)
    head_args = _resolve_head(head, {**defaults, **head_args})
    made = BACKBONES.get(backbone)(**backbone_args)
    if fixed and scale is not None:
        head_args["scale"] = scale * made.stride  # the head also undoes the backbone's folding
    config = ModelConfig(
        backbone=backbone, head=head, backbone_args=backbone_args, head_args=head_args
    )
    model = _with_head(made, config, attention)
    if weights is not None:
        _load_into(model, _read(weights, config), str(weights))
    return model


def build_from_config(config: ModelConfig, *, attention: str = "auto") -> SuperResolver:
    """Build the network that a `ModelConfig` describes.

    Raises:
        ValueError: If a name is unknown or arguments do not fit.
        TypeError: If an argument is unknown.
    """
    backbone_args = _resolve_backbone(config.backbone, config.backbone_args)
    _resolve_head(config.head, config.head_args)
    return _with_head(BACKBONES.get(config.backbone)(**backbone_args), config, attention)


def load(path_or_name: PathLike, *, attention: str = "auto") -> SuperResolver:
    """Load a weight file, an embedded model, or a published one (downloaded on first use).

    Args:
        path_or_name: A safetensors file of ours, any published ESC file (recognised by its
            content, not by its name), a name of `list_models`, "default", a name of
            `escsr.models.published`, or ``hf://user/repo[@revision][/file]``.
        attention: "auto", "math", "sdpa", "flex" or "concat".

    Returns:
        The network with its weights, in evaluation mode, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file or model, or it cannot be
            downloaded (`escsr.models.NotFetchedError`).
        ValueError: If the file is damaged, incomplete, or belongs to another network.

    Example:
        >>> model = escsr.load("ESC_X4.pth")
        >>> model = escsr.load("esc_tiny_x4")
        >>> model = escsr.load("esc_dflip_x4")  # downloaded from the authors' page
    """
    return _opened(_read(path_or_name), str(path_or_name), attention)


def load_content(content: object, *, attention: str = "auto") -> SuperResolver:
    """Load the content of a weight file that was read elsewhere: tensors by name.

    Args:
        content: The content of any file that `load` opens.
        attention: See `load`.

    Returns:
        See `load`.

    Raises:
        ValueError: See `load`.
    """
    checkpoint = _in_our_variants(checkpoints.files.read_content(content))
    return _opened(checkpoint, "what was read", attention)


def _opened(checkpoint: checkpoints.Checkpoint, source: str, attention: str) -> SuperResolver:
    model = build_from_config(checkpoint.config, attention=attention)
    _load_into(model, checkpoint, source)
    return model.eval()


def initialise_from(
    model: SuperResolver,
    weights: PathLike,
    *,
    head: Literal["same", "fresh", "resample"] = "same",
    width: Literal["same", "doubled"] = "same",
    depth: Literal["same", "added"] = "same",
) -> SuperResolver:
    """Initialise a network with the weights of a related one, for fine-tuning.

    Args:
        model: The network to fill, compiled or not. It is then marked as trained, unless its
            head is fresh or the weights are those of an untrained network.
        weights: A file or name that `load` takes, with the same backbone.
        head: What to do with the head: "same" copies it and requires that it fits;
            "fresh" keeps the initial one; "resample" converts a pixel-shuffle head to another
            scale by bilinear resampling over its (s, s) grid, as the authors do for ×3
            and ×4.
        width: "doubled" starts a network of twice the width (`dim`, `partial_dim`; the same
            number of attention heads) with the result of the narrow one, unchanged: each channel
            is there twice, and is read with two weights whose sum is the old one (Net2Net,
            arXiv 1511.05641). How they are divided is drawn from PyTorch's global generator.
        depth: "added" starts a network of more layers (`num_blocks`, `conv_blocks`) with the result
            of the shallower one, unchanged: the layers that join end in zeros.

    Returns:
        ``model`` itself.

    Raises:
        ValueError: If backbones or heads do not fit.

    Example:
        >>> model = escsr.build("esc", scale=4)
        >>> escsr.initialise_from(model, "esc_x2.safetensors", head="resample")
        >>> model = escsr.build("esc_small", head="metasr", head_args={"image_skip": "bilinear"})
        >>> escsr.initialise_from(model, "esc_tiny.safetensors", width="doubled", depth="added")
    """
    network = unwrapped(model)
    if head not in ("same", "fresh", "resample"):
        raise ValueError(f"head is 'same', 'fresh' or 'resample', not {head!r}")
    if width not in ("same", "doubled"):
        raise ValueError(f"width is 'same' or 'doubled', not {width!r}")
    if depth not in ("same", "added"):
        raise ValueError(f"depth is 'same' or 'added', not {depth!r}")
    if width == "doubled" and head == "resample":
        raise ValueError("width='doubled' takes the head as it is ('same') or 'fresh'")
    alike = width == depth == "same"
    checkpoint = _read(weights, network.config if alike else None)
    tensors = dict(checkpoint.tensors)
    if width == "doubled":
        narrow = _opened(checkpoint, str(weights), "auto")
        wide = network if depth == "same" else _variant(network, layers_of(narrow))
        tensors = doubled(narrow, wide, head=head == "same")
    if depth == "added":
        tensors = deepened(tensors, network)
    if head != "same":
        own = {k: v for k, v in network.state_dict().items() if k.startswith("head.")}
        if head == "resample":
            own = _resampled_head(network, checkpoint, own)
        tensors = {k: v for k, v in tensors.items() if not k.startswith("head.")} | own
    _check_tensors(network, tensors, checkpoint.names, str(weights))
    network.load_state_dict(tensors, strict=True)
    network.trained = head != "fresh" and bool(checkpoint.facts.get("trained", True))
    return model


class LowRank(NamedTuple):
    """A network with low-rank products instead of its bias tables.

    Attributes:
        model: The network.
        errors: For each attention, by name, and each head: the norm of the error relative to the
            norm of the bias.
    """

    model: SuperResolver
    errors: dict[str, tuple[float, ...]]


def with_low_rank_bias(model: SuperResolver, rank: int) -> LowRank:
    """Replace the bias tables of a trained network by low-rank products (FlashBias).

    The bias is then never expanded over pairs of pixels, so GPUs can use kernels without a mask.

    Args:
        model: A network, compiled or not, whose window attention has tables; not changed.
        rank: Number of columns of the factors, from 1 to M²; 48 in the published networks.

    Returns:
        The new network, in the same mode, dtype and device, and the error of each bias.

    Raises:
        ValueError: If the network has no tables, or the rank is impossible for them.
        TypeError: If its backbone does not support such biases.

    Example:
        >>> model, errors = escsr.with_low_rank_bias(escsr.load("esc_tiny_x4"), rank=16)

    Source:
        FlashBias, arXiv 2505.12044.
    """
    model = unwrapped(model)
    state, errors = model.state_dict(), {}
    for name, layer in model.named_modules():
        if isinstance(layer, WindowAttention) and f"{name}.bias_table" in state:
            table = state.pop(f"{name}.bias_table")
            factors, errors[name] = factorize_table(table, layer.window_size, rank)
            state[f"{name}.bias_q"], state[f"{name}.bias_k"] = factors
            mode = layer.mode
    if not errors:
        raise ValueError("this network has no bias tables that could be replaced by products")
    low_rank = {"attention_bias": "low_rank", "bias_rank": rank}
    new = _variant(model, low_rank, attention=mode)
    new.to(next(model.parameters())).load_state_dict(state)
    new.trained, new.facts = model.trained, {**model.facts, "bias_rank": rank}
    return LowRank(new.train(model.training), errors)


def list_backbones() -> list[str]:
    """Names of all backbones, including those of plug-ins."""
    return list(BACKBONES)


def list_heads() -> list[str]:
    """Names of all heads, including those of plug-ins."""
    return list(HEADS)


def list_models() -> list[str]:
    """Names of the embedded models."""
    return list(models.embedded())


def _read(path_or_name: PathLike, config: ModelConfig | None = None) -> checkpoints.Checkpoint:
    """Read a file or an embedded model; our bare tensors are taken as those of a given network."""
    return _in_our_variants(checkpoints.read(models.fetch(path_or_name), config=config))


def _in_our_variants(checkpoint: checkpoints.Checkpoint) -> checkpoints.Checkpoint:
    if checkpoint.names:  # a foreign file, which does not know our variants
        return replace(checkpoint, config=_by_variant(checkpoint.config))
    return checkpoint


def _by_variant(config: ModelConfig) -> ModelConfig:
    """Name the backbone after the variant of its family with exactly these arguments, if any."""
    own = BACKBONES.get(config.backbone)
    args = _resolve(own, f"backbone {config.backbone!r}", config.backbone_args)
    args.pop("unshuffle", None)  # the scale decides that
    for name in BACKBONES:
        factory = BACKBONES.get(name)
        if unwrap(factory) is unwrap(own):
            defaults = _resolve(factory, name, {})
            if all(defaults[argument] == value for argument, value in args.items()):
                return replace(config, backbone=name)
    return config


def _scale_args(family: type[Backbone], scale: float) -> dict[str, Any]:
    args_for_scale = getattr(family, "args_for_scale", None)
    return args_for_scale(scale) if args_for_scale else {}


def _check_scale(scale: float | None, head: str, *, fixed: bool) -> None:
    if fixed and scale is None:
        raise ValueError(f"head {head!r} enlarges by one fixed scale: pass it (scale=2, …)")
    if not fixed and scale is not None:
        raise ValueError(
            f"head {head!r} supports any scale, so build takes none: pass it in the call, "
            f"model(lq, scale={scale})"
        )


def _with_head(backbone: Backbone, config: ModelConfig, attention: str) -> SuperResolver:
    head_args = _resolve_head(config.head, config.head_args)
    head = HEADS.get(config.head)(backbone.out_channels, **head_args)
    return SuperResolver(backbone, head, config=config).set_attention(attention)


def _resolve_backbone(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return _resolve(BACKBONES.get(name), f"backbone {name!r}", given)


def _resolve_head(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return _resolve(HEADS.get(name), f"head {name!r}", given, positional=("in_channels",))


def _resolve(
    factory: Callable[..., Any],
    what: str,
    given: Mapping[str, Any],
    *,
    positional: tuple[str, ...] = (),
) -> dict[str, Any]:
    """All keyword arguments of a factory, including defaults; unknown ones raise."""
    signature = inspect.signature(factory).parameters
    parameters = {name: p for name, p in signature.items() if name not in positional}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in given:
        if name not in parameters and not open_ended:
            raise TypeError(f"{what}: {unknown_name('argument', name, list(parameters))}")
    defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}
    return {**defaults, **given}


def _load_into(model: SuperResolver, checkpoint: checkpoints.Checkpoint, source: str) -> None:
    _check_tensors(model, checkpoint.tensors, checkpoint.names, source)
    model.load_state_dict(dict(checkpoint.tensors), strict=True)
    model.trained = bool(checkpoint.facts.get("trained", True))
    model.facts = {**checkpoint.facts, "layout": checkpoint.layout}


def _check_tensors(
    model: SuperResolver, tensors: Mapping[str, Tensor], names: Mapping[str, str], source: str
) -> None:
    """Compare names and shapes, and report all differences in the names of the file."""
    own = model.state_dict()
    problems = [f"lacks {names.get(n, n)}" for n in own if n not in tensors]
    extra = [names.get(n, n) for n in tensors if n not in own]
    problems += [f"has {name}, which the network has not" for name in extra]
    problems += [
        f"has {names.get(n, n)} of shape {tuple(t.shape)}, not {tuple(own[n].shape)}"
        for n, t in tensors.items()
        if n in own and t.shape != own[n].shape
    ]
    if problems:
        more = f" (and {len(problems) - 4} more)" if len(problems) > 4 else ""
        raise ValueError(
            f"{source} does not fit {model.config.backbone} + {model.config.head}: it "
            f"{'; '.join(problems[:4])}{more}"
        )


def _variant(
    network: SuperResolver, backbone_args: Mapping[str, Any], *, attention: str = "auto"
) -> SuperResolver:
    """An untrained network like ``network``, but for some arguments of its backbone."""
    args = {**network.config.backbone_args, **backbone_args}
    return build_from_config(replace(network.config, backbone_args=args), attention=attention)


def _resampled_head(
    model: SuperResolver, checkpoint: checkpoints.Checkpoint, own: dict[str, Tensor]
) -> dict[str, Tensor]:
    head: Head = model.head
    if not isinstance(head, PixelShuffle) or checkpoint.config.head != model.config.head:
        raise ValueError(
            "head='resample' is for pixel-shuffle heads on both sides, not from "
            f"{checkpoint.config.head!r} to {model.config.head!r}"
        )
    resampled = dict(own)
    for name in own.keys() & checkpoint.tensors.keys():
        tensor = checkpoint.tensors[name]
        old = round((tensor.shape[0] / 3) ** 0.5)
        # (3 s², …) → (…, s, s) per colour: channel is colour · s² + row · s + column.
        grid = tensor.reshape(3, old, old, -1).permute(0, 3, 1, 2)
        grid = torch.nn.functional.interpolate(
            grid, (head.scale, head.scale), mode="bilinear", align_corners=False
        )
        resampled[name] = grid.permute(0, 2, 3, 1).reshape(own[name].shape)
    return resampled
