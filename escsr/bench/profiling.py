"""The time of a pass through a network, by operation."""

from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from escsr.bench.networks import Setup, train_step
from escsr.build import build
from escsr.model import SuperResolver


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An operation of PyTorch and its share of a pass.

    Attributes:
        operation: Its name, e.g. "aten::convolution_backward".
        shapes: Shapes of its tensors, the largest cost of that name first, e.g.
            "16×8×32×32, 8×8×13×13".
        share: Share of the time of the whole pass, in all its calls and shapes, 0 to 1.
    """

    operation: str
    shapes: str
    share: float


def costs(setup: Setup, *, training: bool = False, count: int = 3) -> list[Cost]:
    """Profile one pass, after one that warms up.

    Args:
        setup: What runs; ``repeats`` is not used.
        training: A forward and backward pass instead of inference.
        count: Number of operations to list, the costliest first.

    Returns:
        The operations, by their time without that of operations inside them.

    Example:
        >>> [cost.operation for cost in costs(Setup(backbone="esc_tiny"), training=True)]
        ['aten::convolution_backward', 'aten::mkldnn_convolution', 'aten::bmm']
    """
    torch.set_num_threads(setup.threads)
    device = torch.device(setup.device)
    model = build(setup.backbone, scale=setup.scale).train(training).to(device)
    lq = torch.rand(setup.batch, 3, setup.height, setup.width).to(device)
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    passing = train_step if training else SuperResolver.__call__
    with torch.inference_mode(not training):
        passing(model, lq)
        with profile(activities=activities, record_shapes=True) as found:
            passing(model, lq)
    attribute = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    times: dict[str, float] = {}
    shapes: dict[str, tuple[float, str]] = {}
    for event in found.key_averages(group_by_input_shape=True):
        time = float(getattr(event, attribute))
        times[event.key] = times.get(event.key, 0.0) + time
        named = ", ".join("×".join(map(str, shape)) for shape in event.input_shapes if shape)
        shapes[event.key] = max(shapes.get(event.key, (0.0, "")), (time, named))
    whole = sum(times.values())
    worst = sorted(times, key=lambda key: times[key], reverse=True)[:count]
    return [
        Cost(operation=key, shapes=shapes[key][1], share=times[key] / max(whole, 1e-9))
        for key in worst
    ]
