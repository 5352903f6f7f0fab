"""Validation during training: held-out photos, cut to their centres."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from escsr.data import list_images
from escsr.data.folder import to_tensor
from escsr.evaluation import psnr_y
from escsr.images import read_rgb
from escsr.resize import imresize


class CropValidation:
    """PSNR-Y of a network, and of bicubic enlargement, on the centres of held-out photos.

    A figure to follow a run by; for figures to be compared with papers use
    `escsr.evaluation.evaluate`. The small pictures are MATLAB's bicubic of the centre crops,
    ``scale`` pixels on each side do not count, and PSNR is averaged over the photos.

    Args:
        roots: Folders of photos.
        scale: Integer factor, at least 1.
        crop: Side of the centre crop in pixels of the photo; rounded down to a multiple of
            ``scale``. Smaller photos are taken as they are.
        count: How many photos, the last ones by name; None: all of them.
        include: Glob patterns of file names to take.
        exclude: Glob patterns of file names to leave out.

    Raises:
        FileNotFoundError: If a root is missing, or no photo is left.
        ValueError: If a number is out of range.
    """

    figures = ("psnr_y", "bicubic_psnr_y")
    """Names of the figures that a call returns."""

    def __init__(
        self,
        *,
        roots: Sequence[str | Path],
        scale: int,
        crop: int = 256,
        count: int | None = 8,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
    ) -> None:
        if scale < 1 or crop < 8 * scale:
            raise ValueError(
                f"scale must be at least 1 and crop at least 8 x scale, got scale {scale}, "
                f"crop {crop}"
            )
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        self.scale = scale
        self.crop = crop // scale * scale
        self.paths = list_images(roots, include=include, exclude=exclude)[-(count or 0) :]
        if not self.paths:
            raise FileNotFoundError(
                f"no photo to validate on in {', '.join(map(str, roots))} "
                f"(include {list(include)}, exclude {list(exclude)})"
            )
        self._pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
        self._bicubic = 0.0

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Enlarge every crop; the network must be in eval mode and is left as it is.

        Args:
            model: Called as ``model(lq, size=(H, W))`` with one picture at a time.

        Returns:
            ``psnr_y`` and ``bicubic_psnr_y``, in dB.
        """
        if not self._pairs:
            self._read()
        device = next(model.parameters()).device
        scores = []
        with torch.no_grad():
            for lq, gt in self._pairs:
                sr = model(to_tensor(lq)[None].to(device), size=gt.shape[:2])[0]
                scores.append(psnr_y(_to_picture(sr.float().cpu().numpy()), gt, crop=self.scale))
        return {"psnr_y": float(np.mean(scores)), "bicubic_psnr_y": self._bicubic}

    def _read(self) -> None:
        """Decode the photos once, cut and shrink them, and score the baseline."""
        scores = []
        for path in self.paths:
            photo = read_rgb(path)
            height, width = (min(self.crop, n // self.scale * self.scale) for n in photo.shape[:2])
            top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
            gt = photo[top : top + height, left : left + width].copy()
            lq = imresize(gt, size=(height // self.scale, width // self.scale))
            large = imresize(lq.astype(np.float64) / 255, size=(height, width))
            scores.append(psnr_y(_to_picture(large.transpose(2, 0, 1)), gt, crop=self.scale))
            self._pairs.append((lq, gt))
        self._bicubic = float(np.mean(scores))


def _to_picture(chw: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round (3, H, W) in [0, 1] to (H, W, 3) uint8."""
    picture: NDArray[np.uint8] = np.rint(np.clip(chw, 0, 1) * 255).astype(np.uint8)
    return picture.transpose(1, 2, 0)
