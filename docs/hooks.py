"""Puts into the site what stands elsewhere: the version, the repository, the models' cards."""

import os
import re
from pathlib import Path

CARDS = Path(__file__).resolve().parents[1] / "escsr" / "models"
PLACE = "<!-- model cards -->"


def on_config(config):
    """MkDocs calls this before it reads any page.

    The repository is the one whose workflow builds the site: a fork links to itself.
    """
    version = (CARDS.parent / "version.py").read_text(encoding="utf-8")
    config.extra["version_shown"] = re.search(r'__version__ = "(.+)"', version)[1]
    repository = os.environ.get("GITHUB_REPOSITORY")
    if repository and not config.repo_url:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        config.repo_url = f"{server}/{repository}"
        config.repo_name = repository
    return config


def on_page_markdown(markdown, page, config, files):
    """MkDocs calls this with the text of each page."""
    if page.file.src_uri != "cards.md":
        return markdown
    cards = [card.read_text(encoding="utf-8") for card in sorted(CARDS.glob("*.md"))]
    # A card's title becomes a section of the page; the rest moves down with it.
    inner = [re.sub(r"^(#+ )", r"#\1", card, flags=re.MULTILINE) for card in cards]
    return markdown.replace(PLACE, "\n\n".join(inner) or "There are none in this copy.")
