"""ONNX Runtime instead of PyTorch: `engine="onnx"`, and files from `escsr export`."""

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args

import torch
from torch import Tensor

from escsr.build import build_from_config
from escsr.inference.attempts import NotFiniteError, is_finite
from escsr.layers import WindowAttention
from escsr.model import ModelConfig, SuperResolver
from escsr.names import unknown_name

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Engine = Literal["torch", "onnx"]
"""The library that computes: PyTorch or ONNX Runtime."""

_PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
# Default providers, in this order if installed: those that need no compilation.
_DEFAULT = ("cuda", "directml", "cpu")
# Attention scores that exist at once, before and after the softmax.
_COPIES = 3


def check_engine(
    engine: str, precision: str, device: object, providers: Sequence[str] | None
) -> None:
    """Check that an engine exists and supports the other options.

    Raises:
        ValueError: If not.
    """
    if engine not in get_args(Engine):
        raise ValueError(f"engine must be one of {', '.join(get_args(Engine))}, not {engine!r}")
    if engine == "torch" and providers:
        raise ValueError("providers are those of engine='onnx'; engine='torch' has a device")
    if engine == "onnx" and str(device) not in ("auto", "cpu"):
        raise ValueError(
            f"engine='onnx' computes with providers (\"cuda\", …) and not on the device {device}"
        )
    if engine == "onnx" and precision not in ("fp32", "fp16"):
        raise ValueError(f"engine='onnx' computes in fp32 or fp16, not in {precision}")


def pick_providers(names: Sequence[str] | None) -> list[str]:
    """The execution providers to use, by ONNX Runtime's own names.

    Args:
        names: "cuda", "directml", "coreml", "openvino", "tensorrt", "cpu", or ONNX Runtime's own
            names; None uses the first of CUDA, DirectML and the CPU that is installed.

    Raises:
        ValueError: If one is unknown or not installed.
        ModuleNotFoundError: If ONNX Runtime is not installed.
    """
    there = _runtime().get_available_providers()
    if not names:
        return [_PROVIDERS[name] for name in _DEFAULT if _PROVIDERS[name] in there]
    found = []
    for name in names:
        provider = _PROVIDERS.get(name.lower(), name)
        if provider not in _PROVIDERS.values():
            raise ValueError(unknown_name("provider", name, list(_PROVIDERS)))
        if provider not in there:
            own = {value: key for key, value in _PROVIDERS.items()}
            installed = ", ".join(own.get(p, p) for p in there)
            raise ValueError(
                f"the provider {name!r} is not in the ONNX Runtime that is installed, which has: "
                f"{installed}"
            )
        found.append(provider)
    return found


