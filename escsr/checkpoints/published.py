"""What network a published ESC file belongs to, from its names and shapes alone.

The layouts are those of the files that accompany arXiv 2503.06671 (ESC, ESC-light, ESC-FP,
ESC-XL, ESC-Real, ESC-RealM, and ESC under LIIF and LTE).
"""

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from escsr.backbones import BACKBONES
from escsr.checkpoints.published_heads import find_head, find_implicit_head
from escsr.model import ModelConfig

_BACKBONE_NAMES = [
    (r"plk_filter", r"large_kernel.weight"),
    (r"lk_(channel|spatial)", r"large_kernel.\1"),
    (r"proj(?:\.1)?\.(weight|bias)", r"shallow.\1"),
    (r"(?:ln_last)\.(weight|bias)", r"norm_last.\1"),
    (r"last\.(weight|bias)", r"last.\1"),
    (r"blocks\.(\d+)\.ln_proj\.(\w+)", r"blocks.\1.norm_in.\2"),
    (r"blocks\.(\d+)\.proj\.proj\.(\w+)", r"blocks.\1.ffn_in.expand.\2"),
    (r"blocks\.(\d+)\.proj\.dwc\.(\w+)", r"blocks.\1.ffn_in.depthwise.\2"),
    (r"blocks\.(\d+)\.proj\.aggr\.(\w+)", r"blocks.\1.ffn_in.project.\2"),
    (r"blocks\.(\d+)\.ln_attn\.(\w+)", r"blocks.\1.norm_attention.\2"),
    (r"blocks\.(\d+)\.attn\.to_(qkv|out)\.(\w+)", r"blocks.\1.attention.\2.\3"),
    (r"blocks\.(\d+)\.attn\.relative_position_bias", r"blocks.\1.attention.bias_table"),
    (r"blocks\.(\d+)\.lns\.(\d+)\.(\w+)", r"blocks.\1.norms.\2.\3"),
    (
        r"blocks\.(\d+)\.pconvs\.(\d+)\.plk\.(?:dwc_)?proj\.1\.(\w+)",
        r"blocks.\1.conv_attentions.\2.squeeze.\3",
    ),
    (
        r"blocks\.(\d+)\.pconvs\.(\d+)\.plk\.(?:dwc_)?proj\.3\.(\w+)",
        r"blocks.\1.conv_attentions.\2.excite.\3",
    ),
    (r"blocks\.(\d+)\.pconvs\.(\d+)\.aggr\.(\w+)", r"blocks.\1.conv_attentions.\2.aggregate.\3"),
    (r"blocks\.(\d+)\.convffns\.(\d+)\.proj\.(\w+)", r"blocks.\1.ffns.\2.expand.\3"),
    (r"blocks\.(\d+)\.convffns\.(\d+)\.dwc\.(\w+)", r"blocks.\1.ffns.\2.depthwise.\3"),
    (r"blocks\.(\d+)\.convffns\.(\d+)\.aggr\.(\w+)", r"blocks.\1.ffns.\2.project.\3"),
    (r"blocks\.(\d+)\.ln_out\.(\w+)", r"blocks.\1.norm_out.\2"),
    (r"blocks\.(\d+)\.conv_out\.(\w+)", r"blocks.\1.conv_out.\2"),
]
_BUFFERS = re.compile(r"to_img\.(?:\d+\.)?(?:MetaUpsample|init_pos)")
_LAYOUTS = (
    "ESC, ESC-light, ESC-FP, ESC-XL, ESC-Real, ESC-Real with DySample, ESC-RealM, "
    "ESC with LIIF, LTE or LTE-fast"
)

Tensors = Mapping[str, Tensor]


def recognise(
    tensors: Tensors, settings: Mapping[str, Any] | None = None
) -> tuple[ModelConfig, dict[str, str], str]:
    """Find the network that published tensors belong to.

    Args:
        tensors: By the names of the published file.
        settings: What the file says of the network beside the tensors, if it does.

    Returns:
        The configuration, our name for each name of the file (buffers left out), and the
        layout in words.

    Raises:
        ValueError: If they are not of the ESC family; the message says what is missing.
    """
    # Networks of any scale keep the backbone below "encoder.", and the head's tensors beside it.
    prefix = "encoder." if any(name.startswith("encoder.") for name in tensors) else ""
    body = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    if "plk_filter" not in body and not {"lk_channel", "lk_spatial"} & set(body):
        some = ", ".join(list(tensors)[:4])
        raise ValueError(
            f"not a network of the ESC family: it has neither 'plk_filter' nor 'lk_channel' "
            f"(it starts with {some}). Known published layouts: {_LAYOUTS}"
        )
    args = _backbone_args(body)
    if prefix:
        parts = {name: t for name, t in tensors.items() if not name.startswith(prefix)}
        head, head_args, head_names = find_implicit_head(parts, args["dim"], settings or {})
    else:
        head, head_args, head_names = find_head(body, decomposed=args["decomposed"])
    names = {name: f"head.{ours}" for name, ours in head_names.items()}
    names |= _backbone_names(tensors, names, prefix, unshuffled=args["unshuffle"] > 1)
    if len(set(names.values())) != len(names):
        raise ValueError("holds the tensors of two layouts at once; which one counts is unclear")
    variant = _variant(args)
    config = ModelConfig(backbone=variant, head=head, backbone_args=args, head_args=head_args)
    return config, names, f"{variant} with {head}"


