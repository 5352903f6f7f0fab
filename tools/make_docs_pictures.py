"""Make the pictures of README and docs from ``examples/photo.jpg``: bicubic beside escsr."""

from pathlib import Path

import numpy as np

import escsr
from escsr.images import Picture, read_image, write_image
from escsr.resize import imresize

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "docs" / "assets"
SCALE = 4
# Top, left, height and width in the enlarged photo: lettering and small things.
CROP = (560, 540, 300, 480)


def main() -> None:
    """Write the three pictures."""
    photo = read_image(ROOT / "examples" / "photo.jpg")
    bicubic = imresize(photo.pixels, scale=SCALE, round_between=False)
    ours = escsr.upscale(photo, scale=SCALE).pixels
    top, left, height, width = CROP
    crops = [picture[top : top + height, left : left + width] for picture in (bicubic, ours)]
    gap = np.full((height, 12, 3), 255, np.uint8)
    ASSETS.mkdir(exist_ok=True)
    named = {
        "quickstart_bicubic": crops[0],
        "quickstart_escsr": crops[1],
        "before_after": np.hstack([crops[0], gap, crops[1]]),
    }
    for name, pixels in named.items():
        write_image(ASSETS / f"{name}.jpg", Picture(pixels=pixels))
        print(ASSETS / f"{name}.jpg")


if __name__ == "__main__":
    main()
