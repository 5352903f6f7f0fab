"""Networks that come with the library: weights and their cards."""

from pathlib import Path

ALIASES = {
    "default": "esc_tiny_any",
    "esc_small": "esc_small_any",
    "real": "esc_tiny_real",
    "restore": "esc_tiny_restore",
}
"""Short names, most of them by purpose."""


def embedded() -> dict[str, Path]:
    """The embedded networks, name to weight file."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.safetensors"))}


def resolve(name: str) -> str:
    """Resolve an alias of an embedded network.

    Args:
        name: A name of `embedded`, a key of `ALIASES`, or anything else.

    Returns:
        The name behind an alias; other names as they are.
    """
    return ALIASES.get(name, name)
