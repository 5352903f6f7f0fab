"""Puts the cards of the embedded models, which lie beside their weights, into cards.md."""

import re
from pathlib import Path

CARDS = Path(__file__).resolve().parents[1] / "escsr" / "models"
PLACE = "<!-- model cards -->"


def on_page_markdown(markdown, page, config, files):
    """MkDocs calls this with the text of each page."""
    if page.file.src_uri != "cards.md":
        return markdown
    cards = [card.read_text(encoding="utf-8") for card in sorted(CARDS.glob("*.md"))]
    # A card's title becomes a section of the page; the rest moves down with it.
    inner = [re.sub(r"^(#+ )", r"#\1", card, flags=re.MULTILINE) for card in cards]
    return markdown.replace(PLACE, "\n\n".join(inner) or "There are none in this copy.")
