"""Messages for unknown names, with the nearest known one."""

import difflib
from collections.abc import Collection


def nearest(name: str, options: Collection[str]) -> str | None:
    """Find the option that was probably meant.

    Case is ignored, and initials count as near: "learning_rate" to "lr".

    Args:
        name: The given name.
        options: The known names.

    Returns:
        The nearest option, or None if nothing is near.

    Example:
        >>> nearest("esc_tinny", ["esc", "esc_tiny"])
        'esc_tiny'
    """
    initials = "".join(word[0] for word in name.split("_") if word)
    if "_" in name and initials in options:
        return initials
    by_lower = {option.lower(): option for option in options}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[near[0]] if near else None


def did_you_mean(name: str, options: Collection[str]) -> str:
    """Phrase the nearest option as a question, or list all options.

    Example:
        >>> did_you_mean("widht", ["width", "height"])
        "did you mean 'width'?"
    """
    near = nearest(name, options)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(sorted(options)) or 'none'}"


def unknown_name(kind: str, name: str, options: Collection[str]) -> str:
    """Write the message for a name that does not exist: the nearest option, and all of them.

    Args:
        kind: What the names stand for ("backbone").
        name: The given name.
        options: The known names.

    Example:
        >>> unknown_name("head", "lif", ["liif", "lte"])
        "unknown head 'lif'. Did you mean 'liif'? There are: liif, lte."
    """
    near = nearest(name, options)
    hint = f" Did you mean {near!r}?" if near is not None else ""
    return f"unknown {kind} {name!r}.{hint} There are: {', '.join(sorted(options)) or 'none'}."
