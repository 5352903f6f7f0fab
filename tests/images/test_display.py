"""What travels with a picture: oracles are Pillow's readers, its EXIF and the bytes put in."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageCms

from escsr.images import Display, Picture, encode_image, read_image, write_image
from escsr.images._facts import iptc_of_resources, resources_of_iptc
from escsr.images._profiles import SRGB, SRGB_CURVE, make_profile, profile_of_codes

IPTC = b"\x1c\x02\x78\x00\x05hello\x1c\x02\x50\x00\x02me"
XMP = (
    b'<?xpacket?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" a="b"/></x:xmpmeta>'
)
PIXELS = np.arange(24 * 40 * 3, dtype=np.uint8).reshape(24, 40, 3)
FORMATS = (".png", ".jpg", ".webp", ".tif", ".avif")


def exif(order: str = "<", *, orientation: int = 6, thumbnail: bool = True) -> bytes:
    """EXIF as a camera writes it: a maker's note with a place in it, GPS, a thumbnail."""
    note = b"MAKER\0" + struct.pack(order + "I", 0xDEAD)
    gps = struct.pack(order + "HHHI4sI", 1, 1, 2, 2, b"N\0\0\0", 0)
    small = b"\xff\xd8thumbnail\xff\xd9"
    fields = [(0x010F, 2, 8, b"Kamera1\0"), (0x0112, 3, 1, struct.pack(order + "H", orientation))]
    fields += [(0x011A, 5, 1, struct.pack(order + "II", 240, 1))]
    fields += [(0x011B, 5, 1, struct.pack(order + "II", 240, 1))]
    fields += [(0x0128, 3, 1, struct.pack(order + "H", 2)), (0x8769, 4, 1, b"")]
    fields += [(0x8825, 4, 1, b"")]
    below = [(0x9000, 7, 4, b"0232"), (0x927C, 7, len(note), note)]
    below += [(0xA002, 3, 1, struct.pack(order + "H", 40))]
    below += [(0xA003, 4, 1, struct.pack(order + "I", 24))]
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    second = [(0x0201, 4, 1, b"here"), (0x0202, 4, 1, struct.pack(order + "I", len(small)))]

    def directory(entries: list, at: int, link: int, **places: int) -> bytes:
        table, values = struct.pack(order + "H", len(entries)), b""
        behind = at + 2 + 12 * len(entries) + 4
        for tag, kind, count, data in entries:
            place = places.get(f"at_{tag:x}")
            if place is not None:
                data = struct.pack(order + "I", place)
            elif len(data) > 4:
                values += data
                data = struct.pack(order + "I", behind + len(values) - len(data))
            table += struct.pack(order + "HHI", tag, kind, count) + data.ljust(4, b"\0")
        return table + struct.pack(order + "I", link) + values

    size = {"first": len(directory(fields, 8, 0)), "below": len(directory(below, 0, 0))}
    at_below = 8 + size["first"]
    at_gps = at_below + size["below"]
    at_second = at_gps + len(gps)
    at_small = at_second + 2 + 24 + 4
    data = start + directory(
        fields, 8, at_second if thumbnail else 0, at_8769=at_below, at_8825=at_gps
    )
    data += directory(below, at_below, 0) + gps
    return data + (directory(second, at_second, 0, at_201=at_small) + small if thumbnail else b"")


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunks(data: bytes) -> dict[bytes, bytes]:
    found, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found[kind] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def png(*added: tuple[bytes, bytes], gray: bool = False) -> bytes:
    """A small PNG with chunks before its pixels."""
    image = Image.fromarray(PIXELS[..., 0] if gray else PIXELS)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    parts = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in added
    )
    return buffer.getvalue()[:33] + parts + buffer.getvalue()[33:]


@pytest.fixture
def strict() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def full_display() -> Display:
    plain = read_image(jpeg_with_everything()).display
    return Display(icc=profile(), dpi=(240, 240), exif=plain.exif, xmp=plain.xmp, iptc=IPTC)


def jpeg_with_everything(order: str = "<") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(
        buffer, "jpeg", exif=b"Exif\0\0" + exif(order), xmp=XMP, dpi=(240, 240), quality=95
    )
    data = buffer.getvalue()
    irb = b"Photoshop 3.0\0" + resources_of_iptc(IPTC)
    return data[:2] + struct.pack(">HH", 0xFFED, 2 + len(irb)) + irb + data[2:]


