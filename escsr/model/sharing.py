"""Sharing networks as folders or as repositories of the Hugging Face Hub.

The implementation needs `escsr.build` and `escsr.models`, which are below this package, so
`escsr.pretrained` provides it.
"""

import os
from typing import Any, ClassVar, Protocol, Self


class Sharing(Protocol):
    """The interface that `escsr.pretrained` implements."""

    def save(
        self,
        model: Any,
        folder: str | os.PathLike[str],
        *,
        license: str | None,
        card: str | None,
    ) -> None:
        """See `Shareable.save_pretrained`."""

    def load(self, name: str | os.PathLike[str], *, revision: str | None, attention: str) -> Any:
        """See `Shareable.from_pretrained`."""

    def push(
        self,
        model: Any,
        repo: str,
        *,
        license: str | None,
        card: str | None,
        private: bool | None,
        revision: str | None,
        message: str,
    ) -> str:
        """See `Shareable.push_to_hub`."""


class Shareable:
    """Networks that can be saved to, and opened from, folders and repositories."""

    _sharing: ClassVar[Sharing]

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        *,
        license: str | None = None,
        card: str | None = None,
    ) -> None:
        """Write the network as a folder that is ready to publish.

        Args:
            folder: Folder for ``model.safetensors`` (which `escsr.load` opens), ``config.json``
                and a model card, ``README.md``. It is created if missing. An existing card is kept
                unless ``card`` is given.
            license: License of the weights in the Hub's notation ("apache-2.0"); by default that
                of ``model.facts``.
            card: Text of the card in Markdown, instead of the generated one.

        Raises:
            OSError: If the folder cannot be written.

        Example:
            >>> model.save_pretrained("mine", license="apache-2.0")
        """
        self._sharing.save(self, folder, license=license, card=card)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        attention: str = "auto",
    ) -> Self:
        """Open a network from `save_pretrained` or `push_to_hub`; every tensor must fit.

        Args:
            name: A folder, or a repository of the Hub, "user/repo", downloaded on first use.
            revision: Branch, tag or commit of the repository.
            attention: See `escsr.load`.

        Returns:
            The network with its weights, in evaluation mode, on the CPU.

        Raises:
            FileNotFoundError: If there is no such folder, or the repository cannot be fetched
                (`escsr.models.NotFetchedError`).
            ValueError: If the weights are damaged or do not fit, or ``config.json`` describes
                another network.
            ModuleNotFoundError: If a repository is asked for without the extra ``hub``.

        Example:
            >>> model = escsr.SuperResolver.from_pretrained("mine")
        """
        network: Self = cls._sharing.load(name, revision=revision, attention=attention)
        return network

    def push_to_hub(
        self,
        repo: str,
        *,
        license: str | None = None,
        card: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
        message: str = "Upload a network of escsr",
    ) -> str:
        """Publish the network as a repository of the Hub; needs ``hf auth login``.

        Args:
            repo: "user/repo"; created if missing. An existing card is kept unless ``card`` is
                given.
            license: See `save_pretrained`.
            card: See `save_pretrained`.
            private: Whether a new repository is private; by default the account's setting.
            revision: Branch to write to; by default the main one.
            message: Commit message.

        Returns:
            The URL of the commit.

        Raises:
            OSError: If the Hub refuses, or ``ESCSR_OFFLINE`` is set.
            ModuleNotFoundError: If the extra ``hub`` is not installed.

        Example:
            >>> model.push_to_hub("someone/network", license="apache-2.0")
        """
        return self._sharing.push(
            self,
            repo,
            license=license,
            card=card,
            private=private,
            revision=revision,
            message=message,
        )
