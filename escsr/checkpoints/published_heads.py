"""The head of a published file, recognised by the names and shapes of its tensors alone."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

Tensors = Mapping[str, Tensor]
_UPSAMPLERS = ("conv", "pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample")
_UP_CONV = "upsampler.up_conv."

HeadFound = tuple[str, dict[str, Any], dict[str, str]]


def find_head(tensors: Tensors, *, decomposed: bool) -> HeadFound:
    """Recognise a head of one scale, from the tensors below ``to_img`` or ``upsampler``.

    Args:
        tensors: Tensors of the whole network.
        decomposed: Whether the network is ESC-FP, whose skip is bicubic.

    Returns:
        Its name, its arguments, and our name for each name of the file.

    Raises:
        ValueError: If tensors are missing, or no head has them.
    """
    parts = {n.removeprefix("to_img."): t for n, t in tensors.items() if n.startswith("to_img.")}
    up_conv = {n: t for n, t in tensors.items() if n.startswith(_UP_CONV)}
    if up_conv and not parts:
        # ESC-RIB's name for the head of ESC.
        parts = {n.removeprefix(_UP_CONV): t for n, t in up_conv.items()}
        head, args, names = _pixel_shuffle(parts, "", image_skip="nearest")
        return head, args, {n.replace("to_img.", _UP_CONV, 1): ours for n, ours in names.items()}
    if "weight" in parts:
        skip = "bicubic" if decomposed else "nearest"
        return _pixel_shuffle(parts, "", image_skip=skip)
    if "end_conv.weight" in parts:
        return _dysample(parts, prefix="", reduce=None, groups=4, scale=None)
    meta = parts.get("MetaUpsample")
    if "1.weight" in parts and meta is None:
        return _convs(parts, _numbers(parts), conv_first=False, scale=None)
    return _real_m_head(parts, None if meta is None else [int(value) for value in meta])


def _real_m_head(parts: Tensors, meta: list[int] | None) -> HeadFound:
    """The heads of ESC-RealM, recognised by the MetaUpsample buffer or else by their shapes."""
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
    """{file's name: ours} of the tensors below the given places."""
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


# ---------------------------------------------------------------------------- any scale


def find_implicit_head(parts: Tensors, channels: int, settings: Mapping[str, Any]) -> HeadFound:
    """Recognise LIIF, LTE or LTE-fast.

    Args:
        parts: The tensors outside the backbone.
        channels: Channels of the features.
        settings: The published arguments of the network; only ``local_ensemble`` cannot be inferred
            from the tensors.

    Returns:
        See `find_head`.

    Raises:
        ValueError: If tensors are missing, or no head has them.
    """
    prefix = "imnet.layers" if any(n.startswith("imnet.") for n in parts) else "layers"
    # Activations are counted in the published sequence: layers 0, 2, 4 …
    places = sorted(
        int(n.split(".")[-2]) for n in parts if n.startswith(prefix) and n.endswith(".weight")
    )
    if len(places) < 2 or places != list(range(0, 2 * len(places), 2)):
        raise ValueError(
            f"holds an 'encoder', but not the layers of LIIF, LTE or LTE-fast beside it: of "
            f"'{prefix}' it has {places or 'none'}"
        )
    depth = len(places) - 1
    liif = "coef.weight" not in parts
    ours = ["first"] if liif else []
    ours += [f"layers.{i}" for i in range(depth - len(ours))] + ["last"]
    names = {
        f"{prefix}.{place}.{kind}": f"{our}.{kind}"
        for our, place in zip(ours, places, strict=True)
        for kind in ("weight", "bias")
        if f"{prefix}.{place}.{kind}" in parts
    }
    args: dict[str, Any] = {
        "hidden_dim": parts[f"{prefix}.0.weight"].shape[0],
        "depth": depth,
        "local_ensemble": bool(settings.get("local_ensemble", True)),
        "cell_max_scale": 4,  # ESC's published evaluation clips the cell of every head
    }
    if liif:
        return "liif", args | _liif_inputs(parts[f"{prefix}.0.weight"], channels), names
    own = ("coef.weight", "coef.bias", "freq.weight", "freq.bias", "phase.weight")
    names |= {name: name for name in own if name in parts}
    args["cell_decode"] = "phase.weight" in parts
    return "lte" if prefix == "imnet.layers" else "lte_fast", args, names


def _liif_inputs(first: Tensor, channels: int) -> dict[str, bool]:
    """The inputs of the first layer of LIIF, from its width."""
    for unfold in (True, False):
        for cell_decode in (True, False):
            width = channels * (9 if unfold else 1) + (4 if cell_decode else 2)
            if first.shape[1] == width:
                return {"unfold": unfold, "cell_decode": cell_decode}
    raise ValueError(
        f"the first layer of LIIF takes {first.shape[1]} numbers, which does not fit {channels} "
        "channels of features"
    )
