"""Weights in repositories of the Hugging Face Hub: ``hf://user/repo[@revision][/file]``."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from escsr.models.errors import NotFetchedError

SCHEME = "hf://"
WEIGHTS = "model.safetensors"
"""The file that `SuperResolver.push_to_hub` writes."""

_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(.+))?")


class Address(NamedTuple):
    """The location of a file on the hub.

    Attributes:
        repo: "user/name".
        revision: Branch, tag or commit; None for the main branch.
        file: Path in the repository.
    """

    repo: str
    revision: str | None
    file: str


def is_address(name: str) -> bool:
    """Whether a name starts like an address on the hub."""
    return name.startswith(SCHEME)


def parse(name: str) -> Address:
    """Parse an address.

    Raises:
        ValueError: If it is not an address.

    Example:
        >>> parse("hf://someone/network@v2/x4.pth")
        Address(repo='someone/network', revision='v2', file='x4.pth')
    """
    found = _ADDRESS.fullmatch(name)
    if found is None:
        raise ValueError(
            f"an address on the hub is hf://user/repo, hf://user/repo/file or "
            f"hf://user/repo@revision/file, not {name!r}"
        )
    repo, revision, file = found.groups()
    return Address(repo, revision, file or WEIGHTS)


def locate(name: str) -> Path:
    """Find a file of the hub in its cache on this machine.

    Raises:
        NotFetchedError: If it is not there.
        ValueError: If ``name`` is no address.
        ModuleNotFoundError: If huggingface_hub is not installed.
    """
    address = parse(name)
    found = library().try_to_load_from_cache(address.repo, address.file, revision=address.revision)
    if not isinstance(found, str):  # None, or a mark that the repository has no such file
        raise NotFetchedError(
            f"{name} is not on this machine yet: 'escsr fetch {name}' downloads it"
        )
    return Path(found)


def fetch(name: str, *, forbidden: str | None = None) -> Path:
    """Download a file of the hub to its cache on this machine.

    Raises:
        NotFetchedError: If that is forbidden or fails; the message explains why and where to look.
        ValueError: If ``name`` is no address.
        ModuleNotFoundError: If huggingface_hub is not installed.
    """
    address, library_ = parse(name), library()
    if forbidden:
        raise NotFetchedError(
            f"{name} is not on this machine, and {forbidden}. Download the file by other "
            "means and give its path"
        )
    try:
        return Path(library_.hf_hub_download(address.repo, address.file, revision=address.revision))
    except Exception as error:  # many kinds, from several libraries
        raise NotFetchedError(f"{name} could not be fetched: {_reason(error, address)}") from error


def _reason(error: Exception, address: Address) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"{address.repo} asks for consent on its page, and for 'hf auth login'"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no {address.repo}, or it is private ('hf auth login')"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{address.repo} has no revision {address.revision!r}"
    missing = isinstance(error, errors.EntryNotFoundError)
    if missing and not isinstance(error, errors.LocalEntryNotFoundError):
        return f"{address.repo} has no file {address.file!r}; name one: hf://{address.repo}/FILE"
    first = (str(error).strip().splitlines() or [""])[0]
    return first or type(error).__name__


def library() -> Any:
    """The module huggingface_hub.

    Raises:
        ModuleNotFoundError: If it is not installed; the message explains how to install it.
    """
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the Hub needs huggingface_hub: pip install 'escsr[hub]'", name="huggingface_hub"
        ) from error
    return huggingface_hub
