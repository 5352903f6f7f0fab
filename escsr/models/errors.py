"""Errors in fetching weights."""


class NotFetchedError(FileNotFoundError):
    """Weights are known by name, but are not on this machine and could not be fetched.

    The message explains why, where they come from, and where to put the file by hand.
    """
