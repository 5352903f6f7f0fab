"""What a picture file says beside its pixels, as found by the reader of its format."""

from dataclasses import dataclass, field

from escsr.images._profiles import SRGB, SRGB_CURVE, Curve, Primaries, make_profile


@dataclass
class Facts:
    """As of `Display`, in the words of the file, and what cannot be kept.

    Attributes:
        icc: Only from formats of which libvips does not give it.
        cicp: See `Display`.
        dpi: See `Display`.
        exif: As found.
        xmp: As found.
        iptc: IPTC-IIM records.
        primaries: Of a file that says its colours in numbers.
        curve: Its transfer curve.
        jpeg_quality: See `Picture`.
        notes: What its user should know.
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
        """A profile of the colours that the file says in numbers; None if they are sRGB."""
        if self.primaries is None and self.curve is None:
            return None
        try:
            return make_profile(self.primaries or SRGB, self.curve or SRGB_CURVE, gray=gray)
        except ValueError as error:
            self.notes.append(f"its colour information is dropped: {error}")
            return None

    def say_pixel_shape(self, x: float, y: float) -> None:
        """Note pixels that are not square, where the file says their shape and no resolution."""
        if x > 0 and y > 0 and x != y:
            self.notes.append(
                f"its pixels are meant to be {y / x:.3g} times as wide as high, which the result "
                "does not say"
            )


_SIGNATURE = b"8BIM"
_IPTC_RESOURCE = 0x0404


def iptc_of_resources(data: bytes) -> bytes | None:
    """The IPTC records among Photoshop's image resources; records by themselves as they are."""
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