def _backbone_names(
    tensors: Tensors, of_head: Mapping[str, str], prefix: str, *, unshuffled: bool
) -> dict[str, str]:
    names, unknown = {}, []
    for name in tensors:
        if name in of_head or _BUFFERS.fullmatch(name):
            continue
        ours = None
        if name.startswith(prefix):
            ours = _backbone_name(name.removeprefix(prefix), unshuffled=unshuffled)
        if ours is None:
            unknown.append(name)
        else:
            names[name] = f"backbone.{ours}"
    if unknown:
        raise ValueError(
            f"holds {len(unknown)} tensors that no ESC network has: {', '.join(unknown[:4])}"
        )
    return names


def _backbone_name(name: str, *, unshuffled: bool) -> str | None:
    # The skip is a sequence that starts one later where the picture is unshuffled.
    places = (
        {1: "expand", 2: "depthwise", 4: "project"}
        if unshuffled
        else {
            0: "expand",
            1: "depthwise",
            3: "project",
        }
    )
    if match := re.fullmatch(r"skip\.(\d+)\.(weight|bias)", name):
        part = places.get(int(match[1]))
        return part and f"image_skip.{part}.{match[2]}"
    for theirs, ours in _BACKBONE_NAMES:
        if match := re.fullmatch(theirs, name):
            return match.expand(ours)
    return None


def _backbone_args(tensors: Tensors) -> dict[str, Any]:
    decomposed = "plk_filter" not in tensors
    kernel = _one(tensors, "lk_spatial" if decomposed else "plk_filter", dims=4)
    table = _one(tensors, r"blocks\.\d+\.attn\.relative_position_bias", dims=2)
    shallow = _one(tensors, r"proj(?:\.1)?\.weight", dims=4)
    dim, in_channels = shallow.shape[:2]
    unshuffle = math.isqrt(in_channels // 3)
    window = (math.isqrt(table.shape[1]) + 1) // 2
    if in_channels != 3 * unshuffle**2 or table.shape[1] != (2 * window - 1) ** 2:
        raise ValueError(
            f"the shapes are not of an ESC network: {in_channels} input channels, "
            f"{table.shape[1]} relative positions"
        )
    return {
        "dim": dim,
        "partial_dim": kernel.shape[0],
        "num_blocks": _count(tensors, r"blocks\.(\d+)\..*"),
        "conv_blocks": _count(tensors, r"blocks\.\d+\.pconvs\.(\d+)\..*"),
        "window_size": window,
        "num_heads": table.shape[0],
        "kernel_size": kernel.shape[-1],
        "ffn_ratio": _ratio(tensors, r"blocks\.\d+\.convffns\.\d+\.proj\.weight", dim),
        "attention_ffn_ratio": _ratio(tensors, r"blocks\.\d+\.proj\.proj\.weight", dim),
        "conv_norm": any(re.fullmatch(r"blocks\.\d+\.lns\..*", name) for name in tensors),
        "decomposed": decomposed,
        "last_norm": any(name.startswith("ln_last.") for name in tensors),
        "image_skip": any(name.startswith("skip.") for name in tensors),
        "unshuffle": unshuffle,
    }


def _one(tensors: Tensors, pattern: str, *, dims: int) -> Tensor:
    for name, tensor in tensors.items():
        if re.fullmatch(pattern, name):
            if tensor.ndim != dims:
                raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, not {dims}-D")
            return tensor
    raise ValueError(f"incomplete: no tensor {pattern.replace(chr(92), '')!r}")


def _count(tensors: Tensors, pattern: str) -> int:
    return 1 + max((int(m[1]) for n in tensors if (m := re.fullmatch(pattern, n))), default=-1)


def _ratio(tensors: Tensors, pattern: str, dim: int) -> float:
    hidden = _one(tensors, pattern, dims=4).shape[0]
    ratio = hidden / dim
    return ratio if int(dim * ratio) == hidden else math.nextafter(ratio, math.inf)


def _variant(args: Mapping[str, Any]) -> str:
    """The registered name with these arguments, or the nearest relative."""
    for name in ("esc", "esc_light", "esc_fp", "esc_xl", "esc_real"):
        parameters = inspect.signature(BACKBONES.get(name)).parameters
        if all(p.default == args[k] for k, p in parameters.items() if k != "unshuffle"):
            return name
    if args["decomposed"]:
        return "esc_fp"
    return "esc_real" if args["image_skip"] else "esc"