# Reading


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_keeps_its_bits_but_for_orientation_and_thumbnail(strict, order):
    display = read_image(jpeg_with_everything(order)).display
    given, kept = exif(order), display.exif
    assert kept is not None
    where = given.index(struct.pack(order + "HHI", 0x0112, 3, 1)) + 8
    link = 8 + 2 + 12 * 7
    changed = {where, where + 1, *range(link, link + 4)}
    assert len(kept) == len(exif(order, thumbnail=False))
    assert {i for i in range(len(kept)) if kept[i] != given[i]} <= changed
    again = Image.Exif()
    again.load(kept)
    assert (again[0x0112], again[0x010F]) == (1, "Kamera1")
    assert again.get_ifd(0x8769)[0x927C].startswith(b"MAKER")
    assert b"thumbnail" not in kept
    assert display.dpi == (240, 240)
    assert display.iptc == IPTC
    assert display.xmp == XMP.replace(b'"6"', b'"1"')


def test_a_thumbnail_in_the_middle_is_blanked():
    data = exif()
    last = data + b"\1\2\3\4 a maker's note that lies behind"
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "png", exif=last)
    kept = read_image(buffer.getvalue()).display.exif
    assert len(kept) == len(last)
    assert b"thumbnail" not in kept
    assert kept.endswith(b"behind")


def test_thumbnails_in_xmp_are_removed():
    packet = b"<a><xmp:Thumbnails><rdf:Alt>AAAA</rdf:Alt></xmp:Thumbnails><b/></a>"
    made = encode_image(Picture(pixels=PIXELS, display=Display(xmp=packet)), ".png")
    assert read_image(made).display.xmp == b"<a><b/></a>"


def test_damaged_exif_is_told_and_left_out():
    with pytest.warns(UserWarning, match="EXIF is damaged"):
        assert read_image(png((b"eXIf", b"II*\0\xff\xff\0\0"))).display.exif is None


