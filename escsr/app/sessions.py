"""One session for each network, shared by everybody at the page."""

import threading

from escsr.inference import Upscaler
from escsr.inference.memory import ProcessMemory, parse_memory
from escsr.models import locate


class Sessions:
    """Networks made ready when they are first asked for.

    Args:
        device: See `escsr.Upscaler`.
        precision: See `escsr.Upscaler`.
        memory: What the whole program may take, such as "4GB"; None takes what is free.

    Raises:
        ValueError: If the device, the precision or the amount of memory is impossible.

    Example:
        >>> sessions = Sessions(memory="4GB")
        >>> sessions["default"] is sessions["default"]
        True
    """

    def __init__(
        self, *, device: str = "auto", precision: str = "fp32", memory: str | None = None
    ) -> None:
        self._bound = None if memory is None else ProcessMemory(parse_memory(memory))
        self._device, self._precision = device, precision
        self._made: dict[str, Upscaler] = {}
        self._lock = threading.Lock()

    def __getitem__(self, model: str) -> Upscaler:
        """The session of a network that is on this machine.

        Raises:
            NotFetchedError: If its weights are not here; nothing is downloaded.
            FileNotFoundError: If there is no such network.
        """
        with self._lock:
            if model not in self._made:
                if model != "auto":
                    locate(model)
                self._made[model] = Upscaler(
                    model, device=self._device, precision=self._precision, memory=self._bound
                )
            return self._made[model]
