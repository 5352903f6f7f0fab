"""``escsr doctor``: what this machine can run, and why not more."""

import platform
from importlib import import_module, metadata

import typer

from escsr.cli.info import is_foreign, list_parts, registries, show_left_out

_SHOWN = (
    *("torch", "torchvision", "numpy", "scipy", "opencv-python-headless", "opencv-python"),
    *("pyvips", "pyvips-binary", "timm", "albumentations", "accelerate", "pyiqa"),
)
# The purpose of each extra, and its packages.
_EXTRAS = {
    "train": (
        "several processes, TensorBoard, VGG features, transforms of albumentations",
        ("timm", "torchvision", "albumentations", "accelerate", "tensorboard"),
    ),
    "metrics": ("metrics of pyiqa", ("pyiqa", "torchvision")),
    "hub": ("weights from hf:// addresses", ("huggingface_hub",)),
    "app": ("the page of escsr app", ("gradio",)),
    "video": ("damage by video codecs", ("av",)),
}
_TRIED = (768, 1024)
"""Height and width for which memory is estimated."""


def doctor() -> None:
    """Show what this machine can run, and what is missing; ready to paste into an issue."""
    from escsr.version import __version__

    typer.echo(f"escsr {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for line in (*_machine(), *_largest(), *_extras(), _fetched()):
        typer.echo(line)
    typer.echo(", ".join(f"{name} {_version(name) or '-'}" for name in _SHOWN))
    for registry in registries():
        for entry in filter(is_foreign, list_parts(registry)):
            typer.echo(f"plug-in: {registry.kind} {entry['name']} of {entry['package']}")
    show_left_out()


def _machine() -> list[str]:
    import psutil
    import torch

    from escsr.inference import pick_device

    memory = psutil.virtual_memory()
    lines = [
        f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free, "
        f"{torch.get_num_threads()} threads, CPU {torch.backends.cpu.get_cpu_capability()}"
    ]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        half = "" if torch.cuda.is_bf16_supported() else ", no bf16"
        lines.append(
            f"cuda:{index}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free{half}"
        )
    if not torch.cuda.is_available():
        lines.append(f"cuda: not available ({_why_no_cuda()})")
    return [*lines, f"device 'auto' means: {pick_device('auto')}"]


def _why_no_cuda() -> str:
    import torch

    if torch.version.cuda is None:
        return "this PyTorch is a build without CUDA"
    try:
        torch.cuda.current_device()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0].split(". ")[0].rstrip(".")
        return f"PyTorch is built for CUDA {torch.version.cuda}: {reason}"
    return f"PyTorch is built for CUDA {torch.version.cuda}"


def _largest() -> list[str]:
    """The largest photo that the default model can enlarge; memory grows with the pixels."""
    from escsr.build import load
    from escsr.inference import pick_device
    from escsr.inference.memory import estimate_memory, free_memory

    free = free_memory(pick_device("auto"))
    if free is None:
        return []
    height, width = _TRIED
    needed = estimate_memory(load("default"), height, width, (4 * height, 4 * width))
    side = (free / needed) ** 0.5
    megapixels = side * side * height * width / 1e6
    return [
        f"largest photo at x4 by the default model: about {megapixels:.1f} megapixels, "
        f"{round(side * width, -1):.0f}x{round(side * height, -1):.0f} (larger ones are refused)"
    ]


def _extras() -> list[str]:
    lines = []
    for extra, (purpose, packages) in _EXTRAS.items():
        missing = [name for name in packages if _version(name) is None]
        if missing:
            state = f"no: {', '.join(missing)} not installed (pip install 'escsr[{extra}]')"
        elif "torchvision" in packages and (reason := _why_no_torchvision()):
            state = f"no: {reason}"
        else:
            state = "yes"
        lines.append(f"{purpose}: {state}")
    return lines


def _fetched() -> str:
    """The published weights on this machine, their folder, and whether more may be fetched."""
    from escsr.models import published
    from escsr.models.keeping import cache_folder
    from escsr.models.locating import why_not

    folder = cache_folder()
    here = sum((folder / entry.file).is_file() for entry in published().values())
    forbidden = why_not()
    end = f"; none are fetched: {forbidden}" if forbidden else ""
    return f"published weights: {here} of {len(published())} in {folder}{end}"


def _why_no_torchvision() -> str | None:
    """Report a torchvision built for another torch, which fails when imported."""
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:
        return f"torchvision does not work with this torch ({error}): install both together"
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
