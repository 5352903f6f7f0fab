"""The layouts of the published ESC files, recognised by names and shapes alone.

These files accompany arXiv 2503.06671 (ESC, ESC-light, ESC-FP, ESC-XL, ESC-Real, ESC-RealM, ESC
under LIIF and LTE, ESC and ESC-Real with FlashBias) and arXiv 2603.06738 (ESC-RIB).
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from escsr.checkpoints.layouts import LAYOUTS, Layout, Tensors, Translation
from escsr.checkpoints.published_heads import HeadFound, find_head, find_implicit_head
from escsr.model import ModelConfig

_RIB_WINDOW = 64
"""Window of ESC-RIB, which cannot be read from the shape of its bias."""

_BACKBONE_NAMES = [
    (r"plk_filter", r"large_kernel.weight"),
    (r"lk_(channel|spatial)", r"large_kernel.\1"),
    (r"proj(?:\.1)?\.(weight|bias)", r"shallow.\1"),
    (r"(?:ln_last)\.(weight|bias)", r"norm_last.\1"),
    (r"last\.0\.(weight|bias)", r"norm_last.\1"),
    (r"last\.(?:1\.)?(weight|bias)", r"last.\1"),
    (r"blocks\.(\d+)\.ln_proj\.(\w+)", r"blocks.\1.norm_in.\2"),
    (r"blocks\.(\d+)\.proj\.proj\.(\w+)", r"blocks.\1.ffn_in.expand.\2"),
    (r"blocks\.(\d+)\.proj\.dwc\.(\w+)", r"blocks.\1.ffn_in.depthwise.\2"),
    (r"blocks\.(\d+)\.proj\.aggr\.(\w+)", r"blocks.\1.ffn_in.project.\2"),
    (r"blocks\.(\d+)\.ln_attn\.(\w+)", r"blocks.\1.norm_attention.\2"),
    (r"blocks\.(\d+)\.attn\.to_(qkv|out)\.(\w+)", r"blocks.\1.attention.\2.\3"),
    (r"blocks\.(\d+)\.attn\.relative_position_bias", r"blocks.\1.attention.bias_table"),
    (r"blocks\.(\d+)\.attn\.flashbias_(q|k)", r"blocks.\1.attention.bias_\2"),
    (r"blocks\.(\d+)\.attn\.to_(q|k)", r"blocks.\1.attention.bias_\2"),
    (r"blocks\.(\d+)\.attn\.to_hidden", r"blocks.\1.attention.bias_hidden_weight"),
    (r"blocks\.(\d+)\.attn\.hidden_b", r"blocks.\1.attention.bias_hidden_offset"),
    (r"blocks\.(\d+)\.attn\.gate\.0\.(\w+)", r"blocks.\1.attention.gate.depthwise.\2"),
    (r"blocks\.(\d+)\.attn\.gate\.1\.(\w+)", r"blocks.\1.attention.gate.pointwise.\2"),
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
_LARGE_KERNELS = ("plk_filter", "lk_channel", "lk_spatial")


# ---------------------------------------------------------------------------- layouts


@LAYOUTS.register("esc")
def fixed_scale() -> Layout:
    """The layout of all published ESC files of one scale."""
    return Layout(
        networks=(
            "ESC, ESC-light, ESC-FP, ESC-XL, ESC-Real, ESC-Real with DySample, ESC-RealM, ESC-RIB, "
            "these with FlashBias"
        ),
        detect=lambda tensors: any(name in tensors for name in _LARGE_KERNELS),
        translate=_translate_fixed_scale,
    )


@LAYOUTS.register("esc_any_scale")
def any_scale() -> Layout:
    """The layout of published files with the backbone below ``encoder.`` and the head beside it."""
    return Layout(
        networks="ESC with LIIF, LTE or LTE-fast",
        detect=lambda tensors: any(f"encoder.{name}" in tensors for name in _LARGE_KERNELS),
        translate=_translate_any_scale,
    )


def _translate_fixed_scale(tensors: Tensors, settings: Mapping[str, Any]) -> Translation:
    args = _backbone_args(tensors)
    return _translation(tensors, args, find_head(tensors, decomposed=args["decomposed"]))


def _translate_any_scale(tensors: Tensors, settings: Mapping[str, Any]) -> Translation:
    prefix = "encoder."
    body = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    args = _backbone_args(body)
    parts = {name: t for name, t in tensors.items() if not name.startswith(prefix)}
    return _translation(tensors, args, find_implicit_head(parts, args["dim"], settings), prefix)


def _translation(
    tensors: Tensors, args: dict[str, Any], found: HeadFound, prefix: str = ""
) -> Translation:
    head, head_args, head_names = found
    names = {name: f"head.{ours}" for name, ours in head_names.items()}
    names |= _backbone_names(tensors, names, prefix, unshuffled=args["unshuffle"] > 1)
    if len(set(names.values())) != len(names):
        raise ValueError("holds the tensors of two layouts at once; which one counts is unclear")
    family = "esc_fp" if args["decomposed"] else "esc_real" if args["image_skip"] else "esc"
    config = ModelConfig(backbone=family, head=head, backbone_args=args, head_args=head_args)
    return Translation(config=config, names=names)


# ---------------------------------------------------------------------------- backbones


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
    # The skip is a sequence that starts one later if the picture is unshuffled.
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
    shallow = _one(tensors, r"proj(?:\.1)?\.weight", dims=4)
    dim, in_channels = shallow.shape[:2]
    unshuffle = math.isqrt(in_channels // 3)
    if in_channels != 3 * unshuffle**2:
        raise ValueError(f"the shapes are not of an ESC network: {in_channels} input channels")
    return {
        "dim": dim,
        "partial_dim": kernel.shape[0],
        "num_blocks": _count(tensors, r"blocks\.(\d+)\..*"),
        "conv_blocks": _count(tensors, r"blocks\.\d+\.pconvs\.(\d+)\..*"),
        "kernel_size": kernel.shape[-1],
        "ffn_ratio": _ratio(tensors, r"blocks\.\d+\.convffns\.\d+\.proj\.weight", dim),
        "attention_ffn_ratio": _ratio(tensors, r"blocks\.\d+\.proj\.proj\.weight", dim),
        "conv_norm": any(re.fullmatch(r"blocks\.\d+\.lns\..*", name) for name in tensors),
        "decomposed": decomposed,
        "last_norm": any(name.startswith(("ln_last.", "last.0.")) for name in tensors),
        "image_skip": any(name.startswith("skip.") for name in tensors),
        "unshuffle": unshuffle,
        "attention_gate": any(re.fullmatch(r"blocks\.\d+\.attn\.gate\..*", n) for n in tensors),
        **_attention_args(tensors),
    }


def _attention_args(tensors: Tensors) -> dict[str, Any]:
    """Window, heads and kind of bias."""
    prefix = r"blocks\.\d+\.attn\."
    kinds = {
        kind
        for kind, name in (
            ("low_rank", "flashbias_[qk]"),
            ("implicit", "to_hidden|hidden_b|to_[qk]"),
            ("table", "relative_position_bias"),
        )
        if any(re.fullmatch(f"{prefix}(?:{name})", n) for n in tensors)
    }
    if len(kinds) > 1:
        raise ValueError(
            f"holds the tensors of two layouts at once: biases of the kinds {sorted(kinds)}"
        )
    args: dict[str, Any] = {"attention_bias": "table", "bias_rank": None}
    if kinds == {"low_rank"}:
        of_query = _one(tensors, prefix + "flashbias_q", dims=3)
        heads, pixels, rank = of_query.shape
        window = math.isqrt(pixels)
        args = {"attention_bias": "low_rank", "bias_rank": rank}
    elif kinds == {"implicit"}:
        hidden = _one(tensors, prefix + "to_hidden", dims=2)
        heads, _, rank = _one(tensors, prefix + "to_q", dims=3).shape
        pixels, window = _RIB_WINDOW**2, _RIB_WINDOW
        waves, hidden_dim = hidden.shape
        if waves % 4 != 2:
            raise ValueError(f"to_hidden takes {waves} numbers, which is 2 + 4 F for no F waves")
        args = {"attention_bias": "implicit", "bias_rank": rank}
        args |= {"bias_hidden_dim": hidden_dim, "bias_frequencies": waves // 4}
    else:
        heads, positions = _one(tensors, prefix + "relative_position_bias", dims=2).shape
        window = (math.isqrt(positions) + 1) // 2
        if positions != (2 * window - 1) ** 2:
            raise ValueError(
                f"the shapes are not of an ESC network: {positions} relative positions"
            )
        pixels = window**2
    if pixels != window**2:
        raise ValueError(f"flashbias_q has {pixels} rows, which is M² for no window of side M")
    return args | {"window_size": window, "num_heads": heads}


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
