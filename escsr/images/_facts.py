"""The metadata of a picture file, as found by the reader of its format."""

from dataclasses import dataclass, field

from escsr.images._profiles import SRGB, SRGB_CURVE, Curve, Primaries, make_profile


@dataclass
class Facts:
    """The contents of a `Display` as the file stores them, and notes on losses.

    Attributes:
        icc: Only for formats for which libvips does not return it.
        cicp: See `Display`.
        dpi: See `Display`.
        exif: Unchanged from the file.
        xmp: Unchanged from the file.
        iptc: IPTC-IIM records.
        primaries: Primaries, if the file gives its colours as numbers.
        curve: Transfer curve, likewise.
        jpeg_quality: See `Picture`.
        notes: Notes for the user.
    """

    icc: bytes | None = None
    cicp: tuple[int, int, int, int] | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    primaries: Primaries | None = None
    curve: Curve | None = None
    jpeg_quality: float | None = None
    notes: list[str] = field(default_factory=list)

    def made_profile(self, *, gray: bool) -> bytes | None:
        """A profile for colours that the file gives as numbers; None if they are sRGB."""
        if self.primaries is None and self.curve is None:
            return None
        try:
            return make_profile(self.primaries or SRGB, self.curve or SRGB_CURVE, gray=gray)
        except ValueError as error:
            self.notes.append(f"its colour information is dropped: {error}")
            return None

    def say_pixel_shape(self, x: float, y: float) -> None:
        """Add a note if pixels are not square and the file gives their shape but no resolution."""
        if x > 0 and y > 0 and x != y:
            self.notes.append(
                f"its pixels are meant to be {y / x:.3g} times as wide as high, which the result "
                "does not say"
            )


_SIGNATURE = b"8BIM"
_IPTC_RESOURCE = 0x0404


def iptc_of_resources(data: bytes) -> bytes | None:
    """The IPTC records among Photoshop's image resources; bare records unchanged."""
    if data[:1] == b"\x1c":
        return data
    at = data.find(_SIGNATURE)
    while at >= 0 and data[at : at + 4] == _SIGNATURE and at + 12 <= len(data):
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        name = 1 + data[at + 6]
        start = at + 6 + name + name % 2 + 4
        length = int.from_bytes(data[start - 4 : start], "big")
        if kind == _IPTC_RESOURCE and start + length <= len(data):
            return data[start : start + length]
        at = start + length + length % 2
    return None


def resources_of_iptc(records: bytes) -> bytes:
    """Photoshop's image resources with IPTC records as the only one."""
    head = _SIGNATURE + _IPTC_RESOURCE.to_bytes(2, "big") + bytes(2)
    return head + len(records).to_bytes(4, "big") + records + bytes(len(records) % 2)
