"""``escsr upscale --plan``: the work that would be done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from escsr.cli.console import make_console

if TYPE_CHECKING:
    from escsr.inference.plans import Plan
    from escsr.picture_targets import PictureTask

# Side of the picture that is enlarged to estimate the time of others.
_SAMPLE = 96


def print_plans(tasks: "Sequence[PictureTask]", *, wanted: dict[str, Any], **options: Any) -> None:
    """Print a line for each file: sizes, method, memory, time.

    Args:
        tasks: The files; each is read.
        wanted: The size, as `escsr.upscale` takes it.
        options: Options of the session.

    Raises:
        OSError: If a file cannot be read.
        MemoryError: If a picture cannot be made to fit.
    """
    import numpy as np

    from escsr.images import read_image
    from escsr.inference.pictures import is_uniform
    from escsr.inference.upscaling import session_for

    session = session_for(options.pop("model"), **options)
    sample = np.zeros((_SAMPLE, _SAMPLE, 3), np.uint8)
    for _ in range(2):  # the first one warms up
        session(sample, notify=lambda text: None)
    console = make_console()
    for task in tasks:
        picture = read_image(task.source)
        plan = session.plan(
            picture.size, alpha=not is_uniform(picture.alpha), depth=picture.depth, **wanted
        )
        console.print(f"{task.source} → {task.target}: {_in_words(plan)}", soft_wrap=True)


def _in_words(plan: "Plan") -> str:
    (height, width), (high, wide) = plan.image_size, plan.size
    parts = [f"{width}×{height} → {wide}×{high} pixels"]
    if plan.network_size is None:
        parts.append("made by a filter, without the network")
    else:
        parts.append(str(plan.way))
    parts.append(f"about {plan.memory / 2**30:.2f} GiB of memory")
    if plan.passes and plan.seconds is not None:
        parts.append(f"about {_duration(plan.seconds)}")
    return "; ".join([*parts, *plan.notices])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0.1):.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
