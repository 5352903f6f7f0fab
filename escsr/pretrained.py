"""Networks as folders, and as repositories of the Hugging Face Hub.

Used through the methods `save_pretrained`, `from_pretrained` and `push_to_hub` of
`escsr.SuperResolver`.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from escsr import checkpoints
from escsr.build import load
from escsr.files import write_json, write_text
from escsr.model import ModelConfig, SuperResolver, unwrapped
from escsr.models import fetch
from escsr.models.hub import SCHEME, WEIGHTS, library
from escsr.models.locating import why_not
from escsr.version import __version__

CONFIG = "config.json"
CARD = "README.md"


class _Sharing:
    """See `escsr.model.sharing.Shareable`, which documents all of this."""

    def save(
        self,
        model: SuperResolver,
        folder: str | os.PathLike[str],
        *,
        license: str | None,
        card: str | None,
        place: str | None = None,
    ) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        model = unwrapped(model)
        read = ("layout", "trained")  # shown elsewhere
        facts = {key: value for key, value in model.facts.items() if key not in read}
        license = license or facts.get("license")
        if license is not None:
            facts["license"] = license
        checkpoints.save(model, folder / WEIGHTS, facts=facts)
        write_json(folder / CONFIG, _described(model, facts))
        if card is not None or not (folder / CARD).exists():
            write_text(folder / CARD, card or _card(model, facts, place or folder.name, place))

    def load(
        self, name: str | os.PathLike[str], *, revision: str | None, attention: str
    ) -> SuperResolver:
        folder = Path(name)
        if folder.is_dir():
            if revision is not None:
                raise ValueError(f"{folder} is a folder, which has no revision {revision!r}")
            weights, config = folder / WEIGHTS, folder / CONFIG
        else:
            repo = str(name).removeprefix(SCHEME)
            if repo.count("/") != 1:
                raise FileNotFoundError(
                    f"there is no folder {str(name)!r}, and a repository is written user/repo"
                )
            address = f"{SCHEME}{repo}" + (f"@{revision}" if revision else "")
            weights = fetch(f"{address}/{WEIGHTS}")
            config = fetch(f"{address}/{CONFIG}")
        model = load(weights, attention=attention)
        _check_config(config, model.config)
        return model

    def push(
        self,
        model: SuperResolver,
        repo: str,
        *,
        license: str | None,
        card: str | None,
        private: bool | None,
        revision: str | None,
        message: str,
    ) -> str:
        if (forbidden := why_not()) is not None:
            raise OSError(f"{repo} cannot be written: {forbidden}")
        api = library().HfApi(library_name="escsr", library_version=__version__)
        api.create_repo(repo, private=private, exist_ok=True)
        has_card = card is None and api.file_exists(repo, CARD, revision=revision)
        with tempfile.TemporaryDirectory() as folder:
            self.save(model, folder, license=license, card=card, place=repo)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                revision=revision,
                commit_message=message,
                ignore_patterns=[CARD] if has_card else None,
            )
        return str(commit.commit_url)


SuperResolver._sharing = _Sharing()


def _described(model: SuperResolver, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of ``config.json``; the Hub also counts downloads by this file."""
    return {
        "library_name": "escsr",
        "escsr_version": __version__,
        **asdict(model.config),
        "scale": model.scale,
        "parameters": sum(p.numel() for p in model.parameters()),
        "facts": facts,
    }


def _check_config(path: Path, config: ModelConfig) -> None:
    """Refuse two descriptions that differ: one of the files must have been replaced."""
    if not path.is_file():
        return  # the weight file describes the network, too
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        theirs = {key: described.get(key) for key in asdict(config)}
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} is no description of a network: {error}") from error
    own = json.loads(json.dumps(asdict(config)))
    different = [key for key in own if own[key] != theirs[key]]
    if different:
        raise ValueError(
            f"{path} describes another network than {WEIGHTS} next to it: {different[0]} is "
            f"{theirs[different[0]]!r}, not {own[different[0]]!r}"
        )


def _card(model: SuperResolver, facts: Mapping[str, Any], title: str, place: str | None) -> str:
    """A model card with the keywords that the Hub searches."""
    scale = "any scale" if model.scale is None else f"×{model.scale}"
    name = f"{SCHEME}{place}" if place else "FOLDER/model.safetensors"
    size = f"{sum(p.numel() for p in model.parameters()):,}".replace(",", " ")
    asked = "" if model.scale else ", scale=3"
    license = facts.get("license")
    header = ["library_name: escsr", "pipeline_tag: image-to-image"]
    header += [f"license: {license}"] if license else []
    header += ["tags:", "- super-resolution", "- image-upscaling", f"- {model.config.backbone}"]
    rows = {"network": f"`{model.config.backbone}` + `{model.config.head}`", "scale": scale}
    rows |= {"parameters": size, "trained": "yes" if model.trained else "no"}
    rows |= {key.replace("_", " "): str(value) for key, value in facts.items()}
    lines = ["---", *header, "---", "", f"# {title}", ""]
    lines += ["A super-resolution network made with escsr.", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {_cell(value)} |" for key, value in rows.items()]
    lines += ["", "```python", "import escsr", ""]
    lines += [f'large = escsr.upscale("photo.jpg"{asked}, model="{name}")', "```", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