def is_onnx(model: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a model is an ONNX file."""
    return isinstance(model, str | os.PathLike) and Path(model).suffix.lower() == ".onnx"


class OnnxEngine:
    """A network that is run by ONNX Runtime.

    Args:
        session_for: Returns a session for a whole scale (None: for any size), and whether it takes
            the size as an input.
        network: The network.
        scale: Its fixed scale, or None if it supports any.
        has_weights: Whether the network has its weights, so that PyTorch can compute pictures that
            do not fit in parts.
    """

    def __init__(
        self,
        session_for: Callable[[int | None], tuple["InferenceSession", bool]],
        network: SuperResolver,
        *,
        scale: float | None,
        has_weights: bool,
    ) -> None:
        self.network, self.scale, self.has_weights = network, scale, has_weights
        self._session_for = session_for
        self._lock = threading.Lock()
        self._sessions: dict[int | None, tuple[InferenceSession, bool]] = {}

    @classmethod
    def of_network(
        cls, network: SuperResolver, *, precision: str, providers: Sequence[str] | None
    ) -> "OnnxEngine":
        """Engine for a network with weights, exported when a scale is first requested.

        Raises:
            ValueError: If the network cannot be written as ONNX.
        """
        from escsr.export.graphs import Options, make_onnx
        from escsr.export.onnx_file import open_session

        chosen = pick_providers(providers)

        def session_for(scale: int | None) -> tuple["InferenceSession", bool]:
            made = None if network.scale is not None else scale
            proto = make_onnx(network, Options(scale=made, half=precision == "fp16"), {})
            session = open_session(proto.SerializeToString(), chosen)
            return session, network.scale is None and scale is None

        return cls(session_for, network, scale=network.scale, has_weights=True)

    @classmethod
    def of_file(
        cls, path: str | os.PathLike[str], providers: Sequence[str] | None = None
    ) -> "OnnxEngine":
        """Engine for a file from `escsr export` for pictures of any size.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is any other file.
        """
        from escsr.export.onnx_file import open_session

        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {str(path)!r}")
        session = open_session(path, pick_providers(providers))
        facts = session.get_modelmeta().custom_metadata_map
        inputs = [given.name for given in session.get_inputs()]
        if "config" not in facts or inputs not in (["input"], ["input", "size"]):
            raise ValueError(
                f"{path} was not written by 'escsr export' as one file: open it with ONNX Runtime "
                "itself, or export the network anew"
            )
        if facts["alignment"] != "any sides from 1":
            raise ValueError(
                f"{path} takes {facts['alignment']} only: export the network for 'generic' "
                "instead, which takes any"
            )
        network = build_from_config(ModelConfig(**json.loads(facts["config"]))).eval()
        network.trained = facts["trained"] == "yes"
        any_size = "size" in inputs
        scale = None if any_size else int(facts["scale"])
        return cls(lambda _: (session, any_size), network, scale=scale, has_weights=False)

    def __call__(self, lq: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Enlarge pictures.

        Args:
            lq: (B, 3, H, W).
            size: (H_out, W_out).

        Returns:
            (B, 3, H_out, W_out), float32, on the CPU.

        Raises:
            MemoryError: If memory ran out and the picture can be computed in parts.
            ValueError: If ONNX Runtime fails otherwise, or the result is not finite.
        """
        scale = whole_scale(lq.shape[-2:], size)
        session, takes_size = self._session(scale)
        fed = {"input": lq.float().cpu().contiguous().numpy()}
        if takes_size:
            fed["size"] = torch.tensor(size, dtype=torch.int64).numpy()
        one_by_one = session.get_inputs()[0].shape[0] == 1
        parts = fed["input"][:, None] if one_by_one else [fed["input"]]
        try:
            made = [session.run(None, {**fed, "input": part})[0] for part in parts]
        except Exception as error:  # ONNX Runtime has its own exception classes
            if "allocate" in str(error) and (self.has_weights or scale is not None):
                raise MemoryError(str(error)) from error
            raise ValueError(f"ONNX Runtime could not make the picture: {error}") from error
        sr = torch.cat([torch.from_numpy(part) for part in made])
        if not self.has_weights and not is_finite(sr):
            raise NotFiniteError("the result of the file is not finite; try one in fp32")
        return sr

    def _session(self, scale: int | None) -> tuple["InferenceSession", bool]:
        with self._lock:
            if scale not in self._sessions:
                self._sessions[scale] = self._session_for(scale)
            return self._sessions[scale]

    def memory_beyond(self, height: int, width: int) -> int:
        """Bytes that ONNX Runtime needs beyond PyTorch, as it keeps the scores of all windows."""
        from escsr.export.layers import queries_at_once

        stride = self.network.backbone.stride
        most = 0
        for layer in self.network.modules():
            if isinstance(layer, WindowAttention):
                m = layer.window_size
                windows = -(-height // (m * stride)) * -(-width // (m * stride))
                one = queries_at_once(m, layer.num_heads) * m * m * layer.num_heads * 4
                most = max(most, windows * one * _COPIES)
        return most


def whole_scale(image_size: Sequence[int], size: tuple[int, int]) -> int | None:
    """The whole scale between two sizes, if there is one."""
    scale = size[0] // image_size[0]
    exact = size == (scale * image_size[0], scale * image_size[1])
    return scale if exact and scale else None


def _runtime() -> Any:
    import onnxruntime

    import escsr.export  # noqa: F401  (says what to install)

    return onnxruntime
