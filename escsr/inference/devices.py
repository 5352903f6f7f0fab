"""Where networks run, and how precisely."""

import torch

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number type of autocast by the name of a precision; None: no autocast."""


def pick_device(device: str | torch.device) -> torch.device:
    """The device that a name means; "auto" is a GPU if there is one.

    Raises:
        ValueError: If there is no such device on this machine.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the device {str(device)!r} cannot be used on this machine ({reason}); "
            "'auto' or 'cpu' always can"
        ) from error
    return chosen
