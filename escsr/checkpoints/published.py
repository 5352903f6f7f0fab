"""What network a published ESC file belongs to, from its names and shapes alone.

The layouts are those of the files that accompany arXiv 2503.06671 (ESC, ESC-light, ESC-FP,
ESC-XL, ESC-Real, ESC-RealM).
"""

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from escsr.backbones import BACKBONES
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
_UPSAMPLERS = ("conv", "pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample")
_LAYOUTS = "ESC, ESC-light, ESC-FP, ESC-XL, ESC-Real, ESC-Real with DySample, ESC-RealM"

Tensors = Mapping[str, Tensor]


def recognise(tensors: Tensors) -> tuple[ModelConfig, dict[str, str], str]:
    """Find the network that published tensors belong to.

    Args:
        tensors: By the names of the published file.

    Returns:
        The configuration, our name for each name of the file (buffers left out), and the
        layout in words.

    Raises:
        ValueError: If they are not of the ESC family; the message says what is missing.
    """
    if "plk_filter" not in tensors and not {"lk_channel", "lk_spatial"} & set(tensors):
        some = ", ".join(list(tensors)[:4])
        raise ValueError(
            f"not a network of the ESC family: it has neither 'plk_filter' nor 'lk_channel' "
            f"(it starts with {some}). Known published layouts: {_LAYOUTS}"
        )
    args = _backbone_args(tensors)
    head, head_args, head_names = _head(tensors, args)
    names = {name: f"head.{ours}" for name, ours in head_names.items()}
    unknown = []
    for name in tensors:
        if name in names or _BUFFERS.fullmatch(name):
            continue
        ours = _backbone_name(name, unshuffled=args["unshuffle"] > 1)
        if ours is None:
            unknown.append(name)
        else:
            names[name] = f"backbone.{ours}"
    if unknown:
        raise ValueError(
            f"holds {len(unknown)} tensors that no ESC network has: {', '.join(unknown[:4])}"
        )
    if len(set(names.values())) != len(names):
        raise ValueError("holds the tensors of two layouts at once; which one counts is unclear")
    variant = _variant(args)
    config = ModelConfig(backbone=variant, head=head, backbone_args=args, head_args=head_args)
    return config, names, f"{variant} with {head}"


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


# ---------------------------------------------------------------------------- heads

HeadFound = tuple[str, dict[str, Any], dict[str, str]]


def _head(tensors: Tensors, args: Mapping[str, Any]) -> HeadFound:
    """Name, arguments and {file's name: ours} of the head."""
    parts = {n.removeprefix("to_img."): t for n, t in tensors.items() if n.startswith("to_img.")}
    if "weight" in parts:
        skip = "bicubic" if args["decomposed"] else "nearest"
        return _pixel_shuffle(parts, "", image_skip=skip)
    if "end_conv.weight" in parts:
        return _dysample(parts, prefix="", reduce=None, groups=4, scale=None)
    meta = parts.get("MetaUpsample")
    if "1.weight" in parts and meta is None:
        return _convs(parts, _numbers(parts), conv_first=False, scale=None)
    return _real_m_head(parts, None if meta is None else [int(value) for value in meta])


def _real_m_head(parts: Tensors, meta: list[int] | None) -> HeadFound:
    """The heads of ESC-RealM, told by the MetaUpsample buffer or else by their shapes."""
    first = _part(parts, "0.weight") if "0.weight" in parts else None
    if meta is not None and (len(meta) != 7 or meta[1] >= len(_UPSAMPLERS)):
        raise ValueError(f"the buffer to_img.MetaUpsample holds {meta}, which no head has")
    dysample = next((n for n in parts if n.endswith("end_conv.weight")), None)
    if dysample is not None:
        prefix = dysample.removesuffix("end_conv.weight")
        scale, groups = (meta[2], meta[6]) if meta else (None, 4)
        reduce = "0." if prefix != "0." else None
        return _dysample(parts, prefix=prefix, reduce=reduce, groups=groups, scale=scale)
    if first is None:
        raise ValueError("incomplete: no tensor of the head ('to_img.…') is where one should be")
    numbers = _numbers(parts)
    if numbers == [0]:
        if first.shape[0] == 3:
            return "conv", {"scale": 1}, _rename("", {"0.": "conv."}, parts)
        return _pixel_shuffle(parts, "0.", image_skip=None)
    if numbers[1] == 2:
        return _pixel_shuffle_multi(parts, numbers)
    return _convs(parts, numbers, conv_first=True, scale=meta[2] if meta else None)


