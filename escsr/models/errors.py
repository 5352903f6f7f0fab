"""What goes wrong with weights that are to be fetched."""


class NotFetchedError(FileNotFoundError):
    """Weights that are known by name, but neither on this machine nor brought to it.

    The message says why, from where they come, and where to put the file by hand.
    """
