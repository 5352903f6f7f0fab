"""How networks are passed on: as a folder, or as a repository of the Hugging Face Hub.

What the methods do needs `escsr.build` and `escsr.models`, which are below this package:
`escsr.pretrained` provides it.
"""

import os
from typing import Any, ClassVar, Protocol, Self


class Sharing(Protocol):
    """What `escsr.pretrained` brings."""

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
        """Write the network as a folder that can be published as it is.

        Args:
            folder: Gets ``model.safetensors`` (which `escsr.load` opens), ``config.json`` and a
                model card, ``README.md``. It is made if need be; a card that is there already
                stays, unless ``card`` is given.
            license: Of the weights, as the Hub abbreviates it ("apache-2.0"); by default what
                ``model.facts`` says.
            card: Text of the card, in Markdown, in place of the one that is written.

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
        """Open what `save_pretrained` or `push_to_hub` wrote; every tensor must fit.

        Args:
            name: A folder, or a repository of the Hub, "user/repo", which is fetched on first use.
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
            repo: "user/repo"; made if need be. A card that is there already stays, unless ``card``
                is given.
            license: See `save_pretrained`.
            card: See `save_pretrained`.
            private: Whether a new repository is private; by default what the account says.
            revision: Branch to write to; by default the main one.
            message: Of the commit.

        Returns:
            The address of the commit.

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