def _numbers(parts: Tensors) -> list[int]:
    """The places in the head's sequence that hold tensors."""
    return sorted({int(place) for n in parts if (place := n.split(".")[0]).isdigit()})


def _part(parts: Tensors, name: str) -> Tensor:
    if name not in parts:
        raise ValueError(f"incomplete: no tensor 'to_img.{name}'")
    return parts[name]


def _rename(prefix: str, places: Mapping[str, str], parts: Tensors) -> dict[str, str]:
    """{file's name: ours} of the tensors that stand below the given places."""
    return {
        f"to_img.{name}": ours + name.removeprefix(prefix + theirs)
        for name in parts
        for theirs, ours in places.items()
        if name.startswith(prefix + theirs)
    }


def _side(channels: int, per_pixel: int, what: str) -> int:
    """Scale s where channels = per_pixel · s²."""
    scale = math.isqrt(channels // per_pixel)
    if per_pixel * scale**2 != channels or scale == 0:
        raise ValueError(f"{what} has {channels} channels, which is {per_pixel}·s² for no scale s")
    return scale


def _pixel_shuffle(parts: Tensors, prefix: str, *, image_skip: str | None) -> HeadFound:
    scale = _side(_part(parts, f"{prefix}weight").shape[0], 3, "the head's convolution")
    args = {"scale": scale, "image_skip": image_skip}
    names = _rename(prefix, {"weight": "conv.weight", "bias": "conv.bias"}, parts)
    return "pixel_shuffle", args, names


def _pixel_shuffle_multi(parts: Tensors, numbers: list[int]) -> HeadFound:
    mid = _part(parts, "0.weight").shape[0]
    *steps, last = numbers[1:]
    scale = math.prod(
        _side(_part(parts, f"{n}.weight").shape[0], mid, f"to_img.{n}") for n in steps
    )
    places = {"0.": "reduce.", f"{last}.": "to_rgb."}
    places |= {f"{n}.": f"steps.{i}." for i, n in enumerate(steps)}
    args = {"scale": scale, "mid_dim": mid}
    return "pixel_shuffle_multi", args, _rename("", places, parts)


def _convs(parts: Tensors, numbers: list[int], *, conv_first: bool, scale: int | None) -> HeadFound:
    """Nearest-neighbour steps with convolutions at the given places of the sequence."""
    if len(numbers) < 3:
        raise ValueError(f"incomplete: the head has convolutions only at {numbers}")
    *steps, refine, last = numbers
    if scale is None:
        if conv_first and len(steps) == 1:
            raise ValueError(
                "cannot tell ×2 from ×3: the head's buffer 'to_img.MetaUpsample' is missing"
            )
        scale = 2 ** len(steps)
    places = {f"{refine}.": "refine.", f"{last}.": "to_rgb."}
    places |= {f"{n}.": f"steps.{i}." for i, n in enumerate(steps)}
    args = {"scale": scale, "conv_first": conv_first}
    return "nearest_conv", args, _rename("", places, parts)


def _dysample(
    parts: Tensors, *, prefix: str, reduce: str | None, groups: int, scale: int | None
) -> HeadFound:
    dim = _part(parts, f"{prefix}end_conv.weight").shape[1]
    offsets = _part(parts, f"{prefix}offset.weight").shape[0]
    found = _side(offsets, 2 * groups, "DySample's offset")
    if scale not in (None, found):
        raise ValueError(f"MetaUpsample says ×{scale}, the offsets are those of ×{found}")
    places = {"end_conv.": "to_rgb.", "offset.": "offset.", "scope.": "scope."}
    names = _rename(prefix, places, parts)
    if reduce is not None:
        names |= _rename("", {reduce: "reduce."}, parts)
    args = {"scale": found, "groups": groups, "mid_dim": dim if reduce else None}
    return "dysample", args, names
