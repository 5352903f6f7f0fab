"""Compiles a network's Triton kernels for an H100 on a machine without one; prints how many.

Run as a program of its own, since it tells PyTorch that there is such a device. It reaches into
PyTorch's compiler, so it is for the version that `test_sm90.py` names.
"""

import re
import sys
from types import SimpleNamespace
from typing import Any

import torch
import torch._dynamo.device_interface as devices
import torch._inductor.config
import triton
from torch._inductor.codecache import PyCodeCache
from torch._inductor.debug import DebugContext
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.graph import GraphLowering
from torch._inductor.runtime import triton_helpers
from torch._inductor.virtualized import V
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from triton.backends.compiler import GPUTarget

import escsr

H100 = SimpleNamespace(
    name="NVIDIA H100",
    major=9,
    minor=0,
    multi_processor_count=132,
    warp_size=32,
    max_threads_per_multi_processor=2048,
    regs_per_multiprocessor=65536,
    total_memory=80 << 30,
    shared_memory_per_block=49152,
    shared_memory_per_block_optin=232448,
    shared_memory_per_multiprocessor=233472,
    L2_cache_size=50 << 20,
    gcnArchName="",
)


class Driver:
    """What Triton asks of a driver before anything is launched."""

    launcher_cls = None

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cuda", 0)

    def get_device_interface(self) -> Any:
        return torch.cuda


def pretend() -> None:
    """Answer PyTorch's and Triton's questions about the device."""
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: 1
    torch.cuda.current_device = lambda: 0
    torch.cuda._lazy_init = lambda: None
    torch.cuda._get_device_properties = lambda device=None: H100
    torch.cuda.get_device_properties = lambda device=None: H100
    torch.cuda.get_device_capability = lambda device=None: (9, 0)
    devices.CudaInterface.Worker.get_device_properties = staticmethod(lambda device=None: H100)
    devices.CudaInterface.Worker.current_device = staticmethod(lambda: 0)
    devices.CudaInterface.get_compute_capability = staticmethod(lambda device=None: 90)
    devices.CudaInterface.is_triton_capable = staticmethod(lambda device=None: True)
    devices.CudaInterface.raise_if_triton_unavailable = staticmethod(lambda device=None: None)
    # Kernels of this launcher keep no assembly that could be looked at.
    torch._inductor.config.use_static_triton_launcher = False
    triton.runtime.driver.set_active(Driver())
    triton_helpers.set_driver_to_gpu = lambda: None


def main(backbone: str) -> None:
    """Trace, write kernels, compile them to machine code."""
    args = {"num_blocks": 1, "conv_blocks": 1, "window_size": 8}
    args |= {"bias_rank": 4} if backbone == "esc_rib" else {}
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake, torch.no_grad():
        with torch.device("cuda"):
            model = escsr.build(backbone, scale=2, backbone_args=args).eval()
        lq, weights = torch.rand(1, 3, 24, 32, device="cuda"), dict(model.named_parameters())

        def forward(weights: dict[str, torch.Tensor], lq: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(model, weights, (lq,))

        traced = make_fx(forward, decomposition_table=select_decomp_table())(weights, lq)
        pretend()
        inputs = [*weights.values(), lq]
        graph = GraphLowering(traced, example_inputs=inputs, is_inference=True)
        with V.set_graph_handler(graph), V.set_fake_mode(fake), DebugContext():
            graph.run(*inputs)
            code, _ = graph.codegen()
    found = re.findall(
        r"(triton_\w+) = async_compile\.triton\('\w+', '''(.*?)'''", code.value, re.S
    )
    for name, source in found:
        tuner = getattr(PyCodeCache.load(source), name)
        made = tuner._precompile_config(tuner.configs[0]).kernel.asm
        assert ".target sm_90" in made["ptx"]
        assert made["cubin"]
    print(len(found))


if __name__ == "__main__":
    main(sys.argv[1])
