"""The nodes ``ESC load`` and ``ESC upscale``."""

import logging
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
from torch import Tensor

import escsr
import escsr.models

_FOLDER = "upscale_models"
_STEPS = 1000  # what ComfyUI's bar is divided into


def _names() -> list[str]:
    """Embedded networks, published ones (fetched on first use), and the user's files."""
    own = [*escsr.models.ALIASES, *escsr.models.embedded(), *escsr.models.published()]
    return [*own, *folder_paths.get_filename_list(_FOLDER)]


def _path(model: str) -> str:
    """The file that a choice means, or the name as it is."""
    if model in folder_paths.get_filename_list(_FOLDER):
        return str(folder_paths.get_full_path(_FOLDER, model))
    return model


class ESCLoad:
    """A network by its name, or a weight file from ``models/upscale_models``."""

    DESCRIPTION = "Loads an ESC network. Published ones are downloaded on first use."
    CATEGORY = "image/upscaling"
    RETURN_TYPES = ("ESC_MODEL",)
    RETURN_NAMES = ("model",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """The list of models."""
        return {"required": {"model": (_names(), {"default": "default"})}}

    @classmethod
    def IS_CHANGED(cls, model: str) -> float:  # noqa: N802 - ComfyUI's name
        """When the file was last changed, so that a new one is loaded."""
        try:
            return escsr.models.locate(_path(model)).stat().st_mtime
        except FileNotFoundError:  # not fetched yet
            return 0.0

    def load(self, model: str) -> tuple[escsr.SuperResolver]:
        """Open the network, on the CPU; download it if need be."""
        bar = comfy.utils.ProgressBar(_STEPS)

        def told(done: int, total: int | None) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            if total:
                bar.update_absolute(done * _STEPS // total, _STEPS)

        return (escsr.load(escsr.models.fetch(_path(model), progress=told)),)


class ESCUpscale:
    """Pictures to exactly the size asked, whatever scale that is."""

    DESCRIPTION = (
        "Enlarges by a scale, or to an exact width and height; if one of them is 0, it follows. "
        "Pictures that do not fit in memory go through in exact bands, or in fast tiles."
    )
    CATEGORY = "image/upscaling"
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """A network, pictures, and the size to make."""
        side = {"default": 0, "min": 0, "max": 65536, "tooltip": "0: follows from the rest."}
        scale = {"default": 4.0, "min": 1.0, "max": 30.0, "step": 0.05, "round": False}
        return {
            "required": {
                "model": ("ESC_MODEL",),
                "image": ("IMAGE",),
                "scale": ("FLOAT", {**scale, "tooltip": "Unless width or height are given."}),
                "width": ("INT", side),
                "height": ("INT", side),
                "tiles": (["exact", "fast"],),
                "precision": (["fp32", "bf16", "fp16"],),
            }
        }

    def upscale(
        self,
        model: escsr.SuperResolver,
        image: Tensor,
        scale: float,
        width: int,
        height: int,
        tiles: str,
        precision: str,
    ) -> tuple[Tensor]:
        """Enlarge a batch.

        Args:
            model: Of ``ESC load``.
            image: (B, H, W, 3) in [0, 1].
            scale: Enlargement of both sides.
            width: Columns to make, or 0.
            height: Rows to make, or 0.
            tiles: What becomes of pictures that do not fit in memory: "exact" or "fast".
            precision: Of the arithmetic.

        Returns:
            (B, H_out, W_out, 3) in [0, 1].
        """
        if image.shape[-1] != 3:
            raise ValueError(
                f"ESC upscale takes RGB, not {image.shape[-1]} channels: split the image first"
            )
        device = comfy.model_management.get_torch_device()
        session = escsr.Upscaler.sharing(model, device=device, precision=precision, tiles=tiles)
        size = _size(scale, width, height)
        batch, rows, columns, _ = image.shape
        plan = session.plan((rows, columns), batch=batch, **size)
        comfy.model_management.free_memory(plan.memory, device)  # other models leave the device
        bar = comfy.utils.ProgressBar(_STEPS)
        try:
            result = session(
                image.movedim(-1, 1).clamp(0, 1),  # other nodes overshoot a little
                **size,
                progress=lambda share: bar.update_absolute(round(share * _STEPS), _STEPS),
                cancel=comfy.model_management.processing_interrupted,
                notify=lambda notice: logging.info("ESC upscale: %s", notice),
            )
        except escsr.Cancelled:
            comfy.model_management.throw_exception_if_processing_interrupted()
            raise
        return (result.movedim(1, -1).to(comfy.model_management.intermediate_device()),)


def _size(scale: float, width: int, height: int) -> dict[str, Any]:
    """The way to say a size that escsr knows."""
    if width and height:
        return {"size": (height, width)}
    if width:
        return {"width": width}
    return {"height": height} if height else {"scale": scale}


NODE_CLASS_MAPPINGS = {"ESCLoad": ESCLoad, "ESCUpscale": ESCUpscale}
NODE_DISPLAY_NAME_MAPPINGS = {"ESCLoad": "ESC load", "ESCUpscale": "ESC upscale"}
