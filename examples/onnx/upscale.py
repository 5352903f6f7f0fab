"""A picture through an exported file: python upscale.py model.onnx in.png out.png."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
pixels = np.asarray(Image.open(sys.argv[2]).convert("RGB"), dtype=np.float32) / 255
lq = pixels.transpose(2, 0, 1)[None]  # (1, 3, H, W)
(sr,) = session.run(None, {"input": lq})
result = (sr[0].transpose(1, 2, 0).clip(0, 1) * 255 + 0.5).astype(np.uint8)
Image.fromarray(result).save(sys.argv[3])
