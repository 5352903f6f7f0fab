"""Networks that come with the library: weights and their cards."""

from pathlib import Path

# The smallest fixed scale that is at least the one asked for makes the picture.
DEFAULTS = {2: "esc_tiny_x2", 4: "esc_tiny_x4"}


def embedded() -> dict[str, Path]:
    """The embedded networks, name to weight file."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.safetensors"))}


def default_name(scale: float | None = None) -> str:
    """The embedded network that ``model="default"`` means for a scale.

    Args:
        scale: Enlargement asked for; None for the largest there is.

    Returns:
        A name of `embedded`.
    """
    largest = max(DEFAULTS)
    wanted = largest if scale is None else min((s for s in DEFAULTS if s >= scale), default=largest)
    return DEFAULTS[wanted]
