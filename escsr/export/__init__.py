"""Networks as files for other programs: ONNX, ncnn, and programs of PyTorch."""

try:
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"escsr.export needs {error.name}, which is not installed: pip install 'escsr[export]'",
        name=error.name,
    ) from None

from escsr.export.keeping import Exported
from escsr.export.ncnn_file import to_ncnn
from escsr.export.networks import write_backbone, write_head
from escsr.export.onnx_file import to_onnx, to_onnx_parts
from escsr.export.pt2_file import to_pt2

__all__ = [
    "Exported",
    "to_ncnn",
    "to_onnx",
    "to_onnx_parts",
    "to_pt2",
    "write_backbone",
    "write_head",
]
