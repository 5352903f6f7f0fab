"""The authors' networks: what a download would bring, and bringing it."""

import functools
import logging
from urllib.parse import urlsplit

from escsr.app.jobs import Job
from escsr.app.words import RefusedError, amount
from escsr.build import build
from escsr.models import NotFetchedError, fetch, locate, published

_log = logging.getLogger("escsr.app")


def choices() -> list[tuple[str, str]]:
    """What a list shows, and the names."""
    return [
        (f"{name} ({f'×{entry.scale}' if entry.scale else 'any scale'}): {entry.about}", name)
        for name, entry in published().items()
    ]


def is_here(name: str) -> bool:
    """Whether a network can be used without a download."""
    if name not in published():
        return True
    try:
        locate(name)
    except (NotFetchedError, ValueError):
        return False
    return True


@functools.cache
def about(name: str) -> str:
    """What a download brings; its size follows from the network's parameters.

    Example:
        >>> about("esc_real_x4_gan")
        'about 9 MB from github.com, licence MIT'
    """
    entry = published()[name]
    network = build(
        entry.backbone, head=entry.head, scale=entry.scale, backbone_args=entry.backbone_args
    )
    size = 4 * sum(tensor.numel() for tensor in network.parameters())
    return f"about {amount(size)} from {urlsplit(entry.address).hostname}, licence {entry.licence}"


def bring(name: str, job: Job[str]) -> str:
    """Download a network's weights to the cache of this machine.

    Raises:
        RefusedError: If they do not come; why is in the log, as it names files of this machine.
    """

    def tell(here: int, whole: int | None) -> None:
        job.tell(here / whole if whole else 0.0)

    if name not in published():
        raise RefusedError("Choose one of the authors' networks.")
    try:
        fetch(name, progress=tell)
    except (NotFetchedError, ValueError) as error:
        _log.error("%s", error)
        raise RefusedError(
            f"{name} could not be downloaded. On the machine that runs the app, 'escsr fetch "
            f"{name}' says why."
        ) from None
    return name