def test_damage_anywhere_in_exif_is_found_on_reading():
    """Every offset and count in it is spoilt in turn: read or told, and always written."""
    given = exif()
    left_out = 0
    for at in range(4, len(given) - 4, 4):
        spoilt = given[:at] + b"\xff\xff" + given[at + 2 :]
        with warnings.catch_warnings(record=True) as notices:
            warnings.simplefilter("always")
            picture = read_image(png((b"eXIf", spoilt)))
        assert (picture.display.exif is None) == any("EXIF" in str(n.message) for n in notices)
        left_out += picture.display.exif is None
        picture.display.sized((9, 9))
    assert 5 < left_out < len(given) // 8
    # A directory that says it lies in itself.
    pointer = given.index(struct.pack("<HHI", 0x8769, 4, 1))
    version = given.index(struct.pack("<HHI", 0x9000, 7, 4))
    loop = given[:version] + given[pointer : pointer + 12] + given[version + 12 :]
    with pytest.warns(UserWarning, match="EXIF is damaged"):
        read_image(png((b"eXIf", loop)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_resolution_is_the_files_or_none(strict, tmp_path, suffix):
    for dpi in ((300, 300), (72, 144), None):
        path = tmp_path / f"a{suffix}"
        Image.fromarray(PIXELS).save(path, **({"dpi": dpi} if dpi else {}))
        picture = read_image(path)
        assert picture.display.dpi == (None if dpi is None else pytest.approx(dpi, abs=0.02))
        for other in FORMATS:
            write_image(tmp_path / f"b{other}", picture)
            again = read_image(tmp_path / f"b{other}").display.dpi
            assert again == (None if dpi is None else pytest.approx(dpi, abs=0.02))
            with Image.open(tmp_path / f"b{other}") as image:
                if other in (".png", ".jpg", ".tif"):
                    assert image.info.get("dpi") == (again and pytest.approx(again, abs=0.02))


def test_pixels_that_are_not_square_are_told():
    with pytest.warns(UserWarning, match="2 times as wide"):
        read_image(png((b"pHYs", struct.pack(">IIB", 1, 2, 0))))


def test_gamma_and_primaries_become_a_profile(tmp_path):
    wide = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]
    data = png((b"gAMA", struct.pack(">I", 55556)), (b"cHRM", struct.pack(">8I", *wide)))
    picture = read_image(data)
    made = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
    # Display P3's red under D50, of Apple's profile.
    assert made.profile.red_colorant[0] == pytest.approx((0.5151, 0.2412, -0.0011), abs=2e-3)
    to_srgb = ImageCms.buildTransform(made, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    gray = ImageCms.applyTransform(Image.new("RGB", (1, 1), (128, 128, 128)), to_srgb)
    linear = (128 / 255) ** 1.8
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.asarray(gray)[0, 0] == pytest.approx([expected] * 3, abs=1.5)
    for suffix in FORMATS:  # it goes into every format
        assert read_image(encode_image(picture, suffix)).icc == picture.icc


def test_numbers_that_mean_srgb_make_no_profile(strict):
    srgb = [31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000]
    chrm = (b"cHRM", struct.pack(">8I", *srgb))
    assert read_image(png((b"gAMA", struct.pack(">I", 45455)), chrm)).icc is None
    assert read_image(png((b"gAMA", struct.pack(">I", 100000)), (b"sRGB", b"\0"))).icc is None
    assert make_profile(SRGB, SRGB_CURVE, gray=False) is None


def test_gray_gamma_is_a_gray_profile(tmp_path):
    picture = read_image(png((b"gAMA", struct.pack(">I", 100000)), gray=True))
    assert picture.icc[16:20] == b"GRAY"
    dark = Image.fromarray(PIXELS[..., 0])
    made = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
    shown = ImageCms.profileToProfile(dark, made, ImageCms.createProfile("sRGB"), outputMode="RGB")
    # WebP has no gray, so the numbers themselves become sRGB.
    written = read_image(encode_image(picture, ".webp", lossless=True))
    assert written.icc is None
    np.testing.assert_allclose(written.pixels, np.asarray(shown), atol=2)


@pytest.mark.parametrize(("codes", "told"), [((9, 16, 0, 1), "PQ"), ((9, 18, 0, 1), "HLG")])
def test_hdr_is_kept_or_told(strict, codes, told):
    picture = read_image(png((b"cICP", bytes(codes))))
    assert picture.display.cicp == codes
    assert chunks(encode_image(picture, ".png"))[b"cICP"] == bytes(codes)
    assert read_image(encode_image(picture, ".avif")).display.cicp == codes
    for suffix in (".jpg", ".webp", ".tif"):
        with pytest.warns(UserWarning, match=rf"HDR \({told}\).*PNG or AVIF"):
            encode_image(picture, suffix)


def test_impossible_code_points_are_told():
    with pytest.warns(UserWarning, match="cICP is impossible"):
        assert read_image(png((b"cICP", bytes((9, 16, 9, 1))))).display.cicp is None


def test_code_points_become_a_profile_where_one_can_say_them(strict):
    picture = read_image(png((b"cICP", bytes((12, 13, 0, 1)))))  # Display P3
    profile = read_image(encode_image(picture, ".jpg")).icc
    assert profile == profile_of_codes(12, 13, gray=False)
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    assert opened.green_colorant[0] == pytest.approx((0.2920, 0.6922, 0.0419), abs=2e-3)


def bmp(colours: bytes, profile: bytes = b"") -> bytes:
    """A BMP with a header of version 5; ``colours`` from bV5CSType on, 68 bytes."""
    pixels = np.zeros((2, 4, 3), np.uint8).tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, 4, 2, 1, 24, 0, len(pixels), 11811, 11811, 0, 0)
    body = head + bytes(16) + colours.ljust(68, b"\0")
    start = 14 + len(body)
    whole = start + len(pixels) + len(profile)
    return struct.pack("<2sIHHI", b"BM", whole, 0, 0, start) + body + pixels + profile


def test_profile_and_resolution_of_bmp(strict):
    given = profile()
    tail = struct.pack("<II", 124 + 24, len(given))
    colours = b"DEBM" + bytes(36 + 12) + struct.pack("<I", 4) + tail
    picture = read_image(bmp(colours, given))
    assert picture.icc == given
    assert picture.display.dpi == pytest.approx((300, 300), abs=0.01)
    assert read_image(bmp(b"BGRs")).icc is None
    # Adobe RGB (1998), by corners of the gamut and powers.
    xyz = [0.5767, 0.2973, 0.0270, 0.1856, 0.6274, 0.0707, 0.1882, 0.0753, 0.9911]
    corners = struct.pack("<9I", *(round(v * 2**30) for v in xyz))
    made = read_image(bmp(bytes(4) + corners + struct.pack("<3I", *[round(2.2 * 65536)] * 3))).icc
    opened = ImageCms.ImageCmsProfile(io.BytesIO(made)).profile
    assert opened.red_colorant[0] == pytest.approx((0.6097, 0.3111, 0.0195), abs=3e-3)


def test_animated_png_is_told():
    control = struct.pack(">IIIIIHHBB", 0, 40, 24, 0, 0, 1, 10, 0, 0)
    data = png((b"acTL", struct.pack(">II", 3, 0)), (b"fcTL", control))
    with pytest.warns(UserWarning, match="first of its 3 pages"):
        assert np.array_equal(read_image(data).pixels, PIXELS)


def test_avif_sequence_is_read_and_told(tmp_path):
    frames = [Image.new("RGB", (32, 32), (v, v, v)) for v in (40, 200)]
    frames[0].save(tmp_path / "s.avif", save_all=True, append_images=frames[1:], duration=100)
    assert (tmp_path / "s.avif").read_bytes()[4:12] == b"ftypavis"
    with pytest.warns(UserWarning, match="first of its frames"):
        assert abs(int(read_image(tmp_path / "s.avif").pixels[8, 8, 0]) - 40) < 4


def test_8_bit_lab_is_called_what_it_is(tmp_path):
    Image.fromarray(PIXELS, "RGB").save(tmp_path / "rgb.tif")
    Image.frombytes("LAB", (40, 24), PIXELS.tobytes()).save(tmp_path / "lab.tif")
    with pytest.raises(ValueError, match=r"lab\.tif: a TIFF of 8-bit CIE Lab"):
        read_image(tmp_path / "lab.tif")


# Writing


@pytest.mark.parametrize("suffix", FORMATS)
def test_sizes_in_exif_follow_the_picture(suffix):
    large = np.zeros((100, 70000 if suffix in (".png", ".tif") else 9000, 3), np.uint8)
    display = Display(exif=full_display().exif)
    data = encode_image(Picture(pixels=large, display=display), suffix)
    kept = Image.Exif()
    kept.load(read_image(data).display.exif)
    below = kept.get_ifd(0x8769)
    assert (below[0xA002], below[0xA003]) == (large.shape[1], 100)


@pytest.mark.parametrize("suffix", FORMATS)
def test_metadata_can_be_left_out(strict, suffix):
    picture = Picture(pixels=PIXELS, display=full_display())
    bare = encode_image(picture, suffix, strip_metadata=True)
    for word in (b"Kamera1", b"xmpmeta", b"hello"):
        assert word not in bare
    display = read_image(bare).display
    assert display.icc == picture.icc
    assert display.dpi == pytest.approx((240, 240), abs=0.01)
    assert (display.xmp, display.iptc) == (None, None)


def test_what_is_too_long_for_jpeg_is_told():
    long = Display(xmp=b"<x>" + b"a" * 70000 + b"</x>")
    with pytest.warns(UserWarning, match="XMP of more than 64 kB"):
        data = encode_image(Picture(pixels=PIXELS, display=long), ".jpg")
    assert read_image(data).display.xmp is None


def test_iptc_among_other_resources():
    other = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 5) + b"small\0"
    named = b"8BIM\x03\xed\x03abc" + struct.pack(">I", 2) + b"xy"
    assert iptc_of_resources(other + named + resources_of_iptc(IPTC)) == IPTC
    assert iptc_of_resources(IPTC) == IPTC
    assert iptc_of_resources(other) is None


def test_displays_that_cannot_be():
    with pytest.raises(ValueError, match="dpi"):
        Display(dpi=(0, 72))
    with pytest.raises(ValueError, match="cicp"):
        Display(cicp=(9, 16, 0))
    with pytest.raises(ValueError, match="exif"):
        Display(exif=b"Exif\0\0II*\0")
