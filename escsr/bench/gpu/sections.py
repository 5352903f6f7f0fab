"""The machine, heads, pictures from file to file, training, and other programs' networks."""

import platform
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from escsr.bench.gpu.plan import Plan, Work
from escsr.bench.gpu.record import Record
from escsr.bench.gpu.timing import arithmetic, copy_rate, matrix_rate, peak_memory, timed
from escsr.bench.gpu.variants import make_network
from escsr.build import build, list_heads, load
from escsr.heads import HEADS
from escsr.heads.base import query_heads
from escsr.images import Picture, encode_image
from escsr.inference import Upscaler
from escsr.model import SuperResolver
from escsr.scripts import run_script


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Names and versions."""
    about: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device.type,
        "name": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        about |= {
            "name": found.name,
            "capability": f"{found.major}.{found.minor}",
            "memory_gib": found.total_memory / 2**30,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    return about


def measure_rates(record: Record, plan: Plan, device: torch.device) -> None:
    """The machine's peak rates."""
    for precision in ("fp32", "tf32", "bf16", "fp16"):
        rate = partial(matrix_rate, device, precision, plan.matrix)
        record.measure("rates", {"what": "matrix product", "precision": precision}, rate)
    for what in ("device", "to", "to, pinned", "from"):
        rate = partial(copy_rate, device, what, plan.copied)
        record.measure("rates", {"what": "copy", "precision": what}, rate)


def measure_heads(record: Record, plan: Plan, device: torch.device) -> None:
    """Heads alone, ×4."""
    for precision in ("fp32", "bf16"):
        for name in list_heads():
            about = {"head": name, "precision": precision}
            record.measure("heads", about, partial(_head, name, precision, plan, device))


def _head(name: str, precision: str, plan: Plan, device: torch.device) -> dict[str, Any]:
    torch.manual_seed(0)
    scale = 1 if name == "conv" else 4
    args = {} if name in query_heads() or name == "conv" else {"scale": scale}
    head = HEADS.get(name)(64, **args).eval().to(device)
    height, width = plan.heads_size
    features = torch.randn(1, 64, height, width, device=device)
    lq = torch.rand(1, 3, height, width, device=device)
    with torch.inference_mode(), arithmetic(device, precision):
        call = partial(head, features, lq, (scale * height, scale * width))
        return timed(call, device, seconds=plan.seconds)


def measure_end_to_end(record: Record, plan: Plan, device: torch.device) -> None:
    """A photo through `Upscaler`: from array to array, and from file to file."""
    for precision in ("bf16", "fp32"):
        for name in ("default", *plan.networks[:2]):
            for what in ("array", "png"):
                about = {"network": name, "precision": precision, "what": what}
                call = partial(_photo, name, precision, what, plan, device)
                record.measure("end_to_end", about, call)


def _photo(
    name: str, precision: str, what: str, plan: Plan, device: torch.device
) -> dict[str, Any]:
    height, width = plan.photo
    model = "default" if name == "default" else make_network(name, plan, Work(2, 1, 1), device)
    session = Upscaler(model, device=device, precision=precision)
    smooth = np.random.default_rng(0).normal(0, 3, (height, width, 3)).cumsum(0).cumsum(1)
    pixels = np.asarray(np.clip(128 + smooth / 8, 0, 255), dtype=np.uint8)
    given = pixels if what == "array" else encode_image(Picture(pixels=pixels))
    call = partial(session, given, scale=2, notify=lambda _text: None)
    found = timed(call, device, seconds=plan.seconds, least=2)
    return {**found, "megapixels_per_s": 4 * height * width / found["ms"] / 1e3}


def measure_training(record: Record, plan: Plan, device: torch.device) -> None:
    """Steps of Adam."""
    for batch in plan.batches:
        for precision in ("bf16", "tf32", "fp32"):
            for name in plan.trained:
                about = {"network": name, "precision": precision, "batch": batch}
                call = partial(_steps, name, precision, batch, plan, device)
                record.measure("training", about, call)


def _steps(
    name: str, precision: str, batch: int, plan: Plan, device: torch.device
) -> dict[str, Any]:
    if name == "default":
        model = load("default")
    else:
        model = build(name, scale=4, backbone_args=plan.backbone_args)
    model = model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    lq = torch.rand(batch, 3, plan.crop, plan.crop, device=device)
    size = (4 * plan.crop, 4 * plan.crop)
    gt = torch.rand(batch, 3, *size, device=device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with arithmetic(device, precision):
            loss = (model(lq, size=size) - gt).abs().mean()
        torch.autograd.backward(loss)
        optimizer.step()

    found = timed(step, device, seconds=2 * plan.seconds)
    return {**found, "steps_per_s": 1e3 / found["ms"]}


# ---------------------------------------------------------------------------- others


def find_rival(named: str) -> Callable[..., Any]:
    """The function that ``FILE.py:function`` names.

    Raises:
        ValueError: If it names none.
        FileNotFoundError: If there is no such file.
    """
    file, _, name = named.rpartition(":")
    if not file or not name.isidentifier():
        raise ValueError(f"--against takes FILE.py:function, not {named!r}")
    if not Path(file).is_file():
        raise FileNotFoundError(f"--against names {file}, which is no file")
    function = getattr(run_script(Path(file)), name, None)
    if not callable(function):
        raise ValueError(f"{file} has no function {name!r}")
    made: Callable[..., Any] = function
    return made


def measure_rival(record: Record, plan: Plan, device: torch.device, named: str) -> None:
    """Time another program's networks and ours, with the same weights where we know theirs."""
    make = find_rival(named)
    for name in plan.networks:
        for work in plan.works:
            for precision in ("fp32", "bf16"):
                about = {"network": name, **work._asdict(), "precision": precision}
                call = partial(_beside, make, name, work, precision, plan, device)
                record.measure("against", about, call)


def _beside(
    make: Callable[..., Any],
    name: str,
    work: Work,
    precision: str,
    plan: Plan,
    device: torch.device,
) -> dict[str, Any]:
    rival = make(name, work.scale, device)
    if rival is None:
        return {"note": "the other program has no such network"}
    ours = _with_weights_of(rival) if isinstance(rival, nn.Module) else None
    same = ours is not None
    ours = make_network(name, plan, work, device) if ours is None else ours.to(device)
    generator = torch.Generator().manual_seed(0)
    lq = torch.rand(1, 3, work.height, work.width, generator=generator).to(device)
    found: dict[str, Any] = {"same_weights": same}
    results: list[Tensor] = []
    with torch.inference_mode(), arithmetic(device, precision):
        for who, call in (("theirs", partial(rival, lq)), ("ours", partial(ours, lq))):
            with peak_memory(device) as peak:
                results.append(call().float())
                found[who] = timed(call, device, seconds=2 * plan.seconds)
            found[who]["peak_mib"] = peak[0]
    found["times_as_fast"] = found["theirs"]["ms"] / found["ours"]["ms"]
    if same:
        found["difference"] = float((results[0] - results[1]).abs().max())
    return found


def _with_weights_of(rival: nn.Module) -> SuperResolver | None:
    """Our network with its weights; None where we do not know them."""
    rival.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rival.pth"
        torch.save({name: t.cpu() for name, t in rival.state_dict().items()}, path)
        try:
            return load(path).eval()
        except ValueError:
            return None
