"""The metadata of a picture."""

import dataclasses
import re
from dataclasses import dataclass

from escsr.images._exif import sized_exif, upright_exif


@dataclass(frozen=True, kw_only=True)
class Display:
    """How to show a picture, and the other metadata of its file.

    Attributes:
        icc: Colour profile of the pixel values; None means sRGB, or the colours of ``cicp``.
        cicp: Code points of ITU-T H.273 (primaries, transfer, matrix, full range), used for HDR:
            (9, 16, 0, 1) is PQ. They take precedence over a profile.
        dpi: Pixels per inch, horizontally and vertically.
        exif: EXIF data, starting with ``II`` or ``MM``. Its orientation is 1, and it has no
            thumbnail.
        xmp: XMP packet. Its orientation is 1, and it has no thumbnails.
        iptc: IPTC-IIM records.

    Raises:
        ValueError: If ``cicp`` or ``dpi`` is impossible, or ``exif`` has no valid start.

    Example:
        >>> Display(dpi=(300, 300)).dpi
        (300, 300)
    """

    icc: bytes | None = None
    cicp: tuple[int, int, int, int] | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse values that would make unreadable files."""
        if self.cicp is not None and (
            len(self.cicp) != 4
            or not all(0 <= code <= 255 for code in self.cicp)
            or self.cicp[3] > 1
        ):
            raise ValueError(
                f"cicp is three numbers from 0 to 255 and 0 or 1 for the range, not {self.cicp}"
            )
        if self.dpi is not None and (
            len(self.dpi) != 2 or not all(0 < value < 4e5 for value in self.dpi)
        ):
            raise ValueError(f"dpi is two numbers above 0 and below 400000, not {self.dpi}")
        if self.exif is not None and self.exif[:4] not in (b"II*\0", b"MM\0*"):
            raise ValueError("exif must start with II*\\0 or MM\\0*; without the mark 'Exif'")

    def stripped(self) -> "Display":
        """A copy without EXIF, XMP and IPTC; colours and resolution stay."""
        return dataclasses.replace(self, exif=None, xmp=None, iptc=None)

    def upright(self) -> "Display":
        """A copy for a picture that was turned upright: orientation 1, no thumbnails.

        Everything else in EXIF stays in place, bit for bit.

        Raises:
            ValueError: If ``exif`` is damaged.
        """
        exif = None if self.exif is None else upright_exif(self.exif)
        xmp = None if self.xmp is None else upright_xmp(self.xmp)
        return dataclasses.replace(self, exif=exif, xmp=xmp)

    def sized(self, size: tuple[int, int]) -> "Display":
        """A copy with ``size`` (H, W) wherever EXIF and XMP give a size.

        Raises:
            ValueError: If ``exif`` is damaged.
        """
        exif = None if self.exif is None else sized_exif(self.exif, size)
        xmp = None if self.xmp is None else sized_xmp(self.xmp, size)
        return dataclasses.replace(self, exif=exif, xmp=xmp)


_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>))\s*\d+")
_THUMBNAILS = re.compile(rb"<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails\s*>", re.DOTALL)
_NUMBER = rb"((?:tiff:Image%s|exif:Pixel%sDimension)(?:\s*=\s*[\"']|>))\s*\d+"
_WIDTH = re.compile(_NUMBER % (b"Width", b"X"))
_HEIGHT = re.compile(_NUMBER % (b"Length", b"Y"))


def upright_xmp(data: bytes) -> bytes:
    """An XMP packet for a picture that was turned upright, without thumbnails."""
    return _THUMBNAILS.sub(b"", _ORIENTATION.sub(rb"\g<1>1", data))


def sized_xmp(data: bytes, size: tuple[int, int]) -> bytes:
    """An XMP packet with its width and height, if any, set to ``size`` (H, W)."""
    height, width = (rb"\g<1>" + str(side).encode() for side in size)
    return _HEIGHT.sub(height, _WIDTH.sub(width, data))
