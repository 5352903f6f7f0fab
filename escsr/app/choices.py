"""What a person chooses at the page, as arguments of the library."""

from dataclasses import dataclass
from typing import Any

from escsr.app.words import RefusedError
from escsr.images import suffix_of, writable_suffixes
from escsr.images.saving import SaveOptions
from escsr.inference import SizeRequest

KINDS = {
    "Clean photo": "default",
    "Damaged photo (crisp result)": "restore",
    "Damaged photo (faithful result)": "real",
    "Decide for me": "auto",
}
"""What a picture is, and the network for it."""

BY_SCALE, BY_WIDTH, BY_HEIGHT, EXACT, FOUR_K = (
    "Scale",
    "Width",
    "Height",
    "Width × height",
    "4K",
)
SIZES = (BY_SCALE, BY_WIDTH, BY_HEIGHT, EXACT, FOUR_K)
"""Ways to say how large a picture shall become."""

LEAST_SCALE, MOST_SCALE = 1.5, 8.0
_FOUR_K = 3840

SAME = "As uploaded"
_TYPES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WebP": ".webp",
    "AVIF": ".avif",
    "TIFF": ".tif",
}


def types() -> list[str]:
    """File types that can be written on this machine."""
    writable = writable_suffixes()
    return [SAME, *(name for name, suffix in _TYPES.items() if suffix in writable)]


def size_arguments(
    how: str, scale: float | None, width: float | None, height: float | None
) -> dict[str, Any]:
    """The argument of `escsr.upscale` that says the size.

    Args:
        how: One of `SIZES`.
        scale: Of both sides, for "Scale".
        width: Pixels, where ``how`` asks for it; likewise ``height``.
        height: See ``width``.

    Raises:
        RefusedError: If a number is missing or out of its range.

    Example:
        >>> size_arguments("Width × height", None, 3840, 2160)
        {'size': (2160, 3840)}
    """
    if how == BY_SCALE:
        if scale is None or not LEAST_SCALE <= scale <= MOST_SCALE:
            raise RefusedError(f"The scale is a number from {LEAST_SCALE:g} to {MOST_SCALE:g}.")
        return {"scale": float(scale)}
    if how == FOUR_K:
        return {"max_side": _FOUR_K}
    if how == EXACT:
        return {"size": (_pixels("height", height), _pixels("width", width))}
    if how not in SIZES:
        raise RefusedError(f"The size is given by one of: {', '.join(SIZES)}.")
    name, given = ("width", width) if how == BY_WIDTH else ("height", height)
    return {name: _pixels(name, given)}


def _pixels(name: str, given: float | None) -> int:
    if given is None or given != int(given) or not 1 <= given <= 65535:
        raise RefusedError(f"Enter the {name} as a whole number of pixels, such as 3840.")
    return int(given)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one person wants of a picture.

    Attributes:
        model: A name that `escsr.Upscaler` takes.
        size: See `size_arguments`.
        type: One of `types`.
        quality: 1 to 100, of JPEG, WebP and AVIF.
    """

    model: str
    size: dict[str, Any]
    type: str = SAME
    quality: int = 95

    def __post_init__(self) -> None:
        """Check what is known without a picture."""
        SizeRequest(**self.size)
        SaveOptions(quality=self.quality)
        if self.type not in types():
            raise RefusedError(f"The file type is one of: {', '.join(types())}.")

    def suffix(self, head: bytes) -> str:
        """The ending of the file that is made.

        Args:
            head: How the upload begins.
        """
        return suffix_of(head) if self.type == SAME else _TYPES[self.type]
