"""Whether the trackers that a recipe names are available."""

from collections.abc import Sequence
from importlib.util import find_spec


def tracker_problems(names: Sequence[str]) -> list[str]:
    """Reasons why trackers cannot be used, one line each."""
    if not names:
        return []
    if find_spec("accelerate") is None:
        return ["trackers: they need accelerate: pip install 'escsr[train]'"]
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    here = {str(getattr(name, "value", name)) for name in get_available_trackers()}
    problems = []
    for name in names:
        if name == "tensorboard":
            problems.append("trackers: TensorBoard has its own switch, tensorboard=true")
        elif name not in LOGGER_TYPE_TO_CLASS:
            known = ", ".join(sorted(set(LOGGER_TYPE_TO_CLASS) - {"tensorboard"}))
            problems.append(f"trackers: {name!r} is unknown to accelerate; it knows: {known}")
        elif name not in here:
            problems.append(f"trackers: {name} is not installed: pip install {name}")
    return problems
