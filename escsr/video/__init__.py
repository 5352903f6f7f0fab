"""Videos and folders of frames, frame by frame in constant memory (extra ``video``: PyAV)."""

from escsr.video.encoding import EncoderOptions
from escsr.video.upscaling import upscale_video

__all__ = ["EncoderOptions", "upscale_video"]
