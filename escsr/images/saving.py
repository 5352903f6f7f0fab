"""How picture files are encoded."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

Chroma = Literal["444", "420"]
_CHROMA = get_args(Chroma)


class SaveArguments(TypedDict, total=False):
    """The fields of `SaveOptions`, for type checkers."""

    quality: int
    lossless: bool
    chroma: Chroma
    compression: int
    strip_metadata: bool
    pyramid: bool


@dataclass(frozen=True, kw_only=True)
class SaveOptions:
    """How a picture is encoded; each format uses the fields it supports.

    Attributes:
        quality: 1 to 100, for JPEG, WebP and AVIF. At 95 the loss is hard to see.
        lossless: Whether WebP and AVIF keep the pixels exactly (PNG and TIFF always do).
        chroma: "444" keeps colours at full size, "420" at half, for JPEG and lossy AVIF. Lossy
            WebP always uses half size.
        compression: 0 to 9, for PNG and TIFF: higher takes longer and makes smaller files; the
            pixels are the same.
        strip_metadata: Whether EXIF, XMP and IPTC are left out. Colours and resolution stay.
        pyramid: Whether TIFF is tiled and contains smaller versions of itself, for viewers.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> SaveOptions(quality=80, chroma="420").lossless
        False
    """

    quality: int = 95
    lossless: bool = False
    chroma: Chroma = "444"
    compression: int = 6
    strip_metadata: bool = False
    pyramid: bool = False

    def __post_init__(self) -> None:
        """Check each value."""
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be 1 to 100, got {self.quality}")
        if self.chroma not in _CHROMA:
            raise ValueError(f"chroma is one of {', '.join(_CHROMA)}, not {self.chroma!r}")
        if not 0 <= self.compression <= 9:
            raise ValueError(f"compression must be 0 to 9, got {self.compression}")

    def arguments(self, saver: str) -> dict[str, Any]:
        """The arguments of libvips' function for a format.

        Raises:
            ValueError: If a pyramid is requested for a format other than TIFF.
        """
        if self.pyramid and saver != "tiffsave":
            raise ValueError("only TIFF has pyramids; write a file that ends in .tif")
        quality = {"Q": self.quality, "lossless": self.lossless}
        full = self.chroma == "444" or (self.lossless and saver == "heifsave")
        subsample = {"subsample_mode": "off" if full else "on"}
        if saver == "jpegsave":
            return {"Q": self.quality, "optimize_coding": True} | subsample
        if saver == "webpsave":
            return quality | {"exact": True, "smart_subsample": True}
        if saver == "heifsave":
            return quality | {"compression": "av1"} | subsample
        if saver == "pngsave":
            return {"compression": self.compression}
        tiles = {"tile": True, "pyramid": True} if self.pyramid else {}
        if self.compression == 0:
            return {"compression": "none"} | tiles
        level = {"compression": "deflate", "predictor": "horizontal", "level": self.compression}
        return level | tiles
